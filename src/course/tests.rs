use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::check::Probe;
use super::diagnostics::{Report, nearest};
use super::files::{Files, built_in, write_built_in};
use super::model::{Course, FileMode, Part, Source};
use super::{CourseReference, Diagnostics, examine, load, parse_duration, read_course};

#[test]
fn the_built_in_courses_have_no_mistakes() {
    let ids = built_in();
    assert!(ids.contains(&"gitops-with-werf".to_owned()), "{ids:?}");
    for id in ids {
        let examination = examine(&CourseReference::BuiltIn(id));
        assert!(examination.diagnostics.items.is_empty(), "{}", examination.diagnostics.render(false));
        assert!(examination.course.is_some());
    }
}

/// Reads a course of one lesson from memory.
pub(super) fn read(lesson: &str) -> (Option<Course>, Diagnostics) {
    let manifest = "id: test\ntitle: Test\nlessons: [01-lesson]\nvariables: [REPLICAS]\n";
    let files = BTreeMap::from([("course.yaml".into(), manifest.into()), ("01-lesson.md".into(), lesson.into())]);
    read_files(files)
}

fn read_files(files: BTreeMap<String, String>) -> (Option<Course>, Diagnostics) {
    let mut report = Report::default();
    let course =
        read_course(&Files::Memory(files), "test", Source::Directory(PathBuf::from("test")), None, &mut report);
    (course, report.finish("test"))
}

/// Reads the only step of a lesson that has no mistake.
fn step(body: &str) -> super::model::Step {
    let (course, diagnostics) = read(&format!("---\ntitle: T\n---\n## S {{#s}}\n\n{body}\n"));
    assert!(diagnostics.items.is_empty(), "{}", diagnostics.render(false));
    course.expect("a course without mistakes").lessons.remove(0).steps.remove(0)
}

#[test]
fn every_verb_finds_its_place() {
    let step = step(concat!(
        "Words.\n\n```sh run\nls\n```\n\n```sh type\ngit init\n```\n\n```text copy\nsecret\n```\n\n",
        "```yaml file path=a.yaml\na: ${X}\n```\n\n```text file path=a.txt mode=append\nb\n\n```\n\n",
        "```expect\nout\n```\n\n```sh setup\ntrue\n```\n\n```sh cleanup\nfalse\n```\n\n",
        "```yaml check\n- name: clean\n  within: 1m30s\n  else: \"{expected}, not {actual}\"\n  git: { clean: true }\n```\n\n",
        "```sh check name=\"it's \\\"there\\\"\" within=5s else='no'\ntest -e a\n```\n\n",
        "```yaml save\ncommit: git rev-parse HEAD\n```\n\n```sh solve\ngit init\n```\n\n```sh solve alt=b\ngit init .\n```\n\n",
        "```sh wrong name='not yet'\ntrue\n```\n\n> [!HINT]\n> One.\n\n> [!HINT when=\"clean\"]\n> Two *parts*.\n>\n> - x\n\n",
        "> [!DEBRIEF]\n> Done.\n\n> [!TIP]\n> An alert.\n",
    ));
    let kinds: Vec<&str> = step
        .body
        .iter()
        .map(|part| match part {
            Part::Prose(_) => "prose",
            Part::Run(_) => "run",
            Part::Type(_) => "type",
            Part::Copy(_) => "copy",
            Part::File(_) => "file",
            Part::Expect { .. } => "expect",
            Part::Quiz(_) => "quiz",
        })
        .collect();
    assert_eq!(kinds, ["prose", "run", "type", "copy", "file", "file", "expect", "prose"]);
    let Part::File(file) = &step.body[5] else { panic!("a file") };
    assert_eq!((file.path.as_str(), file.text.as_str(), file.mode), ("a.txt", "b\n\n", FileMode::Append));
    assert_eq!((step.setup.len(), step.cleanup.len(), step.saves.len(), step.hints.len()), (1, 1, 1, 2));
    assert_eq!((step.alternatives[0].name.as_str(), step.wrongs[0].name.as_str()), ("b", "not yet"));
    assert_eq!(step.solution.as_ref().map(|script| script.text.as_str()), Some("git init\n"));
    let names: Vec<&str> = step.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["clean", "it's \"there\""]);
    assert_eq!(step.checks[0].within.map(|within| within.as_secs()), Some(90));
    assert_eq!(step.checks[0].location, "test/01-lesson.md:42");
    assert!(matches!(&step.checks[1].probe, Probe::Shell { script } if script == "test -e a\n"));
    assert_eq!(step.hints[1].when.as_deref(), Some("clean"));
    assert_eq!((step.hints[1].content.len(), step.debrief.len()), (2, 1));
}

