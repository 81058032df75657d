//! Expressions of templates against what Helm 3.19 printed for them: `tests/golden/templates/expressions.jsonl`,
//! recorded with the chart beside it. Where `helm3` is installed, it is asked again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::*;

const FILES: &[(&str, &str)] = &[
    ("Chart.yaml", include_str!("../../tests/golden/templates/chart/Chart.yaml")),
    ("values.yaml", include_str!("../../tests/golden/templates/chart/values.yaml")),
    ("file.txt", include_str!("../../tests/golden/templates/chart/file.txt")),
    ("templates/_helpers.tpl", include_str!("../../tests/golden/templates/chart/templates/_helpers.tpl")),
    ("templates/main.yaml", include_str!("../../tests/golden/templates/chart/templates/main.yaml")),
];

const RECORDED: &str = include_str!("../../tests/golden/templates/expressions.jsonl");

/// What the embedded werf refuses although Helm does it: there must be an error. A float that is written whole in a
/// template (`2.0`) is a whole number to the engine.
const REFUSED: &[&str] = &[
    "toToml",
    "(semver \"1.2.3\" | (semver",
    "urlParse",
    "urlJoin",
    "duration",
    ".Files.Glob",
    "(.Files.Glob",
    "eq .Values.two 2.0",
];

/// Mistakes that are told with the call's place where Helm has the argument's, or in the engine's words: there must
/// be an error, with another text.
const WORDED_OTHERWISE: &[&str] = &[
    "call",
    "nil | default",
    "ternary \"a\" \"b\" \"notbool\"",
    "upper 1",
    "trunc \"a\"",
    "until .Values.two",
    "repeat .Values.two",
    "b64enc 1",
    "split \".\" 1",
    "hasKey \"a\"",
    "toYaml",
    "index",
    "lower .Values.two",
    "indent \"2\"",
    "nindent 2 nil",
    "trimSuffix 1",
];

/// Texts of parsers' mistakes, which are each parser's own.
const PARSERS_OWN: &[&str] = &["fromJson \"nope\"", "fromYaml \"a: [\""];

fn is_among(expression: &str, list: &[&str]) -> bool {
    list.iter().any(|start| {
        expression.strip_prefix(start).is_some_and(|rest| {
            rest.is_empty() || start.contains(' ') || start.contains('.') || REFUSED.contains(start)
        })
    })
}

/// What one expression gave.
#[derive(Debug, Deserialize)]
struct Expression {
    #[serde(rename = "expression")]
    text: String,
    output: Option<String>,
    error: Option<String>,
}

fn expressions() -> Vec<Expression> {
    RECORDED.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn rendered(expression: &str) -> Result<String, String> {
    let mut chart =
        Chart { metadata: Metadata::default(), values: json!({}), templates: Vec::new(), files: Vec::new() };
    let template = format!("{{{{ define \"expression\" }}}}{{{{ {expression} }}}}{{{{ end }}}}");
    for (path, text) in FILES.iter().copied().chain([("templates/_expression.tpl", template.as_str())]) {
        chart.add(path, text.as_bytes().to_vec(), "demo").map_err(|fault| fault.to_string())?;
    }
    chart.complete_metadata("demo");
    let versions = ["v1".to_owned(), "apps/v1".to_owned(), "networking.k8s.io/v1".to_owned()];
    let occasion = Occasion {
        release: "release",
        namespace: "default",
        revision: 1,
        upgrade: false,
        kubernetes_version: "v1.34.0",
        api_versions: &versions,
    };
    let rendered = chart.render(&chart.values, &occasion).map_err(|fault| {
        let text = fault.to_string();
        let text = text.strip_prefix("render resources for chart \"demo\": ").unwrap_or(&text);
        text.split("\nUse --debug").next().unwrap_or(text).to_owned()
    })?;
    let text = rendered[0].text.trim().trim_start_matches("out: \"").trim_end_matches('"');
    String::from_utf8(STANDARD.decode(text).expect(text)).map_err(|error| error.to_string())
}

#[test]
fn expressions_give_what_helm_gives() {
    let mut wrong = Vec::new();
    for Expression { text: expression, output, error } in expressions() {
        let expected = output.ok_or_else(|| error.unwrap_or_default());
        let actual = rendered(&expression);
        let as_told = if is_among(&expression, REFUSED) || expected.is_err() && is_among(&expression, WORDED_OTHERWISE)
        {
            actual.is_err()
        } else if is_among(&expression, PARSERS_OWN) {
            actual.as_ref().is_ok_and(|text| text.starts_with("map[Error:"))
        } else {
            actual == expected
        };
        if !as_told {
            wrong.push(format!("{expression}\n  helm: {expected:?}\n  here: {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of the expressions\n{}", wrong.len(), wrong.join("\n"));
}

/// The same of the Helm that is installed, where one is: all that it can render, in one chart.
#[test]
fn helm_gives_what_was_recorded() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(helm) = std::env::split_paths(&path).map(|place| place.join("helm3")).find(|place| place.is_file()) else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: &str| {
        let path = directory.path().join("demo").join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    };
    let known: Vec<Expression> = expressions().into_iter().filter(|known| known.output.is_some()).collect();
    let (mut definitions, mut main) = (String::new(), String::new());
    for (number, Expression { text, .. }) in known.iter().enumerate() {
        definitions.push_str(&format!("{{{{ define \"e{number}\" }}}}{{{{ {text} }}}}{{{{ end }}}}"));
        main.push_str(&format!("e{number}: {{{{ include \"e{number}\" . | b64enc | quote }}}}\n"));
    }
    for (path, text) in FILES.iter().copied().filter(|(path, _)| *path != "templates/main.yaml") {
        write(path, text);
    }
    write("templates/_expressions.tpl", &definitions);
    write("templates/main.yaml", &main);
    let output = std::process::Command::new(helm)
        .args(["template", "release", "demo"])
        .current_dir(directory.path())
        .env("HOME", directory.path())
        .output()
        .expect("helm runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (number, Expression { text, output, .. }) in known.iter().enumerate() {
        let start = format!("e{number}: \"");
        let line = said.lines().find_map(|line| line.strip_prefix(&start)).expect(text);
        let decoded = STANDARD.decode(line.trim_end_matches('"')).expect(text);
        assert_eq!(Some(String::from_utf8_lossy(&decoded).into_owned()), *output, "{text}");
    }
}
