{{/* Variables of a container, and the Secrets they point to as files below /etc/gridpulse. */}}

{{/* Kafka's values, with those of one principal over them, as JSON. Takes (dict "root" $ "own" values). */}}
{{- define "gridpulse.kafka" -}}
{{- toJson (mergeOverwrite (deepCopy .root.Values.kafka) (deepCopy .own)) -}}
{{- end -}}

{{/* Takes (dict "root" $ "kafka" values). */}}
{{- define "gridpulse.env.kafka" -}}
{{- $sasl := .kafka.sasl -}}
{{- $tls := .kafka.tls -}}
- name: GRIDPULSE_KAFKA_BOOTSTRAP
  value: {{ .kafka.bootstrapServers | quote }}
- name: GRIDPULSE_KAFKA_SECURITY_PROTOCOL
  value: {{ .kafka.securityProtocol | quote }}
{{- if hasPrefix "SASL" .kafka.securityProtocol }}
- name: GRIDPULSE_KAFKA_SASL_MECHANISM
  value: {{ $sasl.mechanism | quote }}
{{- if $sasl.usernameKey }}
- name: GRIDPULSE_KAFKA_SASL_USERNAME_FILE
  value: /etc/gridpulse/kafka/username
{{- else }}
- name: GRIDPULSE_KAFKA_SASL_USERNAME
  value: {{ $sasl.username | quote }}
{{- end }}
- name: GRIDPULSE_KAFKA_SASL_PASSWORD_FILE
  value: /etc/gridpulse/kafka/password
{{- end }}
{{- if $tls.caSecret }}
- name: GRIDPULSE_KAFKA_SSL_CA_LOCATION
  value: /etc/gridpulse/kafka/ca.crt
{{- end }}
{{- if $tls.clientSecret }}
- name: GRIDPULSE_KAFKA_SSL_CERTIFICATE_LOCATION
  value: /etc/gridpulse/kafka/tls.crt
- name: GRIDPULSE_KAFKA_SSL_KEY_LOCATION
  value: /etc/gridpulse/kafka/tls.key
{{- end }}
- name: GRIDPULSE_SCHEMA_REGISTRY_URL
  value: {{ .root.Values.schemaRegistry.url | quote }}
{{- with .root.Values.schemaRegistry }}
{{- if .username }}
- name: GRIDPULSE_SCHEMA_REGISTRY_USERNAME
  value: {{ .username | quote }}
{{- end }}
{{- if .existingSecret }}
- name: GRIDPULSE_SCHEMA_REGISTRY_PASSWORD_FILE
  value: /etc/gridpulse/schema-registry/password
{{- end }}
{{- end }}
{{- if .root.Values.httpsCa.secret }}
- name: GRIDPULSE_TLS_CA
  value: /etc/gridpulse/https-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "gridpulse.env.influxdb" -}}
- name: GRIDPULSE_INFLUX_URL
  value: {{ .Values.influxdb.url | quote }}
- name: GRIDPULSE_INFLUX_ORG
  value: {{ .Values.influxdb.org | quote }}
- name: GRIDPULSE_INFLUX_BUCKET
  value: {{ .Values.influxdb.bucket | quote }}
- name: GRIDPULSE_INFLUX_TOKEN_FILE
  value: /etc/gridpulse/influxdb/token
{{- end -}}

{{- define "gridpulse.env.s3" -}}
- name: GRIDPULSE_S3_ENDPOINT
  value: {{ .Values.s3.endpoint | quote }}
- name: GRIDPULSE_S3_BUCKET
  value: {{ .Values.s3.bucket | quote }}
- name: GRIDPULSE_S3_REGION
  value: {{ .Values.s3.region | quote }}
- name: GRIDPULSE_S3_ACCESS_KEY_FILE
  value: /etc/gridpulse/s3/access-key
- name: GRIDPULSE_S3_SECRET_KEY_FILE
  value: /etc/gridpulse/s3/secret-key
{{- end -}}

