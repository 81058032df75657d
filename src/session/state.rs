//! Where a learner stands in a course: pure functions over the course and the progress.

use crate::course::model::{Course, Lesson, Step};
use crate::error::{Exit, Explain};
use crate::workspace::progress::{Outcome, Progress};

/// A step's place in its course. Numbers start at 1.
#[derive(Debug, Clone, Copy)]
pub struct Place<'c> {
    pub lesson: &'c Lesson,
    pub lesson_number: usize,
    pub lessons: usize,
    pub step: &'c Step,
    /// Counted through the whole course.
    pub number: usize,
    pub steps: usize,
    /// Counted in its lesson.
    pub number_in_lesson: usize,
}

impl Place<'_> {
    /// Whether the lesson's introduction stands before it.
    pub fn opens_lesson(&self) -> bool {
        self.number_in_lesson == 1
    }

    pub fn id(&self) -> &str {
        &self.step.id.0
    }
}

/// What `status` says of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    Done,
    Current,
    Todo,
    Skipped,
}

/// A step that the course does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the course has no step `{asked}`")]
pub struct UnknownStep {
    pub asked: String,
    /// The id that was meant, perhaps.
    pub nearest: Option<String>,
}

impl Explain for UnknownStep {
    fn hint(&self) -> Option<String> {
        Some(match &self.nearest {
            Some(nearest) => format!("did you mean `{nearest}`? `tutorial status` lists the steps"),
            None => "`tutorial status` lists the steps".into(),
        })
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

/// Every step with its place, in order.
pub fn places(course: &Course) -> impl Iterator<Item = Place<'_>> {
    let lessons = course.lessons.len();
    let steps = course.lessons.iter().map(|lesson| lesson.steps.len()).sum();
    let in_lessons = course.lessons.iter().enumerate().flat_map(|(lesson_number, lesson)| {
        lesson.steps.iter().enumerate().map(move |(number, step)| (lesson_number + 1, lesson, number + 1, step))
    });
    in_lessons.enumerate().map(move |(number, (lesson_number, lesson, number_in_lesson, step))| Place {
        lesson,
        lesson_number,
        lessons,
        step,
        number: number + 1,
        steps,
        number_in_lesson,
    })
}

/// The place of the step with this id.
pub fn place<'c>(course: &'c Course, id: &str) -> Option<Place<'c>> {
    places(course).find(|place| place.id() == id)
}

/// The step after this one.
pub fn after<'c>(course: &'c Course, id: &str) -> Option<Place<'c>> {
    places(course).skip_while(|place| place.id() != id).nth(1)
}

/// The step before this one.
pub fn before<'c>(course: &'c Course, id: &str) -> Option<Place<'c>> {
    places(course).take_while(|place| place.id() != id).last().filter(|_| place(course, id).is_some())
}

/// The step that the learner means: an id, or a number as `status` shows it.
pub fn find<'c>(course: &'c Course, asked: &str) -> Result<Place<'c>, UnknownStep> {
    let number = asked.parse::<usize>().ok();
    let found = place(course, asked).or_else(|| places(course).find(|place| Some(place.number) == number));
    found.ok_or_else(|| UnknownStep { asked: asked.to_owned(), nearest: nearest(course, asked) })
}

fn nearest(course: &Course, asked: &str) -> Option<String> {
    let ids = places(course).map(|place| place.id().to_owned());
    let ranked = ids.map(|id| (similarity(&id, asked), id));
    ranked
        .filter(|(similarity, _)| *similarity > 0.5)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, id)| id)
}

fn similarity(left: &str, right: &str) -> f32 {
    if !right.is_empty() && left.contains(right) {
        return 0.9;
    }
    similar::TextDiff::from_chars(left, right).ratio()
}

/// What `status` says of a step. The one where the learner is counts as current until it passes on the state that is
/// there: after a reset it has to be done again, whatever became of it before.
pub fn state_of(progress: &Progress, id: &str) -> StepState {
    let record = progress.step(id);
    match record.outcome {
        _ if progress.current == id && !record.settled => StepState::Current,
        Some(Outcome::Done) => StepState::Done,
        Some(Outcome::Skipped) => StepState::Skipped,
        None if progress.current == id => StepState::Current,
        None => StepState::Todo,
    }
}

