//! What a lesson looks like: whole outputs at several widths, with escapes and without.

use std::path::PathBuf;
use std::time::Instant;

use tutorial::course::model::Part;
use tutorial::course::{Course, CourseReference, Variables, load};
use tutorial::markdown::{Block, Inline};
use tutorial::ui::Theme;
use tutorial::ui::render::render;

fn showcase() -> Course {
    load(&CourseReference::Directory(PathBuf::from("tests/golden/render"))).expect("the showcase has no mistakes")
}

fn blocks(course: &Course) -> Vec<Block> {
    let variables: Variables =
        [("URL_DEVELOPMENT", "http://localhost:30081"), ("PROJECT", "demo-app")].into_iter().collect();
    let mut blocks = Vec::new();
    for (_, step) in course.steps() {
        blocks.push(Block::Heading { level: 2, content: vec![Inline::Text(step.title.clone())] });
        blocks.extend(step.body.iter().filter_map(|part| variables.substitute_part(part).block()));
    }
    blocks
}

#[test]
fn a_lesson_reads_well_at_any_width() {
    let blocks = blocks(&showcase());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/render");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for width in [40, 60, 80, 100] {
            insta::assert_snapshot!(format!("plain-{width}"), render(&blocks, Theme::PLAIN, width));
        }
        for (name, hyperlinks) in [("colour", false), ("hyperlinks", true)] {
            let text = render(&blocks, Theme { colour: true, hyperlinks }, 72);
            insta::assert_snapshot!(format!("{name}-72"), text.replace('\x1b', "␛"));
        }
    });
}

/// A command that is copied must be the command: nothing else on its line, and the line whole.
#[test]
fn code_stands_alone_on_its_lines() {
    let blocks = blocks(&showcase());
    let long = "git commit -am \"A line that is far too long for a narrow terminal and must not be broken, whatever happens to it\"";
    for theme in [Theme::PLAIN, Theme { colour: true, hyperlinks: true }] {
        let text = render(&blocks, theme, 40);
        let bare = console::strip_ansi_codes(&text);
        for line in [long, "  replicas: 2", "COPY --from=build $SOURCE /usr/share/nginx/html", "-old", "demo   1/1"] {
            assert!(bare.lines().any(|shown| shown == line), "`{line}` stands alone on its line");
        }
        assert!(bare.lines().any(|shown| shown == "  git push --force-with-lease"), "no bar stands before code");
    }
}

#[test]
fn rendering_is_quick() {
    let course = load(&CourseReference::BuiltIn("gitops-with-werf".into())).expect("it is built in");
    for (_, step) in course.steps() {
        let blocks: Vec<Block> = step.body.iter().filter_map(Part::block).collect();
        let milliseconds = |_| {
            let start = Instant::now();
            let _ = render(&blocks, Theme { colour: true, hyperlinks: true }, 80);
            start.elapsed().as_secs_f64() * 1000.0
        };
        let quickest = (0..5).map(milliseconds).fold(f64::INFINITY, f64::min);
        // Below five milliseconds in a release build; a debug build on a busy machine gets ten times that.
        assert!(quickest < 50.0, "the step `{}` took {quickest:.1} ms", step.id);
    }
}