{{- define "gridpulse.env.webhooks" -}}
{{- $alerter := .Values.apps.alerter -}}
{{- if $alerter.webhook.url }}
- name: GRIDPULSE_WEBHOOK_URL
  value: {{ $alerter.webhook.url | quote }}
{{- end }}
{{- if $alerter.webhook.existingSecret }}
- name: GRIDPULSE_WEBHOOK_SECRET_FILE
  value: /etc/gridpulse/webhook/secret
{{- end }}
{{- if or $alerter.alerts $alerter.alertsConfigMap }}
- name: GRIDPULSE_ALERTS
  value: /etc/gridpulse/alerts/alerts.toml
{{- end }}
{{- end -}}

{{/* Secrets of a principal at Kafka and of the stores in `uses`, as volumes. Takes (dict "root" $ "kafka" values "uses" list). */}}
{{- define "gridpulse.secretVolumes" -}}
{{- $values := .root.Values -}}
{{- $sasl := .kafka.sasl -}}
{{- $tls := .kafka.tls -}}
{{- if or $sasl.existingSecret $tls.caSecret $tls.clientSecret }}
- name: kafka
  projected:
    defaultMode: 0440
    sources:
      {{- if $sasl.existingSecret }}
      - secret:
          name: {{ $sasl.existingSecret }}
          items:
            - { key: {{ $sasl.passwordKey }}, path: password }
            {{- with $sasl.usernameKey }}
            - { key: {{ . }}, path: username }
            {{- end }}
      {{- end }}
      {{- if $tls.caSecret }}
      - secret:
          name: {{ $tls.caSecret }}
          items:
            - { key: {{ $tls.caKey }}, path: ca.crt }
      {{- end }}
      {{- if $tls.clientSecret }}
      - secret:
          name: {{ $tls.clientSecret }}
          items:
            - { key: {{ $tls.certificateKey }}, path: tls.crt }
            - { key: {{ $tls.privateKeyKey }}, path: tls.key }
      {{- end }}
{{- end }}
{{- with $values.schemaRegistry.existingSecret }}
- name: schema-registry
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - { key: {{ $values.schemaRegistry.passwordKey }}, path: password }
{{- end }}
{{- with $values.httpsCa.secret }}
- name: https-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - { key: {{ $values.httpsCa.key }}, path: ca.crt }
{{- end }}
{{- if has "influxdb" .uses }}
- name: influxdb
  secret:
    secretName: {{ $values.influxdb.existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ $values.influxdb.tokenKey }}, path: token }
{{- end }}
{{- if has "s3" .uses }}
- name: s3
  secret:
    secretName: {{ $values.s3.existingSecret }}
    defaultMode: 0440
    items:
      - { key: {{ $values.s3.accessKeyKey }}, path: access-key }
      - { key: {{ $values.s3.secretKeyKey }}, path: secret-key }
{{- end }}
{{- if has "webhooks" .uses }}
{{- with $values.apps.alerter.webhook.existingSecret }}
- name: webhook
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - { key: {{ $values.apps.alerter.webhook.secretKey }}, path: secret }
{{- end }}
{{- with $values.apps.alerter.alertsSecret }}
- name: alerts-secrets
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}

{{/* rules.toml and alerts.toml: from this chart, or from a ConfigMap of the user. Takes (dict "root" $ "component" name). */}}
{{- define "gridpulse.fileVolumes" -}}
{{- $detector := .root.Values.apps.detector -}}
{{- $alerter := .root.Values.apps.alerter -}}
{{- if and (eq .component "detector") (or $detector.rules $detector.rulesConfigMap) }}
- name: rules
  configMap:
    name: {{ $detector.rulesConfigMap | default (printf "%s-rules" (include "gridpulse.fullname" .root)) }}
{{- end }}
{{- if and (eq .component "alerter") (or $alerter.alerts $alerter.alertsConfigMap) }}
- name: alerts
  configMap:
    name: {{ $alerter.alertsConfigMap | default (printf "%s-alerts" (include "gridpulse.fullname" .root)) }}
{{- end }}
{{- end -}}

{{/* Mounts each volume of a rendered list at /etc/gridpulse/<its name>; whole, since a subPath would not follow a change. */}}
{{- define "gridpulse.mounts" -}}
{{- range fromYamlArray . }}
- name: {{ .name }}
  mountPath: /etc/gridpulse/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}
