{{/* Names, labels, and what several templates ask. */}}

{{- define "ingest-canary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ingest-canary.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "ingest-canary.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ingest-canary.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* A name with a suffix, short enough for an object: (list $ "suffix"). */}}
{{- define "ingest-canary.named" -}}
{{- printf "%s-%s" (include "ingest-canary.fullname" (first .)) (last . | lower | replace "_" "-" | replace "." "-") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ingest-canary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ingest-canary.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of the pod of `helm test`, which neither Service nor Deployment may take for one of theirs. */}}
{{- define "ingest-canary.testLabels" -}}
app.kubernetes.io/name: {{ include "ingest-canary.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object; the chart's version stands here and never in a selector. */}}
{{- define "ingest-canary.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ingest-canary.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ingest-canary.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ingest-canary.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ingest-canary.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ trimSuffix "/" .registry }}/{{ end -}}
{{- .repository -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* "true" where the answer is yes, else empty. */}}

{{- define "ingest-canary.serverStore" -}}
{{- if or .Values.store.url .Values.store.existingSecret }}true{{ end -}}
{{- end -}}

{{- define "ingest-canary.usesVolume" -}}
{{- if and .Values.persistence.enabled (le (int .Values.replicaCount) 1) }}true{{ end -}}
{{- end -}}

{{- define "ingest-canary.hasFingerprintKey" -}}
{{- if or .Values.fingerprintKey.value .Values.fingerprintKey.existingSecret }}true{{ end -}}
{{- end -}}

{{- define "ingest-canary.hasWebConfig" -}}
{{- if or .Values.webConfig.content .Values.webConfig.existingSecret }}true{{ end -}}
{{- end -}}

{{- define "ingest-canary.tls" -}}
{{- if or .Values.webConfig.tls .Values.webConfig.clientCertificates (hasKey .Values.webConfig.content "tls_server_config") }}true{{ end -}}
{{- end -}}

{{- define "ingest-canary.clientCertificates" -}}
{{- $type := dig "tls_server_config" "client_auth_type" "" .Values.webConfig.content -}}
{{- if or .Values.webConfig.clientCertificates (hasPrefix "Require" $type) }}true{{ end -}}
{{- end -}}

{{/* Keys of the Secret that the chart makes; empty where every secret is someone else's. */}}
{{- define "ingest-canary.secretData" -}}
{{- range $name, $target := .Values.targets }}
{{- if $target.dsn }}
dsn-{{ $name }}: {{ $target.dsn | b64enc }}
{{- end }}
{{- end }}
{{- with .Values.store.url }}
store-url: {{ . | b64enc }}
{{- end }}
{{- with .Values.fingerprintKey.value }}
fingerprint-key: {{ . | b64enc }}
{{- end }}
{{- with .Values.webConfig.content }}
web-config.yml: {{ toYaml . | b64enc }}
{{- end }}
{{- end -}}

{{/* A probe that asks for a path, or only connects where the server wants a certificate that
kubelet has not: (list $ path settings). */}}
{{- define "ingest-canary.probe" -}}
{{- $root := first . -}}
{{- if include "ingest-canary.clientCertificates" $root -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if include "ingest-canary.tls" $root }}
  scheme: HTTPS
  {{- end }}
{{- end }}
{{ toYaml (last .) }}
{{- end -}}

{{- /* A file whose links to runbooks lead where prometheusRule.runbookUrl says: (list $ text). */}}
{{- define "ingest-canary.runbooks" -}}
{{- $values := (index . 0).Values -}}
{{- with $values.prometheusRule.runbookUrl -}}
{{- index $ 1 | replace "https://github.com/ingest-canary/ingest-canary/blob/main/grafana/runbooks" (trimSuffix "/" .) -}}
{{- else -}}
{{- index . 1 -}}
{{- end -}}
{{- end }}
