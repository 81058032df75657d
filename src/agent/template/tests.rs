use serde_json::json;

use super::*;

/// Renders `text` as the template `demo/templates/a.yaml` beside a small set of helpers.
fn rendered(text: &str) -> Result<String, String> {
    let helpers = "{{- define \"demo.name\" -}}\n{{ .Chart.Name | trunc 63 | trimSuffix \"-\" }}\n{{- end }}\n{{ define \"demo.bad\" }}\n{{ .Values.none.deep }}\n{{ end }}";
    let sources = vec![
        Source { name: "demo/templates/_helpers.tpl".into(), text: helpers.into() },
        Source { name: "demo/templates/a.yaml".into(), text: text.into() },
        Source { name: "demo/templates/b.yaml".into(), text: "b: {{ .Values.text }}".into() },
    ];
    let context = json!({
        "Chart": {"Name": "demo"},
        "Release": {"Name": "demo-production"},
        "Template": {"BasePath": "demo/templates"},
        "Capabilities": {"APIVersions": ["v1"], "KubeVersion": {"Version": "v1.34.2", "Major": "1", "Minor": "34"}},
        "Files": {"note.txt": "one\ntwo"},
        "Values": {
            "replicas": {"production": 2}, "big": 10_000_000, "float": 1.5, "empty": "", "text": "a \"b\"", "no": false,
            "list": ["x", "y"], "map": {"b": 1, "a": {"c": [1, {"d": null}]}}, "werf": {"env": "production"}
        }
    });
    render(sources, vec![("demo/templates/a.yaml".into(), context)]).map(|mut outputs| outputs.remove(0))
}

#[test]
fn helm_renders_so() {
    let check = |text: &str, expected: &str| assert_eq!(rendered(text), Ok(expected.to_owned()), "{text}");
    check("{{ .Chart.Name }}", "demo");
    check("{{ index .Values.replicas .Values.werf.env | default 1 }}", "2");
    check("{{ index .Values.replicas \"other\" | default 1 }}", "1");
    check("{{ .Values.big }} {{ .Values.float }} {{ .Values.no }}", "10000000 1.5 false");
    check("{{ .Values.none }}|{{ .Values.none | default \"x\" }}|{{ .Values.none | quote }}", "|x|");
    check(
        "{{ .Values.text | quote }} {{ .Values.text | squote }} {{ quote 1 true }}",
        r#""a \"b\"" 'a "b"' "1" "true""#,
    );
    check("{{ include \"demo.name\" . | upper }}", "DEMO");
    check("{{ include (print $.Template.BasePath \"/b.yaml\") . | sha256sum | trunc 8 }}", "df37e034");
    check("{{ tpl \"{{ .Chart.Name }}-x\" . }}", "demo-x");
    check("a:{{ toYaml .Values.map | nindent 2 }}", "a:\n  a:\n    c:\n    - 1\n    - d: null\n  b: 1");
    check("{{ range $i, $v := .Values.list }}{{ $i }}{{ $v }} {{ end }}", "0x 1y ");
    check("{{ range .Values.none }}x{{ else }}none{{ end }}", "none");
    check("{{ with .Values.map }}{{ .b }}{{ end }}{{ with .Values.none }}x{{ end }}", "1");
    check("{{ if and .Values.no .Values.none.deep }}x{{ else }}y{{ end }}", "y");
    check("{{ if not .Values.no }}x{{ end }}", "x");
    check("{{ $d := dict \"a\" 1 }}{{ $_ := set $d \"b\" 2 }}{{ $d.b }}{{ $d | toJson }}", "2{\"a\":1,\"b\":2}");
    check("{{ range $i := until 9 }}{{ if eq $i 2 }}{{ break }}{{ end }}{{ $i }}{{ end }}", "01");
    check("{{ dig \"a\" \"z\" \"none\" .Values.map }} {{ pluck \"b\" .Values.map | first }}", "none 1");
    check("{{ semverCompare \">=1.19-0\" .Capabilities.KubeVersion.Version }}", "true");
    check("{{ .Capabilities.APIVersions.Has \"v1\" }} {{ .Files.Get \"note.txt\" | b64enc }}", "true b25lCnR3bw==");
    check("{{ join \",\" .Values.list }} {{ append (list 1 2) 3 | len }}", "x,y 3");
    check(
        "{{ ternary \"a\" \"b\" true }} {{ contains \"b\" \"abc\" }} {{ replace \"+\" \"_\" \"1+2\" }}",
        "a true 1_2",
    );
    check("{{ printf \"%s-%d\" .Release.Name 3 }} {{ printf \"%v\" .Values.big }}", "demo-production-3 10000000");
    check("{{ lookup \"v1\" \"Secret\" \"a\" \"b\" }}", "map[]");
    check("{{ required \"needed\" .Chart.Name }} {{ kindIs \"map\" .Values.map }}", "demo true");
    check("{{- /* a comment */ -}} x {{- \"y\" }}", "xy");
    check("{{ add 1 2 }} {{ mul 2 3 }} {{ int \"4\" }} {{ toString 5 }} {{ max 1 7 }}", "3 6 4 5 7");
    check("{{ (fromYaml \"a: {b: 1}\").a.b }} {{ (index .Values.list 1) }}", "1 y");
    check("{{ trimSuffix \"-\" \"a--\" }} {{ title \"ab cd\" }}", "a- Ab Cd");
    check("{{ merge (dict \"a\" 1) (dict \"a\" 2 \"b\" 3) | toJson }}", "{\"a\":1,\"b\":3}");
    check("{{ sortAlpha (list \"b\" \"a\") | join \"\" }} {{ keys .Values.map | sortAlpha | first }}", "ab a");
}

