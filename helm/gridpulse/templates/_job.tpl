{{/* Pod template of a job that runs one of an app's commands. Takes (dict "root" $ "component" name "program" app "app" values
     "kafka" values "uses" list "args" list "account" name). */}}
{{- define "gridpulse.jobPod" -}}
{{- $root := .root -}}
{{- $volumes := include "gridpulse.secretVolumes" . -}}
metadata:
  labels:
    {{- include "gridpulse.selector" . | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "gridpulse.pod" . | nindent 2 }}
  containers:
    - name: {{ .component }}
      {{- include "gridpulse.container" . | nindent 6 }}
      command: [gridpulse-{{ .program }}]
      args:
        {{- toYaml .args | nindent 8 }}
      env:
        {{- include "gridpulse.env.kafka" . | nindent 8 }}
        {{- range .uses }}
        {{- include (printf "gridpulse.env.%s" .) $root | nindent 8 }}
        {{- end }}
        - name: GRIDPULSE_LOG_FORMAT
          value: json
        {{- with .app.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- include "gridpulse.mounts" $volumes | nindent 8 }}
        {{- with .app.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ .app.scratchSize }}
    {{- $volumes | nindent 4 }}
    {{- with .app.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
