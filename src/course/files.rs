//! Where the files of a course come from: a directory, or the binary itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

/// The courses that the binary brings along, each in a directory of its name.
static LESSONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/lessons");

/// The app that they deploy.
static SAMPLE_APP: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/sample-app");

/// More than any lesson is long.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The files of one course.
#[derive(Debug)]
pub enum Files {
    Directory(PathBuf),
    BuiltIn(&'static Dir<'static>),
    /// Names and contents, for tests.
    Memory(BTreeMap<String, String>),
}

/// Why a file could not be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    Missing,
    NotText,
    TooLong,
    Other(String),
}

impl Files {
    /// The built-in course of this id.
    pub fn built_in(id: &str) -> Option<Self> {
        LESSONS.get_dir(id).filter(|directory| has_manifest(directory)).map(Self::BuiltIn)
    }

    /// The names of the files at the top of the course, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Directory(path) => std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
            Self::BuiltIn(directory) => directory.files().filter_map(|file| file_name(file.path())).collect(),
            Self::Memory(files) => files.keys().cloned().collect(),
        };
        names.sort();
        names
    }

    /// The text of a file at the top of the course.
    pub fn read(&self, name: &str) -> Result<String, Unreadable> {
        match self {
            Self::Directory(path) => read_file(&path.join(name)),
            Self::BuiltIn(directory) => {
                let file = directory.get_file(directory.path().join(name)).ok_or(Unreadable::Missing)?;
                file.contents_utf8().map(str::to_owned).ok_or(Unreadable::NotText)
            }
            Self::Memory(files) => files.get(name).cloned().ok_or(Unreadable::Missing),
        }
    }
}

fn read_file(path: &Path) -> Result<String, Unreadable> {
    let told = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        io::ErrorKind::IsADirectory => Unreadable::Other("it is a directory".into()),
        _ => Unreadable::Other(error.to_string()),
    };
    let metadata = std::fs::metadata(path).map_err(|error| told(&error))?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    let bytes = std::fs::read(path).map_err(|error| told(&error))?;
    String::from_utf8(bytes).map_err(|_| Unreadable::NotText)
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

fn has_manifest(directory: &Dir) -> bool {
    directory.get_file(directory.path().join("course.yaml")).is_some()
}

/// The ids of the built-in courses, sorted.
pub fn built_in() -> Vec<String> {
    let mut ids: Vec<String> = LESSONS
        .dirs()
        .filter(|directory| has_manifest(directory))
        .filter_map(|directory| file_name(directory.path()))
        .collect();
    ids.sort();
    ids
}

/// Writes all files of a built-in course to a directory, and the sample app to its `sample-app`, replacing what
/// is there under these names.
pub fn write_built_in(id: &str, destination: &Path) -> io::Result<()> {
    if let Some(directory) = LESSONS.get_dir(id) {
        write_directory(directory, destination)?;
    }
    write_sample_app(&destination.join("sample-app"))
}

/// Writes the sample app to a directory.
pub fn write_sample_app(destination: &Path) -> io::Result<()> {
    write_directory(&SAMPLE_APP, destination)
}

fn write_directory(directory: &Dir, destination: &Path) -> io::Result<()> {
    std::fs::create_dir_all(destination)?;
    for file in directory.files() {
        if let Some(name) = file.path().file_name() {
            std::fs::write(destination.join(name), file.contents())?;
        }
    }
    for inner in directory.dirs() {
        if let Some(name) = inner.path().file_name() {
            write_directory(inner, &destination.join(name))?;
        }
    }
    Ok(())
}

/// Copies a directory, links followed, without what begins with a dot at its top.
pub fn copy_directory(source: &Path, destination: &Path) -> io::Result<()> {
    std::fs::create_dir_all(destination)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let (from, to) = (entry.path(), destination.join(entry.file_name()));
        if std::fs::metadata(&from)?.is_dir() {
            if entry.file_name() != ".git" {
                copy_directory(&from, &to)?;
            }
        } else {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
