{{ define "demo.helper" }}helped {{ .Values.name }}{{ end }}
