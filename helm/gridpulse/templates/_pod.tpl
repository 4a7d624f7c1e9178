{{/* What every pod and container here has: the "restricted" pod security standard, and nothing that loosens it. */}}

{{/* Takes (dict "root" $ "app" values "account" name). */}}
{{- define "gridpulse.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
# Kubernetes would make variables of every Service here: one called gridpulse-metrics would set GRIDPULSE_METRICS_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .app.runAs.user }}
  runAsUser: {{ include "gridpulse.text" . }}
  {{- end }}
  {{- with .app.runAs.group }}
  runAsGroup: {{ include "gridpulse.text" . }}
  fsGroup: {{ include "gridpulse.text" . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .app.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .app.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .app.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "gridpulse.container" -}}
image: {{ include "gridpulse.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .app.resources | nindent 2 }}
{{- end -}}

{{/* Replicas on different nodes, evened out over zones. Takes (dict "root" $ "component" name "app" values). */}}
{{- define "gridpulse.spread" -}}
{{- $labels := include "gridpulse.selector" . -}}
{{- if ne .app.antiAffinity "none" }}
affinity:
  podAntiAffinity:
    {{- if eq .app.antiAffinity "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- $labels | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- $labels | nindent 14 }}
    {{- end }}
{{- end }}
{{- with .app.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Pod template of an app. Takes (dict "root" $ "component" name "app" values). */}}
{{- define "gridpulse.appPod" -}}
{{- $root := .root -}}
{{- $name := .component -}}
{{- $app := .app -}}
{{- $kafka := include "gridpulse.kafka" (dict "root" $root "own" $app.kafka) | fromJson -}}
{{- $volumes := printf "%s%s" (include "gridpulse.secretVolumes" (dict "root" $root "kafka" $kafka "uses" $app.uses)) (include "gridpulse.fileVolumes" .) -}}
metadata:
  labels:
    {{- include "gridpulse.selector" . | nindent 4 }}
    {{- with $app.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $name }}
    {{- if and (eq $name "alerter") $app.alerts }}
    gridpulse/alerts-checksum: {{ $app.alerts | sha256sum }} # a change of alerts.toml needs a restart
    {{- end }}
    {{- if and (eq $name "detector") $app.rules (eq $app.onRulesChange "roll") }}
    gridpulse/rules-checksum: {{ $app.rules | sha256sum }}
    {{- end }}
    {{- with $app.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "gridpulse.pod" (dict "root" $root "app" $app "account" (printf "%s-%s" (include "gridpulse.fullname" $root) $name)) | nindent 2 }}
  {{- include "gridpulse.spread" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ int $app.terminationGracePeriodSeconds }}
  containers:
    - name: {{ $name }}
      {{- include "gridpulse.container" (dict "root" $root "app" $app "program" $name) | nindent 6 }}
      env:
        {{- include "gridpulse.env.kafka" (dict "root" $root "kafka" $kafka) | nindent 8 }}
        {{- range $app.uses }}
        {{- include (printf "gridpulse.env.%s" .) $root | nindent 8 }}
        {{- end }}
        {{- if and (eq $name "detector") (or $app.rules $app.rulesConfigMap) }}
        - name: GRIDPULSE_RULES
          value: /etc/gridpulse/rules/rules.toml
        {{- end }}
        {{- if eq $app.kind "StatefulSet" }}
        - name: GRIDPULSE_INSTANCE_ID
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        {{- end }}
        - name: GRIDPULSE_STATE_DIR
          value: /state
        - name: GRIDPULSE_METRICS_HOST
          value: "0.0.0.0"
        - name: GRIDPULSE_METRICS_PORT
          value: "8000"
        {{- range $variable, $value := merge (dict) $app.env (dict "GRIDPULSE_LOG_FORMAT" "json") }}
        - name: {{ $variable }}
          value: {{ include "gridpulse.text" $value | quote }}
        {{- end }}
        {{- with $app.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: metrics
          containerPort: 8000
      startupProbe: # the program compiles nothing and asks nobody before it answers
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: {{ div (add (int $app.startupSeconds) 1) 2 }}
      livenessProbe: # 503 once the loop has not turned for 120 s
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe: # partitions assigned, state recovered, destination answers
        httpGet: { path: /readyz, port: metrics }
        periodSeconds: 5
        timeoutSeconds: 5
      volumeMounts:
        - name: state
          mountPath: /state
        - name: tmp
          mountPath: /tmp
        {{- include "gridpulse.mounts" $volumes | nindent 8 }}
        {{- with $app.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- if not (dig "persistence" "enabled" false $app) }}
    - name: state
      emptyDir:
        sizeLimit: {{ $app.scratchSize }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ $app.scratchSize }}
    {{- $volumes | nindent 4 }}
    {{- with $app.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
