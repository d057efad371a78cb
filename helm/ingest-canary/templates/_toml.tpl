{{/* TOML written by hand: Helm's own toToml makes floats of whole numbers in many versions. */}}

{{/* A table: first what stands in it, then the tables below it. (dict "table" $table "path" "a.b") */}}
{{- define "ingest-canary.toml" -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "ingest-canary.toml.key" $key }} = {{ include "ingest-canary.toml.value" $value }}
{{- end }}
{{- end }}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $below := include "ingest-canary.toml.key" $key }}
{{- if $path }}{{ $below = printf "%s.%s" $path $below }}{{ end }}

[{{ $below }}]
{{- include "ingest-canary.toml" (dict "table" $value "path" $below) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ingest-canary.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- define "ingest-canary.toml.value" -}}
{{- if kindIs "map" . -}}
{{- $items := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $items = append $items (printf "%s = %s" (include "ingest-canary.toml.key" $key) (include "ingest-canary.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{ {{ join ", " $items }} }
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . -}}
{{- $items = append $items (include "ingest-canary.toml.value" .) -}}
{{- end -}}
[{{ join ", " $items }}]
{{- else -}}
{{- /* JSON's numbers, texts and truths are TOML's too. */ -}}
{{ toJson . }}
{{- end -}}
{{- end -}}
