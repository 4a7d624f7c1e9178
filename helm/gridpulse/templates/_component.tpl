{{/* Everything one app is made of. Takes (dict "root" $ "component" name "app" values). */}}
{{- define "gridpulse.component" -}}
{{- $root := .root -}}
{{- $name := .component -}}
{{- $app := .app -}}
{{- $full := printf "%s-%s" (include "gridpulse.fullname" $root) $name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
  {{- with $app.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false # no app talks to Kubernetes
---
apiVersion: v1
kind: Service # without an address: a name for each pod and for /metrics
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true # an app that waits is measured too
  selector:
    {{- include "gridpulse.selector" . | nindent 4 }}
  ports:
    - name: metrics
      port: 8000
      targetPort: metrics
---
apiVersion: apps/v1
kind: {{ $app.kind }}
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
spec:
  {{- if not $app.autoscaling.enabled }}
  replicas: {{ int $app.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "gridpulse.selector" . | nindent 6 }}
  {{- if eq $app.kind "StatefulSet" }}
  serviceName: {{ $full }}
  podManagementPolicy: Parallel # at a start none waits for another
  updateStrategy:
    type: RollingUpdate
  {{- if $app.persistence.enabled }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Retain
    whenScaled: Delete # what comes back later is rebuilt from Kafka, and never older than what Kafka has forgotten
  volumeClaimTemplates:
    - metadata:
        name: state
        labels:
          {{- include "gridpulse.selector" . | nindent 10 }}
      spec:
        accessModes:
          {{- toYaml $app.persistence.accessModes | nindent 10 }}
        {{- if kindIs "string" $app.persistence.storageClassName }}
        storageClassName: {{ $app.persistence.storageClassName | quote }}
        {{- end }}
        resources:
          requests:
            storage: {{ $app.persistence.size }}
  {{- end }}
  {{- else }}
  # The old replica goes first: with as many replicas as partitions a new one beside them would wait for a partition for ever.
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 0, maxUnavailable: 1 }
  {{- end }}
  template:
    {{- include "gridpulse.appPod" . | nindent 4 }}
{{- if $app.podDisruptionBudget }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow # one that waits for InfluxDB does not hold up the draining of a node
  selector:
    matchLabels:
      {{- include "gridpulse.selector" . | nindent 6 }}
{{- end }}
{{- if $root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "gridpulse.metadata" . | nindent 2 }}
spec:
  {{- include "gridpulse.networkPolicySpec" (dict "root" $root "component" $name "uses" (concat (list "kafka" "schemaRegistry") $app.uses) "scraped" true) | nindent 2 }}
{{- end }}
{{- if $app.autoscaling.enabled }}
---
{{ include "gridpulse.scaledObject" . }}
{{- end }}
{{- end -}}
