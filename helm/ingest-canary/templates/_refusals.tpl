{{/*
What the chart refuses, each with a sentence that says what to do. The types of values are the
schema's business; here stand the things that are wrong together.
*/}}
{{- define "ingest-canary.refusals" -}}
{{- $said := list -}}
{{- $server := include "ingest-canary.serverStore" . -}}
{{- $replicas := int .Values.replicaCount -}}

{{- if not .Values.targets -}}
{{- $said = append $said "no target is configured: set targets.<name>.existingSecret to a Secret that holds the DSN of your canary database under the key dsn, or targets.<name>.dsn. (Without a target the program starts a PostgreSQL of its own. In a pod that would measure nothing of yours, and initdb refuses a user id that the image does not know.)" -}}
{{- end -}}

{{- range $name, $target := .Values.targets -}}
{{- if and $target.dsn $target.existingSecret -}}
{{- $said = append $said (printf "targets.%s has both dsn and existingSecret: keep one." $name) -}}
{{- else if not (or $target.dsn $target.existingSecret) -}}
{{- $said = append $said (printf "targets.%s has no DSN: set existingSecret to a Secret that holds it, or dsn." $name) -}}
{{- end -}}
{{- end -}}

{{- if and .Values.store.url .Values.store.existingSecret -}}
{{- $said = append $said "store has both url and existingSecret: keep one." -}}
{{- end -}}
{{- if and .Values.fingerprintKey.value .Values.fingerprintKey.existingSecret -}}
{{- $said = append $said "fingerprintKey has both value and existingSecret: keep one." -}}
{{- end -}}
{{- if and .Values.webConfig.content .Values.webConfig.existingSecret -}}
{{- $said = append $said "webConfig has both content and existingSecret: keep one." -}}
{{- end -}}
{{- if and .Values.webConfig.tlsSecret (not (include "ingest-canary.hasWebConfig" .)) -}}
{{- $said = append $said "webConfig.tlsSecret is set, but nothing uses it: set webConfig.content.tls_server_config with cert_file tls.crt and key_file tls.key." -}}
{{- end -}}
{{- if and (or .Values.webConfig.tls .Values.webConfig.clientCertificates) (not (include "ingest-canary.hasWebConfig" .)) -}}
{{- $said = append $said "webConfig.tls and webConfig.clientCertificates say what a file of webConfig.existingSecret does, and there is none: set webConfig.existingSecret or webConfig.content." -}}
{{- end -}}

{{- if gt $replicas 1 -}}
{{- if not $server -}}
{{- $said = append $said (printf "replicaCount is %d, but the store is SQLite on a volume, which belongs to one process: set store.existingSecret or store.url to a PostgreSQL for the history, or replicaCount to 1." $replicas) -}}
{{- end -}}
{{- if not (include "ingest-canary.hasFingerprintKey" .) -}}
{{- $said = append $said (printf "replicaCount is %d, and replicas need the same fingerprint key, or each sees the other's server as changed: set fingerprintKey.existingSecret, or fingerprintKey.value to what `openssl rand -hex 32` prints." $replicas) -}}
{{- end -}}
{{- if .Values.persistence.existingClaim -}}
{{- $said = append $said (printf "replicaCount is %d, and persistence.existingClaim is a volume, which belongs to one process: remove it, or set replicaCount to 1." $replicas) -}}
{{- end -}}
{{- else if .Values.podDisruptionBudget.enabled -}}
{{- $said = append $said "podDisruptionBudget.enabled needs several replicas: with one it either blocks every drain or does nothing." -}}
{{- end -}}

{{- if and (not $server) (include "ingest-canary.usesVolume" .) -}}
{{- with include "ingest-canary.networkFileSystem" . -}}
{{- $said = append $said (printf "%s is a network file system, and SQLite's locks are not reliable there: choose a storage class of block devices, or set store.existingSecret or store.url to a PostgreSQL for the history." .) -}}
{{- end -}}
{{- end -}}

{{- if $said -}}
{{- fail (printf "\n\ningest-canary: %s\n" (join "\n\ningest-canary: " $said)) -}}
{{- end -}}
{{- end -}}

{{/*
Whether the volume is a network file system, as a phrase. By the name of the storage class and, where
Helm speaks to a cluster, by an existing claim's access modes and, if wanted, the class's provisioner:
to read classes takes a right that who installs into a namespace often has not, and lookup fails then.
*/}}
{{- define "ingest-canary.networkFileSystem" -}}
{{- $pattern := "(?i)(^|[^a-z])(nfs|efs|smb|cifs|cephfs|glusterfs|azurefile|azure-file|filestore|netapp-nas|trident-nas)([^a-z]|$)|file\\.csi\\.azure\\.com" -}}
{{- $name := .Values.persistence.storageClass -}}
{{- $claim := dict -}}
{{- if .Values.persistence.existingClaim -}}
{{- $claim = lookup "v1" "PersistentVolumeClaim" .Release.Namespace .Values.persistence.existingClaim -}}
{{- $name = dig "spec" "storageClassName" "" $claim -}}
{{- end -}}
{{- $provisioner := "" -}}
{{- if and $name .Values.persistence.checkStorageClass -}}
{{- $provisioner = dig "provisioner" "" (lookup "storage.k8s.io/v1" "StorageClass" "" $name) -}}
{{- end -}}
{{- if has "ReadWriteMany" (dig "spec" "accessModes" list $claim) -}}
persistence.existingClaim {{ .Values.persistence.existingClaim }}, which many nodes may write,
{{- else if regexMatch $pattern $provisioner -}}
the storage class {{ $name }} (provisioner {{ $provisioner }})
{{- else if and $name (regexMatch $pattern $name) -}}
the storage class {{ $name }}, by its name,
{{- end -}}
{{- end -}}
