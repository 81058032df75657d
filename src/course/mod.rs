//! Courses: the parser from Markdown and YAML to types that cannot be wrong.
//!
//! [`load`] reads a course whole or not at all; [`examine`] also tells the mistakes that do not keep it from
//! being played. Files become [`source::SourceFile`]s, YAML a tree with positions ([`yaml`]), Markdown a list of
//! elements with positions ([`prose`]); [`lesson`] and [`parts`] make steps of them, [`checks`] checks, and
//! [`validate`] judges what can only be seen over all lessons.
//!
//! Invariants: no input makes it panic; every mistake is reported, not the first alone; a [`Course`] that was
//! returned has unique step ids, and hints, variables and paths in it refer to what exists.

pub mod check;
mod checks;
pub mod diagnostics;
mod fence;
pub mod files;
pub mod import;
mod lesson;
mod manifest;
pub mod model;
mod parts;
mod prose;
mod source;
mod translation;
mod validate;
mod variables;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use checks::parse_duration;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use files::built_in;
pub use model::Course;
pub use prose::inlines;
pub use variables::{Variables, environment_suffix};

use diagnostics::{Report, nearest};
use files::{Files, Unreadable};
use lesson::ParsedLesson;
use manifest::Manifest;
use model::{Lesson, Source};
use source::SourceFile;

/// Which course is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CourseReference {
    /// A course that the binary brings along, by its id.
    BuiltIn(String),
    /// A directory with `course.yaml`.
    Directory(PathBuf),
}

impl CourseReference {
    /// Reads a command-line argument: what looks like a path (it holds a slash, or is `.` or `..`) is one, so that
    /// a directory never shadows a built-in course by accident.
    pub fn parse(argument: &str) -> Self {
        let is_path = argument.contains(['/', '\\']) || matches!(argument, "." | "..");
        if is_path { Self::Directory(PathBuf::from(argument)) } else { Self::BuiltIn(argument.to_owned()) }
    }

    fn name(&self) -> String {
        match self {
            Self::BuiltIn(id) => id.clone(),
            Self::Directory(path) => path.display().to_string(),
        }
    }
}

/// A course with the mistakes that were found in it; there is a course only if none of them is an error.
#[derive(Debug)]
pub struct Examination {
    pub course: Option<Course>,
    pub diagnostics: Diagnostics,
}

/// Reads a course that is to be played.
pub fn load(reference: &CourseReference) -> Result<Course, Diagnostics> {
    load_in(reference, None)
}

/// Reads a course in a language (`de`, `pt-BR`), as far as its lessons are translated.
pub fn load_in(reference: &CourseReference, language: Option<&str>) -> Result<Course, Diagnostics> {
    let examination = examine_in(reference, language);
    examination.course.ok_or(examination.diagnostics)
}

/// Reads a course and tells everything that is wrong with it.
pub fn examine(reference: &CourseReference) -> Examination {
    examine_in(reference, None)
}

fn examine_in(reference: &CourseReference, language: Option<&str>) -> Examination {
    let mut report = Report::default();
    let (files, source) = match reference {
        CourseReference::BuiltIn(id) => (Files::built_in(id), Source::BuiltIn),
        CourseReference::Directory(path) => (Some(Files::Directory(path.clone())), Source::Directory(path.clone())),
    };
    let course = if let Some(files) = files {
        read_course(&files, &reference.name(), source, language, &mut report)
    } else {
        let name = reference.name();
        let built_in = built_in();
        let diagnostic = report.fatal(format!("there is no course `{name}`"));
        if nearest(&name, built_in.iter().map(String::as_str)).is_some() {
            diagnostic.suggest(&name, built_in.iter().map(String::as_str));
        } else if Path::new(&name).join("course.yaml").exists() {
            diagnostic.help(format!("for the directory of that name write `./{name}`"));
        } else {
            diagnostic.help("`tutorial list` shows the courses; a directory is written with a slash: `./my-course`");
        }
        None
    };
    let diagnostics = report.finish(&reference.name());
    Examination { course: course.filter(|_| !diagnostics.has_errors()), diagnostics }
}

fn read_course(
    files: &Files,
    name: &str,
    source: Source,
    language: Option<&str>,
    report: &mut Report,
) -> Option<Course> {
    let file = open(files, name, "course.yaml", report)?;
    let manifest = manifest::read(&file, report);
    let lessons = read_lessons(files, name, &file, &manifest, report);
    report_orphans(files, &file, &manifest, report);
    validate::validate(&manifest, &lessons, report);
    let lessons = lessons.into_iter().map(|(_, parsed)| translated(files, name, parsed.lesson, language, report));
    let lessons = lessons.collect();
    Some(Course {
        id: manifest.id,
        title: manifest.title,
        description: manifest.description,
        objectives: manifest.objectives,
        sandbox: manifest.sandbox,
        tools: manifest.tools,
        variables: manifest.variables,
        repository: manifest.repository,
        lessons,
        source,
    })
}

