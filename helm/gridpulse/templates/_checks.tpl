{{/* Mistakes that a schema cannot see, each told by the name of the value. */}}

{{- define "gridpulse.checks" -}}
{{- $kafka := .Values.kafka -}}
{{- if not $kafka.bootstrapServers -}}{{ fail "kafka.bootstrapServers is not set: host:port of your brokers" }}{{- end -}}
{{- if not .Values.schemaRegistry.url -}}{{ fail "schemaRegistry.url is not set: the root of your registry, for Apicurio …/apis/ccompat/v7" }}{{- end -}}
{{- $principals := dict "topics" .Values.topics -}}
{{- range $name, $own := .Values.apps -}}
  {{- $app := include "gridpulse.app" (list $ $name) | fromJson -}}
  {{- if $app.enabled -}}
    {{- $_ := set $principals (printf "apps.%s" $name) $app -}}
    {{- include "gridpulse.checkReplicas" (dict "root" $ "name" $name "app" $app) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $each := $principals -}}
  {{- include "gridpulse.checkKafka" (dict "root" $ "name" $name "own" $each.kafka) -}}
{{- end -}}
{{- include "gridpulse.checkStores" . -}}
{{- include "gridpulse.checkFiles" . -}}
{{- end -}}

{{- define "gridpulse.checkReplicas" -}}
{{- $partitions := int .root.Values.kafka.partitions -}}
{{- $scaling := .app.autoscaling -}}
{{- if $scaling.enabled -}}
  {{- if gt (int $scaling.maxReplicas) $partitions -}}
    {{ fail (printf "apps.%s.autoscaling.maxReplicas is %d, and kafka.partitions %d: a replica without a partition is never ready" .name (int $scaling.maxReplicas) $partitions) }}
  {{- end -}}
  {{- if gt (int $scaling.minReplicas) (int ($scaling.maxReplicas | default $partitions)) -}}
    {{ fail (printf "apps.%s.autoscaling.minReplicas is %d, more than maxReplicas or kafka.partitions" .name (int $scaling.minReplicas)) }}
  {{- end -}}
{{- else if gt (int .app.replicas) $partitions -}}
  {{ fail (printf "apps.%s.replicas is %d, and kafka.partitions %d: a replica without a partition is never ready" .name (int .app.replicas) $partitions) }}
{{- end -}}
{{- end -}}

{{- define "gridpulse.checkKafka" -}}
{{- $kafka := include "gridpulse.kafka" . | fromJson -}}
{{- if hasPrefix "SASL" $kafka.securityProtocol -}}
  {{- if not $kafka.sasl.existingSecret -}}
    {{ fail (printf "kafka.sasl.existingSecret (or %s.kafka.sasl.existingSecret) is not set: %s needs a Secret with the password" .name $kafka.securityProtocol) }}
  {{- end -}}
  {{- if not (or $kafka.sasl.username $kafka.sasl.usernameKey) -}}
    {{ fail (printf "kafka.sasl.username or usernameKey (or those of %s.kafka.sasl) is not set: %s needs a user" .name $kafka.securityProtocol) }}
  {{- end -}}
{{- else if $kafka.sasl.existingSecret -}}
  {{ fail (printf "kafka.sasl.existingSecret is set, and kafka.securityProtocol is %s: no password would be used; SASL_SSL is meant?" $kafka.securityProtocol) }}
{{- end -}}
{{- if and (or $kafka.tls.caSecret $kafka.tls.clientSecret) (not (hasSuffix "SSL" $kafka.securityProtocol)) -}}
  {{ fail (printf "kafka.tls is set, and kafka.securityProtocol is %s: SSL or SASL_SSL is meant?" $kafka.securityProtocol) }}
{{- end -}}
{{- end -}}

{{- define "gridpulse.checkStores" -}}
{{- if (include "gridpulse.app" (list . "influx-sink") | fromJson).enabled -}}
  {{- if not .Values.influxdb.url -}}{{ fail "influxdb.url is not set (or set apps.influx-sink.enabled to false)" }}{{- end -}}
  {{- if not .Values.influxdb.existingSecret -}}{{ fail "influxdb.existingSecret is not set: a Secret with a token that may write to the bucket" }}{{- end -}}
{{- end -}}
{{- $archiver := (include "gridpulse.app" (list . "archiver") | fromJson).enabled -}}
{{- if or $archiver .Values.archive.compact.enabled .Values.archive.verify.enabled -}}
  {{- if not .Values.s3.endpoint -}}{{ fail "s3.endpoint is not set (or set apps.archiver.enabled to false)" }}{{- end -}}
  {{- if not .Values.s3.existingSecret -}}{{ fail "s3.existingSecret is not set: a Secret with access key and secret key" }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gridpulse.checkFiles" -}}
{{- $detector := .Values.apps.detector -}}
{{- if and $detector.rules $detector.rulesConfigMap -}}{{ fail "apps.detector.rules and apps.detector.rulesConfigMap are both set: one of them" }}{{- end -}}
{{- if and $detector.rulesConfigMap (eq $detector.onRulesChange "roll") -}}
  {{ fail "apps.detector.onRulesChange is roll, and the rules are in a ConfigMap of yours, whose changes Helm does not see: use apps.detector.rules, or reload" }}
{{- end -}}
{{- $alerter := .Values.apps.alerter -}}
{{- if and $alerter.alerts $alerter.alertsConfigMap -}}{{ fail "apps.alerter.alerts and apps.alerter.alertsConfigMap are both set: one of them" }}{{- end -}}
{{- if and $alerter.webhook.existingSecret (not $alerter.webhook.url) -}}{{ fail "apps.alerter.webhook.existingSecret is set without apps.alerter.webhook.url: it signs what that URL gets" }}{{- end -}}
{{- end -}}
