use super::files::built_in;
use super::{CourseReference, examine};

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
