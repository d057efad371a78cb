{{/* The settings as the pod's file: the user's, and where the chart puts secrets and listens. */}}
{{- define "ingest-canary.config" -}}
{{- $secrets := "/etc/ingest-canary/secrets" -}}
{{- $config := deepCopy .Values.config -}}
{{- $targets := dict -}}
{{- range $name, $target := .Values.targets -}}
{{- $own := deepCopy (default dict $target.settings) -}}
{{- $_ := set $own "dsn_file" (printf "%s/targets/%s" $secrets $name) -}}
{{- $_ := set $targets $name $own -}}
{{- end -}}
{{- $_ := set $config "targets" $targets -}}
{{- if include "ingest-canary.serverStore" . -}}
{{- $store := default dict $config.store -}}
{{- $_ := set $store "url_file" (printf "%s/store-url" $secrets) -}}
{{- $_ := set $config "store" $store -}}
{{- end -}}
{{- if include "ingest-canary.hasFingerprintKey" . -}}
{{- $_ := set $config "fingerprint_key_file" (printf "%s/fingerprint-key" $secrets) -}}
{{- end -}}
{{- if include "ingest-canary.hasWebConfig" . -}}
{{- $web := default dict $config.web -}}
{{- $_ := set $web "config_file" (printf "%s/web/web-config.yml" $secrets) -}}
{{- $_ := set $config "web" $web -}}
{{- end -}}
{{- include "ingest-canary.toml" (dict "table" $config "path" "") | trim -}}
{{- end -}}
