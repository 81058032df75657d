//! `tar` in a container, as `kubectl cp` calls it: an archive of files to standard output, or one from standard input
//! unpacked to where the container may write.

use bytes::Bytes;
use tar::{Archive, Builder, EntryType, Header};

use super::super::images::FileTree;

/// What `tar` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tar {
    /// `tar cf - PATH…`
    Create(Vec<String>),
    /// `tar xf - [-C FOLDER]`
    Extract { folder: String },
}

/// What kubectl calls, in each of its versions; `None` for what else `tar` can do.
pub fn parse(words: &[&str]) -> Option<Tar> {
    let mut words = words.iter().filter(|word| !word.starts_with("--"));
    let letters = words.next()?.trim_start_matches('-');
    words.next().filter(|archive| **archive == "-" && letters.ends_with('f'))?;
    let (mut paths, mut folder) = (Vec::new(), "/".to_owned());
    while let Some(word) = words.next() {
        match *word {
            "-C" => (*words.next()?).clone_into(&mut folder),
            path => paths.push(path.to_owned()),
        }
    }
    match letters.chars().find(|letter| matches!(letter, 'c' | 'x'))? {
        'c' if !paths.is_empty() => Some(Tar::Create(paths)),
        'x' if paths.is_empty() => Some(Tar::Extract { folder }),
        _ => None,
    }
}

/// An archive of the files at or below the paths, their names without the leading slash; the first path that is not
/// there is the error.
pub fn create(paths: &[String], files: &FileTree) -> Result<Vec<u8>, String> {
    let mut archive = Builder::new(Vec::new());
    for path in paths {
        let path = format!("/{}", path.trim_matches('/'));
        let below = format!("{}/", path.trim_end_matches('/'));
        let found: Vec<_> = files.iter().filter(|(file, _)| **file == path || file.starts_with(&below)).collect();
        if found.is_empty() {
            return Err(format!("tar: {path}: No such file or directory\n"));
        }
        if !files.contains_key(&path) {
            append(&mut archive, &below, EntryType::Directory, &[])?;
        }
        for (file, content) in found {
            append(&mut archive, file, EntryType::Regular, content)?;
        }
    }
    archive.into_inner().map_err(|error| format!("tar: {error}\n"))
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8]) -> Result<(), String> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_size(content.len() as u64);
    let added = archive.append_data(&mut header, path.trim_start_matches('/'), content);
    added.map_err(|error| format!("tar: {path}: {error}\n"))
}

/// The files of an archive by the paths that they get below `folder`.
pub fn extract(archive: &[u8], folder: &str) -> Result<FileTree, String> {
    let mut files = FileTree::new();
    let broken = |error: std::io::Error| format!("tar: {error}\n");
    for entry in Archive::new(archive).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let leaves = path.split('/').any(|part| part == "..");
        if leaves || !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).map_err(broken)?;
        let path = path.trim_start_matches("./").trim_start_matches('/');
        files.insert(format!("{}/{path}", folder.trim_end_matches('/')), Bytes::from(content));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_kubectl_uses_are_known() {
        let check = |line: &str, expected: Option<Tar>| {
            assert_eq!(parse(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        };
        check("cf - /etc/nginx", Some(Tar::Create(vec!["/etc/nginx".into()])));
        check("-xmf - -C /tmp", Some(Tar::Extract { folder: "/tmp".into() }));
        check("--no-same-permissions --no-same-owner -xmf -", Some(Tar::Extract { folder: "/".into() }));
        check("tf -", None);
        check("czvf out.tar.gz /etc", None);
    }

    #[test]
    fn what_is_packed_comes_out_the_same() {
        let files: FileTree = [("/a/b", "1"), ("/a/c/d", "2"), ("/e", "3")]
            .into_iter()
            .map(|(path, text)| (path.to_owned(), Bytes::from_static(text.as_bytes())))
            .collect();
        let archive = create(&["/a".into()], &files).unwrap();
        let out = extract(&archive, "/tmp/").unwrap();
        let found: Vec<_> = out.keys().map(String::as_str).collect();
        assert_eq!(found, ["/tmp/a/b", "/tmp/a/c/d"]);
        assert_eq!(create(&["/x".into()], &files), Err("tar: /x: No such file or directory\n".into()));
        assert!(extract(b"no archive at all", "/").is_err_and(|error| error.starts_with("tar: ")));
    }
}
