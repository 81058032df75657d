//! Broken courses and what is said of them: whole outputs.

use std::path::Path;

use tutorial::course::{CourseReference, examine};

#[test]
fn every_mistake_is_told_at_its_place() {
    let directory = Path::new("tests/golden/courses");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the broken courses are there")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    assert!(names.len() > 8, "{names:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/courses");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let examination = examine(&CourseReference::Directory(directory.join(&name)));
            assert!(examination.course.is_none(), "{name} is broken");
            insta::assert_snapshot!(name, examination.diagnostics.render(false));
        }
    });
}