#[test]
fn values_keep_their_types() {
    let step = step(concat!(
        "```sh solve\ntrue\n```\n\n```yaml check\n- name: a\n  kubernetes:\n    kind: Pod\n    name: a\n    fields:\n",
        "      a: 1\n      b: \"1\"\n      c: true\n      d: 1.5\n      e: null\n      f: 1Gi\n      g: [x, { y: -2 }]\n      h: 0x10\n      i: \"${REPLICAS}\"\n```\n",
    ));
    let Probe::Kubernetes(probe) = &step.checks[0].probe else { panic!("a kubernetes check") };
    let values: Vec<String> = probe.fields.values().map(ToString::to_string).collect();
    assert_eq!(values, ["1", "\"1\"", "true", "1.5", "null", "\"1Gi\"", "[\"x\",{\"y\":-2}]", "16", "\"${REPLICAS}\""]);
}

#[test]
fn anchors_and_aliases_are_understood() {
    let step = step(
        "```sh solve\ntrue\n```\n\n```yaml check\n- name: a\n  git: &same { clean: true }\n- name: b\n  git: *same\n```\n",
    );
    assert_eq!(step.checks[0].probe, step.checks[1].probe);
}

#[test]
fn durations() {
    fn check(text: &str, expected: Option<u128>) {
        assert_eq!(parse_duration(text).map(|duration| duration.as_millis()), expected, "{text}");
    }
    check("30s", Some(30_000));
    check("500ms", Some(500));
    check("1m30s", Some(90_000));
    check("1h", Some(3_600_000));
    check("", None);
    check("30", None);
    check("s", None);
    check("-1s", None);
    check("99999999999999999999s", None);
    check("9999999999999999h", None);
}

#[test]
fn near_words_are_found_and_far_ones_are_not() {
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["run", "solve", "check", "kubernetes", "within"]), expected, "{word}");
    }
    check("slove", Some("solve"));
    check("Check", Some("check"));
    check("kube", Some("kubernetes"));
    check("rum", Some("run"));
    check("with in", Some("within"));
    check("banana", None);
    check("x", None);
    check("", None);
}

#[test]
fn a_reference_is_a_path_only_if_it_looks_like_one() {
    fn check(argument: &str, is_path: bool) {
        assert_eq!(matches!(CourseReference::parse(argument), CourseReference::Directory(_)), is_path, "{argument}");
    }
    check("gitops-with-werf", false);
    check("lessons", false);
    check("./lessons", true);
    check("/tmp/course", true);
    check(".", true);
}

#[test]
fn a_course_that_is_not_there_is_told_with_what_was_meant() {
    fn check(reference: &CourseReference, expected: &str) {
        let diagnostics = load(reference).expect_err("there is no such course");
        assert_eq!(diagnostics.render(false).lines().take(2).collect::<Vec<_>>().join("\n"), expected);
    }
    check(
        &CourseReference::BuiltIn("gitops-with-wref".into()),
        "error: there is no course `gitops-with-wref`\n  = help: did you mean `gitops-with-werf`?",
    );
    check(
        &CourseReference::Directory("/nowhere/at-all".into()),
        "error: there is no directory `/nowhere/at-all`\n  = help: a course is a directory with `course.yaml`; `tutorial author new` makes one",
    );
}

#[test]
fn a_built_in_course_can_be_written_to_a_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_built_in("gitops-with-werf", directory.path()).expect("it is written");
    let written = load(&CourseReference::Directory(directory.path().to_owned())).expect("it loads");
    let built_in = load(&CourseReference::BuiltIn("gitops-with-werf".into())).expect("it loads");
    assert_eq!(written.steps().count(), built_in.steps().count());
    assert!(directory.path().join("sample-app/Dockerfile").is_file());
}

