{{/* A NetworkPolicy: out only to what the component works with, in only to /metrics. */}}

{{/* Port of an address. Takes a URL or host:port. */}}
{{- define "gridpulse.port" -}}
{{- if regexMatch ":[0-9]+(/.*)?$" . -}}
{{- regexReplaceAll "^.*:([0-9]+)(/.*)?$" . "${1}" -}}
{{- else if hasPrefix "https:" . -}}443{{- else if hasPrefix "http:" . -}}80{{- else -}}9092{{- end -}}
{{- end -}}

{{/* One rule of egress. Takes (dict "rule" values "addresses" list). */}}
{{- define "gridpulse.egress" -}}
{{- $ports := list -}}
{{- range .addresses -}}{{- $ports = append $ports (include "gridpulse.port" . | int) -}}{{- end -}}
- ports:
    {{- range uniq (.rule.ports | default $ports) }}
    - { protocol: TCP, port: {{ int . }} }
    {{- end }}
  {{- with .rule.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Takes (dict "root" $ "component" name "uses" list "scraped" bool). */}}
{{- define "gridpulse.networkPolicySpec" -}}
{{- $values := .root.Values -}}
{{- $policy := $values.networkPolicy -}}
podSelector:
  matchLabels:
    {{- include "gridpulse.selector" . | nindent 4 }}
policyTypes: [Ingress, Egress]
{{- if and .scraped $policy.metricsFrom }}
ingress:
  - ports:
      - { protocol: TCP, port: metrics }
    from:
      {{- toYaml $policy.metricsFrom | nindent 6 }}
{{- else }}
ingress: []
{{- end }}
egress:
  - ports: # names
      - { protocol: UDP, port: 53 }
      - { protocol: TCP, port: 53 }
  {{- if has "kafka" .uses }}
  {{- include "gridpulse.egress" (dict "rule" $policy.kafka "addresses" (splitList "," $values.kafka.bootstrapServers)) | nindent 2 }}
  {{- end }}
  {{- if has "schemaRegistry" .uses }}
  {{- include "gridpulse.egress" (dict "rule" $policy.schemaRegistry "addresses" (list $values.schemaRegistry.url)) | nindent 2 }}
  {{- end }}
  {{- if has "influxdb" .uses }}
  {{- include "gridpulse.egress" (dict "rule" $policy.influxdb "addresses" (list $values.influxdb.url)) | nindent 2 }}
  {{- end }}
  {{- if has "s3" .uses }}
  {{- include "gridpulse.egress" (dict "rule" $policy.s3 "addresses" (list $values.s3.endpoint)) | nindent 2 }}
  {{- end }}
  {{- if has "webhooks" .uses }}
  {{- include "gridpulse.egress" (dict "rule" $policy.webhooks "addresses" list) | nindent 2 }}
  {{- end }}
{{- end -}}
