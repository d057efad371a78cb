{{/* What every container of the program's image in the pod has: variables and mounts. */}}

{{- define "ingest-canary.environment" -}}
env:
  - name: INGEST_CANARY_CONFIG
    value: /etc/ingest-canary/config/config.toml
  - name: INGEST_CANARY_DATA_DIR
    value: /var/lib/ingest-canary
  - name: INGEST_CANARY_WEB__HOST
    value: {{ .Values.listenAddress | quote }}
  - name: INGEST_CANARY_GRACE_PERIOD
    value: {{ max 5 (int .Values.terminationGracePeriodSeconds) | quote }}
  # Of replicas, the fingerprint tells on which node each one runs.
  - name: INGEST_CANARY_NODE
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  # libpq's files are looked for here; a user id without a passwd entry has no other home.
  - name: HOME
    value: /var/lib/ingest-canary
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ingest-canary.mounts" -}}
volumeMounts:
  - name: config
    mountPath: /etc/ingest-canary/config
    readOnly: true
  - name: secrets
    mountPath: /etc/ingest-canary/secrets
    readOnly: true
  - name: data
    mountPath: /var/lib/ingest-canary
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
