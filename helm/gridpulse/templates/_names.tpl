{{/* Names, labels, images, and one app's values over those all have. */}}

{{- define "gridpulse.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component. Takes (dict "root" $ "component" name). */}}
{{- define "gridpulse.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gridpulse.labels" -}}
{{ include "gridpulse.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/part-of: gridpulse
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gridpulse.metadata" -}}
name: {{ include "gridpulse.fullname" .root }}-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "gridpulse.labels" . | nindent 2 }}
{{- end -}}

{{/* Values of one app, as JSON: its own over `common`, and what the chart knows of it. Takes (list $ name). */}}
{{- define "gridpulse.app" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $app := mergeOverwrite (deepCopy $root.Values.common) (deepCopy (index $root.Values.apps $name)) -}}
{{- toJson (mergeOverwrite $app (index (include "gridpulse.facts" $root | fromYaml) $name)) -}}
{{- end -}}

{{/* What follows from the programs and is nobody's choice: the kind of workload, what it connects to, and what its lag is. */}}
{{- define "gridpulse.facts" -}}
ingest:
  kind: Deployment
  uses: []
  reads: [{topic: meter.readings}]
detector:
  kind: StatefulSet
  uses: []
  reads: [{topic: meter.readings.valid}]
influx-sink:
  kind: Deployment
  uses: [influxdb]
  reads: [{topic: grid.anomalies}, {topic: grid.rollups}, {topic: meter.readings.valid, part: readings}]
archiver:
  kind: Deployment
  uses: [s3]
  reads: [{topic: meter.readings.valid}, {topic: grid.anomalies}, {topic: grid.rollups}, {topic: meter.readings.dlq}]
alerter:
  kind: Deployment
  uses: [webhooks]
  reads: [{topic: grid.anomalies}]
{{- end -}}

{{/* Takes (dict "root" $ "app" values "program" name). */}}
{{- define "gridpulse.image" -}}
{{- $image := .app.image -}}
{{- $name := default (printf "%s/%s" .root.Values.image.repository .program) $image.repository -}}
{{- if and .root.Values.image.registry (not $image.repository) -}}
{{- $name = printf "%s/%s" .root.Values.image.registry $name -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* A number as people write it: Helm reads 2000000 as a float, and would print 2e+06. */}}
{{- define "gridpulse.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ printf "%.0f" . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}