/// Opens a file whose absence is a mistake by itself.
fn open(files: &Files, course: &str, name: &str, report: &mut Report) -> Option<SourceFile> {
    let path = shown_path(course, name);
    let message = match files.read(name) {
        Ok(text) => return Some(SourceFile::new(path, text)),
        Err(Unreadable::Missing) if !matches!(files, Files::Directory(directory) if directory.is_dir()) => {
            format!("there is no directory `{course}`")
        }
        Err(Unreadable::Missing) => format!("there is no `{path}`"),
        Err(reason) => format!("`{path}` cannot be read: {}", unreadable(&reason)),
    };
    report.fatal(message).help("a course is a directory with `course.yaml`; `tutorial author new` makes one");
    None
}

fn unreadable(reason: &Unreadable) -> String {
    match reason {
        Unreadable::Missing => "it is not there".into(),
        Unreadable::NotText => "it is not UTF-8 text".into(),
        Unreadable::TooLong => "it is longer than 4 MiB".into(),
        Unreadable::Other(reason) => reason.clone(),
    }
}

fn shown_path(course: &str, name: &str) -> String {
    let course = course.trim_end_matches('/');
    if course == "." { name.to_owned() } else { format!("{course}/{name}") }
}

fn read_lessons(
    files: &Files,
    course: &str,
    file: &SourceFile,
    manifest: &Manifest,
    report: &mut Report,
) -> Vec<(SourceFile, ParsedLesson)> {
    let names = files.names();
    let mut lessons = Vec::new();
    for (stem, span) in &manifest.lessons {
        let name = format!("{stem}.md");
        match files.read(&name) {
            Ok(text) => {
                let source = SourceFile::new(shown_path(course, &name), text);
                let parsed = lesson::read(&source, stem, report);
                lessons.push((source, parsed));
            }
            Err(Unreadable::Missing) => {
                let stems = names.iter().filter_map(|name| name.strip_suffix(".md")).filter(|stem| !stem.contains('.'));
                let diagnostic = report.error(file, span.clone(), format!("there is no lesson `{name}`"));
                let stems: Vec<&str> = stems.collect();
                if let Some(near) = nearest(stem, stems) {
                    diagnostic.help(format!("did you mean `{near}`?"));
                }
            }
            Err(reason) => {
                report.error(file, span.clone(), format!("`{name}` cannot be read: {}", unreadable(&reason)));
            }
        }
    }
    lessons
}

/// The lesson in the language that is wanted, if there is a translation. All translations are read, so that the mistakes in
/// them are told.
fn translated(files: &Files, course: &str, lesson: Lesson, language: Option<&str>, report: &mut Report) -> Lesson {
    let names = files.names();
    let languages = names.iter().filter_map(|name| match translation::parts_of_name(name) {
        Some((stem, language)) if stem == lesson.id && translation::is_language(language) => Some(language),
        _ => None,
    });
    let chosen = language.and_then(|wanted| translation::choose(wanted, languages.clone()));
    let mut result = None;
    for language in languages {
        let name = format!("{}.{language}.md", lesson.id);
        match files.read(&name) {
            Ok(text) => {
                let source = SourceFile::new(shown_path(course, &name), text);
                let translated = translation::read(&source, &lesson, report);
                if chosen == Some(language) {
                    result = Some(translated);
                }
            }
            Err(reason) => {
                report.fatal(format!("`{}` cannot be read: {}", shown_path(course, &name), unreadable(&reason)));
            }
        }
    }
    result.unwrap_or(lesson)
}

/// Files that look like lessons and are in no list: `NN-name.md` without a place, `NN-name.<lang>.md` of no lesson.
fn report_orphans(files: &Files, file: &SourceFile, manifest: &Manifest, report: &mut Report) {
    for name in files.names() {
        let Some(stem) = name.strip_suffix(".md") else { continue };
        let numbered =
            stem.len() > 3 && stem.as_bytes()[..2].iter().all(u8::is_ascii_digit) && stem.as_bytes()[2] == b'-';
        if !numbered || manifest.lessons.iter().any(|(listed, _)| listed == stem) {
            continue;
        }
        match translation::parts_of_name(&name) {
            Some((lesson, language)) if !translation::is_language(language) => {
                let message = format!("`{language}` in the name `{name}` is no language");
                report
                    .error(file, manifest.lessons_span.clone(), message)
                    .help(format!("write it like `{lesson}.de.md` or `{lesson}.pt-BR.md`"));
            }
            Some((lesson, _)) if manifest.lessons.iter().any(|(listed, _)| listed == lesson) => {}
            Some((lesson, _)) => {
                let message = format!("`{name}` translates a lesson `{lesson}` that is not in the list");
                report.error(file, manifest.lessons_span.clone(), message);
            }
            None => {
                report
                    .error(file, manifest.lessons_span.clone(), format!("the lesson `{name}` is not in the list"))
                    .help(format!("add `- {stem}` to `lessons`, or give the file another name"));
            }
        }
    }
}

/// Writes the files that lessons see as `COURSE_DIR`: the whole course, and the sample app under `sample-app` where the
/// course brings none of its own.
pub fn write_files(course: &Course, destination: &Path) -> std::io::Result<()> {
    match &course.source {
        Source::BuiltIn => files::write_built_in(&course.id, destination),
        Source::Directory(path) => {
            files::copy_directory(path, destination)?;
            if destination.join("sample-app").exists() {
                return Ok(());
            }
            files::write_sample_app(&destination.join("sample-app"))
        }
    }
}