/// How many steps were left by their solution.
pub fn skipped(course: &Course, progress: &Progress) -> usize {
    places(course).filter(|place| state_of(progress, place.id()) == StepState::Skipped).count()
}

/// How many steps are done, of how many.
pub fn counts(course: &Course, progress: &Progress) -> (usize, usize) {
    let done = places(course).filter(|place| state_of(progress, place.id()) == StepState::Done).count();
    (done, places(course).count())
}

/// Whether no step is left to do, here or anywhere.
pub fn is_complete(course: &Course, progress: &Progress) -> bool {
    places(course).all(|place| matches!(state_of(progress, place.id()), StepState::Done | StepState::Skipped))
}

/// Whether the learner may walk on without passing: the next step has been begun already, and they only went
/// back to read.
pub fn may_walk_on(course: &Course, progress: &Progress) -> bool {
    after(course, &progress.current).is_some_and(|next| progress.step(next.id()).started)
}

/// Notes that a step passed.
pub fn pass(progress: &mut Progress, id: &str, now: i64) {
    let record = progress.step_mut(id);
    record.outcome = Some(Outcome::Done);
    record.settled = true;
    record.ended = Some(now);
}

/// Notes that a step was left by its solution; one that had been done stays done.
pub fn skip(progress: &mut Progress, id: &str, now: i64) {
    let record = progress.step_mut(id);
    record.settled = true;
    if record.outcome.is_none() {
        record.outcome = Some(Outcome::Skipped);
        record.ended = Some(now);
    }
}

/// Notes that the state of git and cluster is now that of this step's start: what came after it is no longer
/// there, so the steps behind it begin anew when they are reached.
pub fn rewind(course: &Course, progress: &mut Progress, id: &str) {
    id.clone_into(&mut progress.current);
    progress.step_mut(id).settled = false;
    let behind: Vec<&str> =
        places(course).skip_while(|place| place.id() != id).skip(1).map(|place| place.step.id.0.as_str()).collect();
    for id in behind {
        if let Some(record) = progress.steps.get_mut(id) {
            (record.started, record.settled) = (false, false);
        }
    }
}