/// Pieces of lessons, right and wrong, out of which odd ones can be made.
const SHARDS: [&str; 40] = [
    "---\n",
    "title: T\n",
    "time: 5\n",
    "## S {#s}\n",
    "## S\n",
    "##  {#}\n",
    "# H\n",
    "===\n",
    "```sh run\n",
    "```\n",
    "~~~~\n",
    "```yaml check\n",
    "- name: a\n",
    "  git: { clean: true }\n",
    "  kubernetes: {kind: Pod, name: \"${X}\"}\n",
    "\tx: y\n",
    "  within: 5s\n",
    "```yaml save\n",
    "```yaml quiz\n",
    "options:\n",
    "  - text: a\n",
    "> [!HINT]\n",
    "> [!HINT when=\"a\"]\n",
    "> [!DEBRIEF]\n",
    "> > > text\n",
    "- list\n",
    "  1. item\n",
    "| a | b |\n| --- | --- |\n| 1 | 2 |\n",
    "${NAME}",
    "$${",
    "<br>",
    "<!-- c -->\n",
    "\r\n",
    "\n",
    "é宽",
    "&a *a",
    "{{ .Values.x }}",
    "```x y z=\"",
    "path=\"a b\" mode=patch\n",
    "\u{feff}",
];

fn odd_text() -> impl Strategy<Value = String> {
    let shard =
        prop_oneof![8 => proptest::sample::select(SHARDS.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
    proptest::collection::vec(shard, 0..40).prop_map(|shards| shards.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_lesson_makes_it_panic(lesson in odd_text()) {
        let _ = read(&lesson).1.render(true);
    }

    #[test]
    fn no_manifest_makes_it_panic(manifest in odd_text()) {
        let files = BTreeMap::from([("course.yaml".into(), manifest), ("01-a.md".into(), String::new())]);
        let _ = read_files(files).1.to_json();
    }

    #[test]
    fn no_change_of_a_real_lesson_makes_it_panic(at in 0.0..1.0_f64, length in 0..40_usize, insert in odd_text()) {
        let mut lesson = Files::built_in("gitops-with-werf").expect("it is built in").read("09-rollback.md").expect("it is there");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a text")]
        let wanted = (lesson.len() as f64 * at) as usize;
        let boundary = |text: &str, at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let start = boundary(&lesson, wanted);
        let end = boundary(&lesson, wanted + length);
        lesson.replace_range(start..end.max(start), &insert);
        let _ = read(&lesson).1.render(false);
    }
}

#[test]
fn deep_nesting_is_a_mistake_and_no_overflow() {
    for unit in [">", "- ", "*", "[", "1. ", "> - "] {
        let (_, diagnostics) = read(&format!("---\ntitle: T\n---\n## S {{#s}}\n\n{}x\n", unit.repeat(3000)));
        let _ = diagnostics.render(false);
    }
    for unit in ["[", "{a: ", "- ", "? "] {
        let (_, diagnostics) =
            read(&format!("---\ntitle: T\n---\n## S {{#s}}\n\n```yaml check\n{}\n```\n", unit.repeat(3000)));
        assert!(diagnostics.has_errors());
    }
}

/// The examples of the authoring guide: the insides of its fences of four backticks, by their language.
fn examples(language: &str) -> Vec<String> {
    let guide = include_str!("../../docs/authoring.md");
    let opening = format!("````{language}\n");
    guide.split(&opening).skip(1).filter_map(|rest| rest.split("````\n").next()).map(str::to_owned).collect()
}

#[test]
fn the_examples_of_the_guide_are_right() {
    let manifest = examples("yaml").remove(0);
    let lessons = examples("markdown");
    assert!(lessons.len() > 12, "the guide has examples");
    for example in &lessons {
        let mut lesson = String::new();
        if !example.starts_with("---") {
            lesson.push_str("---\ntitle: Example\n---\n");
        }
        if !example.contains("## ") {
            lesson.push_str("## Example {#example}\n\n");
        }
        lesson.push_str(example);
        if !["sh solve\n", "sh type\n", "sh run\n"].iter().any(|verb| example.contains(verb)) {
            lesson.push_str("\n```sh solve\ntrue\n```\n");
        }
        let files = BTreeMap::from([("course.yaml".into(), manifest.clone()), ("01-first-lesson.md".into(), lesson)]);
        let (course, diagnostics) = read_files(files);
        assert!(!diagnostics.has_errors(), "{example}\n{}", diagnostics.render(false));
        assert!(course.is_some());
    }
}

#[test]
fn the_guide_shows_every_verb_and_every_field() {
    let shown = examples("markdown").concat();
    for verb in super::fence::Verb::words() {
        assert!(shown.lines().any(|line| line.starts_with("```") && line.split(' ').nth(1) == Some(verb)), "{verb}");
    }
    for (kind, fields) in super::checks::KINDS {
        assert!(shown.contains(&format!("  {kind}:")), "{kind}");
        for field in fields {
            assert!(shown.contains(&format!("{field}:")), "{kind}: {field}");
        }
    }
    let manifest = examples("yaml").remove(0);
    for key in super::manifest::KEYS {
        assert!(manifest.contains(&format!("{key}:")), "{key}");
    }
}

const ORIGINAL: &str = "---\ntitle: First\n---\nHello.\n\n## One {#one}\n\nA.\n\n```sh type\ntrue\n```\n\nB.\n\n```yaml check\n- name: c\n  git: { clean: true }\n```\n\n> [!HINT when=\"c\"]\n> H.\n\n> [!DEBRIEF]\n> D.\n";

fn read_translated(translation: &str, language: &str) -> (Option<Course>, Diagnostics) {
    let files = BTreeMap::from([
        ("course.yaml".into(), "id: test\ntitle: Test\nlessons: [01-lesson]\n".into()),
        ("01-lesson.md".into(), ORIGINAL.into()),
        ("01-lesson.de.md".into(), translation.into()),
    ]);
    let mut report = Report::default();
    let source = Source::Directory(PathBuf::from("test"));
    let course = read_course(&Files::Memory(files), "test", source, Some(language), &mut report);
    (course, report.finish("test"))
}

#[test]
fn a_translation_brings_the_prose_and_nothing_else() {
    let german =
        "---\ntitle: Erste\n---\nHallo.\n\n## Eins {#one}\n\nÄ.\n\nBe.\n\n> [!HINT]\n> Ha.\n\n> [!DEBRIEF]\n> De.\n";
    let shown = |language: &str| {
        let (course, diagnostics) = read_translated(german, language);
        assert!(diagnostics.items.is_empty(), "{}", diagnostics.render(false));
        let lesson = course.expect("a course").lessons.remove(0);
        let step = &lesson.steps[0];
        let parts: Vec<String> = step.body.iter().filter_map(Part::block).map(|block| format!("{block:?}")).collect();
        assert_eq!((parts.len(), step.checks.len(), step.hints[0].when.as_deref()), (3, 1, Some("c")));
        assert!(parts[1].contains("true"), "the command stands where it stood");
        (lesson.title.clone(), step.title.clone(), parts[2].clone())
    };
    assert_eq!(shown("de-AT"), ("Erste".into(), "Eins".into(), "Paragraph([Text(\"Be.\")])".into()));
    assert_eq!(shown("fr"), ("First".into(), "One".into(), "Paragraph([Text(\"B.\")])".into()));
}

#[test]
fn a_stale_translation_is_told() {
    fn check(translation: &str, expected: &[&str]) {
        let (_, diagnostics) = read_translated(translation, "de");
        let messages: Vec<&str> = diagnostics.items.iter().map(|item| item.message.as_str()).collect();
        assert_eq!(messages, expected);
    }
    check(
        "---\ntitle: T\n---\n## Eins {#ones}\n\nA.\n",
        &["the step `one` is not translated", "the lesson `01-lesson` has no step `ones`"],
    );
    check(
        "---\ntitle: T\n---\n## Eins {#one}\n\nA.\n\n```sh type\ntrue\n```\n",
        &[
            "this step has 1 paragraphs and other elements of prose, its original has 2",
            "this step has 0 hints, its original has 1",
            "the debrief is not translated",
            "a `type` fence in a translation, which holds prose alone",
        ],
    );
}