#[test]
fn helm_fails_so() {
    let check = |text: &str, expected: &str| assert_eq!(rendered(text), Err(expected.to_owned()), "{text}");
    check(
        "a:\n- {port: {{ index .Values.replicas .Values.none }}}",
        "template: demo/templates/a.yaml:2:12: executing \"demo/templates/a.yaml\" at <index .Values.replicas .Values.none>: error calling index: value is nil; should be of type string",
    );
    check(
        "x: {{ .Values.none.deep }}",
        "template: demo/templates/a.yaml:1:13: executing \"demo/templates/a.yaml\" at <.Values.none.deep>: nil pointer evaluating interface {}.deep",
    );
    check("x: {{ .Values.none | required \"say it\" }}", "execution error at (demo/templates/a.yaml:1:21): say it");
    check("{{ fail \"no\" }}", "execution error at (demo/templates/a.yaml:1:3): no");
    check(
        "{{ include \"other\" . }}",
        "template: demo/templates/a.yaml:1:3: executing \"demo/templates/a.yaml\" at <include \"other\" .>: error calling include: template: no template \"other\" associated with template \"gotpl\"",
    );
    check(
        "{{ include \"demo.bad\" . }}",
        "template: demo/templates/a.yaml:1:3: executing \"demo/templates/a.yaml\" at <include \"demo.bad\" .>: error calling include: template: demo/templates/_helpers.tpl:5:10: executing \"demo.bad\" at <.Values.none.deep>: nil pointer evaluating interface {}.deep",
    );
    check(
        "a\n\n\n{{ .Chart.Name | quotee }}",
        "parse error at (demo/templates/a.yaml:4): function \"quotee\" not defined",
    );
    check(
        "{{ now | date \"2006\" }}",
        "parse error at (demo/templates/a.yaml:1): function \"date\" is not available in the embedded werf",
    );
}

#[test]
fn no_text_stops_the_engine() {
    for text in [
        "{{",
        "{{ \"",
        "{{ . ",
        "}}",
        "{{ end }}",
        "{{ if }}",
        "{{ include \"demo/templates/a.yaml\" . }}",
        "{{ (.a",
        "{{ .é.ü }}",
    ] {
        assert!(rendered(text).is_err() || text == "}}", "{text}");
    }
}