/// Fits the progress to a course that may have changed: a current step that is no longer there is replaced by
/// the first that is not done. Answers whether something changed.
pub fn reconcile(course: &Course, progress: &mut Progress) -> bool {
    if place(course, &progress.current).is_some() {
        return false;
    }
    let open = places(course).find(|place| progress.step(place.id()).outcome.is_none());
    let last = places(course).last();
    match open.or(last) {
        Some(place) => progress.current = place.id().to_owned(),
        None => return false,
    }
    true
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::course::model::{SandboxNeeds, Source, StepId};

    /// A course of lessons with steps of these ids, and nothing in them.
    pub fn course(lessons: &[(&str, &[&str])]) -> Course {
        let step = |id: &&str| Step {
            id: StepId((*id).to_owned()),
            title: format!("Step {id}"),
            body: Vec::new(),
            setup: Vec::new(),
            cleanup: Vec::new(),
            checks: Vec::new(),
            saves: Vec::new(),
            solution: None,
            alternatives: Vec::new(),
            wrongs: Vec::new(),
            hints: Vec::new(),
            debrief: Vec::new(),
            location: String::new(),
        };
        Course {
            id: "course".into(),
            title: "Course".into(),
            description: String::new(),
            objectives: Vec::new(),
            sandbox: SandboxNeeds { project: "demo".into(), environments: BTreeMap::new(), kinds: Vec::new() },
            tools: Vec::new(),
            variables: Vec::new(),
            repository: "app".into(),
            lessons: lessons
                .iter()
                .map(|(id, steps)| Lesson {
                    id: (*id).to_owned(),
                    title: format!("Lesson {id}"),
                    minutes: None,
                    introduction: Vec::new(),
                    steps: steps.iter().map(step).collect(),
                })
                .collect(),
            source: Source::BuiltIn,
        }
    }

    fn three() -> Course {
        course(&[("01", &["one", "two"]), ("02", &[]), ("03", &["three"])])
    }

    fn at(current: &str) -> Progress {
        Progress::new("course", "course", "app", "embedded", current)
    }

    #[test]
    fn places_count_through_lessons() {
        let course = three();
        let check = |id: &str, expected: (usize, usize, usize, bool)| {
            let place = place(&course, id).unwrap();
            assert_eq!((place.number, place.steps, place.lesson_number, place.opens_lesson()), expected, "{id}");
        };
        check("one", (1, 3, 1, true));
        check("two", (2, 3, 1, false));
        check("three", (3, 3, 3, true));
        assert!(place(&course, "four").is_none());
    }

    #[test]
    fn neighbours() {
        let course = three();
        let check = |id: &str, expected: (Option<&str>, Option<&str>)| {
            let neighbour = |place: Option<Place<'_>>| place.map(|place| place.id().to_owned());
            let found = (neighbour(before(&course, id)), neighbour(after(&course, id)));
            assert_eq!((found.0.as_deref(), found.1.as_deref()), expected, "{id}");
        };
        check("one", (None, Some("two")));
        check("two", (Some("one"), Some("three")));
        check("three", (Some("two"), None));
        check("gone", (None, None));
    }

    #[test]
    fn steps_are_found_by_id_or_number_and_mistakes_get_a_suggestion() {
        let course = three();
        let check = |asked: &str, expected: Result<&str, Option<&str>>| {
            let found = find(&course, asked);
            let found = found.map(|place| place.id().to_owned()).map_err(|unknown| unknown.nearest);
            assert_eq!(found, expected.map(str::to_owned).map_err(|nearest| nearest.map(str::to_owned)), "{asked}");
        };
        check("two", Ok("two"));
        check("3", Ok("three"));
        check("thre", Err(Some("three")));
        check("4", Err(None));
        check("0", Err(None));
        check("", Err(None));
    }

    #[test]
    fn a_step_is_done_skipped_current_or_to_do() {
        let course = three();
        let mut progress = at("two");
        pass(&mut progress, "one", 5);
        skip(&mut progress, "one", 6);
        let states = |progress: &Progress| ["one", "two", "three"].map(|id| state_of(progress, id));
        assert_eq!(states(&progress), [StepState::Done, StepState::Current, StepState::Todo]);
        assert_eq!(counts(&course, &progress), (1, 3));
        skip(&mut progress, "two", 7);
        pass(&mut progress, "three", 8);
        assert_eq!(states(&progress), [StepState::Done, StepState::Skipped, StepState::Done]);
        assert!(is_complete(&course, &progress));
        pass(&mut progress, "two", 9);
        assert_eq!(counts(&course, &progress), (3, 3));
        // Back at its start, a step that was done is to be done again; those behind it stay what they were.
        rewind(&course, &mut progress, "two");
        assert_eq!(states(&progress), [StepState::Done, StepState::Current, StepState::Done]);
        assert!(!is_complete(&course, &progress));
    }

    #[test]
    fn walking_on_is_free_only_where_the_next_step_was_begun_on_this_state() {
        let course = three();
        let mut progress = at("one");
        for id in ["one", "two", "three"] {
            progress.step_mut(id).started = true;
        }
        assert!(may_walk_on(&course, &progress));
        rewind(&course, &mut progress, "one");
        assert!(!may_walk_on(&course, &progress));
        assert!(progress.step("one").started);
    }

    #[test]
    fn progress_survives_an_upgraded_course() {
        fn check(current: &str, done: &[&str], course: &Course, expected: &str) {
            let mut progress = at(current);
            for id in done {
                pass(&mut progress, id, 0);
            }
            reconcile(course, &mut progress);
            assert_eq!(progress.current, expected, "from {current}, done {done:?}");
        }
        let newer = course(&[("01", &["zero", "one", "two-a"]), ("03", &["three"])]);
        check("one", &[], &newer, "one");
        check("two", &["one"], &newer, "zero");
        check("two", &["one", "zero"], &newer, "two-a");
        check("two", &["one", "zero", "two-a", "three"], &newer, "three");
        check("two", &[], &course(&[("01", &[])]), "two");
    }
}
