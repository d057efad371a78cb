{{/* Sources of the projected volume that holds every secret as a file, each at one fixed path. */}}
{{- define "ingest-canary.secretSources" -}}
{{- $own := include "ingest-canary.fullname" . -}}
{{- range $name, $target := .Values.targets }}
- secret:
    name: {{ default $own $target.existingSecret }}
    items:
      - key: {{ (empty $target.existingSecret | not) | ternary (default "dsn" $target.existingSecretKey) (printf "dsn-%s" $name) }}
        path: targets/{{ $name }}
{{- end }}
{{- if include "ingest-canary.serverStore" . }}
- secret:
    name: {{ default $own .Values.store.existingSecret }}
    items:
      - key: {{ (empty .Values.store.existingSecret | not) | ternary .Values.store.existingSecretKey "store-url" }}
        path: store-url
{{- end }}
{{- if include "ingest-canary.hasFingerprintKey" . }}
- secret:
    name: {{ default $own .Values.fingerprintKey.existingSecret }}
    items:
      - key: {{ (empty .Values.fingerprintKey.existingSecret | not) | ternary .Values.fingerprintKey.existingSecretKey "fingerprint-key" }}
        path: fingerprint-key
{{- end }}
{{- if include "ingest-canary.hasWebConfig" . }}
- secret:
    name: {{ default $own .Values.webConfig.existingSecret }}
    items:
      - key: {{ (empty .Values.webConfig.existingSecret | not) | ternary .Values.webConfig.existingSecretKey "web-config.yml" }}
        path: web/web-config.yml
{{- end }}
{{- with .Values.webConfig.tlsSecret }}
- secret:
    name: {{ . }}
    items:
      - key: tls.crt
        path: web/tls.crt
      - key: tls.key
        path: web/tls.key
      {{- if $.Values.webConfig.tlsSecretHasCa }}
      - key: ca.crt
        path: web/ca.crt
      {{- end }}
{{- end }}
{{- end -}}
