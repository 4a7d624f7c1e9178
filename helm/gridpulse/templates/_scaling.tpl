{{/* A KEDA ScaledObject: replicas by lag, never more than partitions. Takes (dict "root" $ "component" name "app" values). */}}
{{- define "gridpulse.scaledObject" -}}
{{- $root := .root -}}
{{- $app := .app -}}
{{- $name := .component -}}
{{- $kafka := include "gridpulse.kafka" (dict "root" $root "own" $root.Values.autoscaling.kafka) | fromJson -}}
{{- $group := index $app.env "GRIDPULSE_CONSUMER_GROUP" | default (printf "gridpulse-%s" $name) -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ $app.kind }}
    name: {{ include "gridpulse.fullname" $root }}-{{ $name }}
  # Never zero: quiet feeders are found by an app that runs.
  minReplicaCount: {{ int $app.autoscaling.minReplicas }}
  maxReplicaCount: {{ int ($app.autoscaling.maxReplicas | default $root.Values.kafka.partitions) }}
  pollingInterval: {{ int $root.Values.autoscaling.pollingInterval }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: {{ int $root.Values.autoscaling.scaleDownSeconds }}
          policies:
            - { type: Pods, value: 1, periodSeconds: 60 }
  triggers:
    {{- range $app.reads }}
    - type: kafka
      metadata:
        bootstrapServers: {{ $kafka.bootstrapServers | quote }}
        consumerGroup: {{ empty .part | ternary $group (printf "%s-%s" $group (.part | default "")) }}
        topic: {{ .topic }}
        lagThreshold: {{ include "gridpulse.text" $app.autoscaling.lagThreshold | quote }}
        offsetResetPolicy: earliest # as the apps do: a new group has everything to read
        {{- if hasSuffix "SSL" $kafka.securityProtocol }}
        tls: enable
        {{- end }}
        {{- if hasPrefix "SASL" $kafka.securityProtocol }}
        sasl: {{ get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512") $kafka.sasl.mechanism }}
        {{- end }}
      {{- if or $kafka.sasl.existingSecret $kafka.tls.caSecret $kafka.tls.clientSecret }}
      authenticationRef:
        name: {{ include "gridpulse.fullname" $root }}-scaling
      {{- end }}
    {{- end }}
{{- end -}}
