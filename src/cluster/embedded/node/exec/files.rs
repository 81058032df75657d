//! Commands about files: `cat`, `ls`, `test`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::super::images::FileTree;
use super::{Output, lines};

/// Folders that every image has, with files in them or not.
const FOLDERS: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/tmp",
];

fn is_folder(path: &str, files: &FileTree) -> bool {
    let below = format!("{path}/");
    path.is_empty()
        || FOLDERS.contains(&path)
        || files.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below))
}

/// A path without its slash at the end; one that begins with no slash is meant from the root, where commands run.
fn absolute(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = if path == "." { "" } else { path };
    let path = path.trim_end_matches('/');
    if path.starts_with('/') || path.is_empty() { path.to_owned() } else { format!("/{path}") }
}

pub(super) fn cat(paths: &[&str], files: &FileTree, is_busybox: bool) -> Output {
    let mut output = Output::default();
    for path in paths {
        let found = absolute(path);
        if let Some(content) = files.get(&found).filter(|_| !path.ends_with('/')) {
            output.stdout.push_str(&String::from_utf8_lossy(content));
            continue;
        }
        output.code = 1;
        output.stderr.push_str(&match (is_folder(&found, files), is_busybox) {
            (true, true) => "cat: read error: Is a directory\n".to_owned(),
            (true, false) => format!("cat: {path}: Is a directory\n"),
            (false, true) => format!("cat: can't open '{path}': No such file or directory\n"),
            (false, false) => format!("cat: {path}: No such file or directory\n"),
        });
    }
    output
}

/// `test` and `[`, without what joins conditions.
pub(super) fn test(words: &[&str], files: &FileTree) -> Output {
    let holds = match words {
        [] => false,
        ["!", rest @ ..] if !rest.is_empty() => {
            let inner = test(rest, files);
            return if inner.code > 1 { inner } else { Output { code: 1 - inner.code, ..Output::default() } };
        }
        [text] | ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [flag, path] => {
            let path = absolute(path);
            let (is_file, is_folder) = (files.contains_key(&path), is_folder(&path, files));
            match *flag {
                "-d" => is_folder,
                "-f" => is_file,
                "-s" => files.get(&path).is_some_and(|content| !content.is_empty()),
                "-e" | "-r" => is_file || is_folder,
                _ => return Output::failed(2, format!("sh: {flag}: unknown operand\n")),
            }
        }
        [one, "=" | "==", other] => one == other,
        [one, "!=", other] => one != other,
        [one, comparison, other] => {
            let (Ok(one), Ok(other)) = (one.parse::<i64>(), other.parse::<i64>()) else {
                return Output::failed(2, format!("sh: {one}: bad number\n"));
            };
            match *comparison {
                "-eq" => one == other,
                "-ne" => one != other,
                "-lt" => one < other,
                "-le" => one <= other,
                "-gt" => one > other,
                "-ge" => one >= other,
                _ => return Output::failed(2, format!("sh: {comparison}: unknown operand\n")),
            }
        }
        _ => return Output::failed(2, "the embedded sandbox's test knows one condition at a time\n"),
    };
    Output { code: i32::from(!holds), ..Output::default() }
}

/// What stands in a folder: the size of a file, `None` for a folder.
fn entries(path: &str, files: &FileTree) -> BTreeMap<String, Option<usize>> {
    let prefix = format!("{path}/");
    let mut entries = BTreeMap::new();
    for (file, content) in files.range(prefix.clone()..).take_while(|(file, _)| file.starts_with(&prefix)) {
        match file[prefix.len()..].split_once('/') {
            Some((folder, _)) => entries.insert(folder.to_owned(), None),
            None => entries.insert(file[prefix.len()..].to_owned(), Some(content.len())),
        };
    }
    for folder in FOLDERS.iter().filter_map(|folder| folder.strip_prefix(&prefix)) {
        if !folder.contains('/') {
            entries.entry(folder.to_owned()).or_insert(None);
        }
    }
    entries
}

pub(super) fn ls(arguments: &[&str], files: &FileTree, is_busybox: bool, time: Timestamp) -> Output {
    let (flags, mut paths): (Vec<&str>, Vec<&str>) =
        arguments.iter().copied().partition(|argument| argument.starts_with('-') && argument.len() > 1);
    let flags: String = flags.iter().map(|flag| flag.trim_start_matches('-')).collect();
    if let Some(other) = flags.chars().find(|flag| !"lahA1Fd".contains(*flag)) {
        return Output::failed(
            2,
            format!("the embedded sandbox's ls knows -l, -a, -A, -h, -F, -d and -1, not -{other}\n"),
        );
    }
    if paths.is_empty() {
        paths.push(".");
    }
    let is_long = flags.contains('l');
    let show =
        |name: &str, size: Option<usize>| if is_long { long(name, size, is_busybox, time) } else { name.to_owned() };
    let mut output = Output::default();
    let mut folders = Vec::new();
    for path in &paths {
        let found = absolute(path);
        match files.get(&found) {
            Some(content) => output.stdout.push_str(&lines([show(path, Some(content.len()))].into_iter())),
            None if is_folder(&found, files) && flags.contains('d') => {
                output.stdout.push_str(&lines([show(path, None)].into_iter()));
            }
            None if is_folder(&found, files) => folders.push((*path, found)),
            None if is_busybox => {
                output.code = 1;
                output.stderr.push_str(&format!("ls: {path}: No such file or directory\n"));
            }
            None => {
                output.code = 2;
                output.stderr.push_str(&format!("ls: cannot access '{path}': No such file or directory\n"));
            }
        }
    }
    for (path, found) in folders {
        if paths.len() > 1 {
            let gap = if output.stdout.is_empty() { "" } else { "\n" };
            output.stdout.push_str(&format!("{gap}{path}:\n"));
        }
        let mut all = entries(&found, files);
        all.retain(|name, _| !name.starts_with('.') || flags.contains(['a', 'A']));
        if flags.contains('a') {
            all.extend([(".".to_owned(), None), ("..".to_owned(), None)]);
        }
        if is_long {
            let blocks: usize = all.values().map(|size| size.map_or(4, |size| size.div_ceil(4096) * 4)).sum();
            output.stdout.push_str(&format!("total {blocks}\n"));
        }
        output.stdout.push_str(&lines(all.iter().map(|(name, size)| show(name, *size))));
    }
    output
}

/// A line of `ls -l`.
fn long(name: &str, size: Option<usize>, is_busybox: bool, time: Timestamp) -> String {
    let (mode, links) = if size.is_some() { ("-rw-r--r--", 1) } else { ("drwxr-xr-x", 2) };
    let (size, time) = (size.unwrap_or(4096), time.strftime("%b %e %H:%M"));
    if is_busybox {
        format!("{mode}    {links} root     root     {size:>9} {time} {name}")
    } else {
        format!("{mode} {links} root root {size:>4} {time} {name}")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn files() -> FileTree {
        let file = |path: &str, text: &'static str| (path.to_owned(), Bytes::from_static(text.as_bytes()));
        [file("/etc/nginx/nginx.conf", "events {}\n"), file("/srv/a.txt", "a\n"), file("/srv/.b", "")].into()
    }

    fn check(output: &Output, expected: (i32, &str, &str)) {
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), expected);
    }

    #[test]
    fn missing_files_in_the_words_of_busybox_and_of_gnu() {
        let time = Timestamp::UNIX_EPOCH;
        check(&ls(&["/nope"], &files(), true, time), (1, "", "ls: /nope: No such file or directory\n"));
        check(
            &ls(&["/nope"], &files(), false, time),
            (2, "", "ls: cannot access '/nope': No such file or directory\n"),
        );
        check(&cat(&["/nope"], &files(), true), (1, "", "cat: can't open '/nope': No such file or directory\n"));
        check(&cat(&["/nope"], &files(), false), (1, "", "cat: /nope: No such file or directory\n"));
        check(&cat(&["/srv"], &files(), true), (1, "", "cat: read error: Is a directory\n"));
        check(&cat(&["/srv/a.txt", "etc/nginx/nginx.conf"], &files(), true), (0, "a\nevents {}\n", ""));
    }

    #[test]
    fn folders_are_listed() {
        let time = Timestamp::UNIX_EPOCH;
        check(&ls(&["/srv"], &files(), true, time), (0, "a.txt\n", ""));
        check(&ls(&["-a", "/srv/"], &files(), true, time), (0, ".\n..\n.b\na.txt\n", ""));
        check(
            &ls(&["-l", "/srv"], &files(), true, time),
            (0, "total 4\n-rw-r--r--    1 root     root             2 Jan  1 00:00 a.txt\n", ""),
        );
        check(
            &ls(&["-l", "/srv"], &files(), false, time),
            (0, "total 4\n-rw-r--r-- 1 root root    2 Jan  1 00:00 a.txt\n", ""),
        );
        assert!(ls(&[], &files(), true, time).stdout.starts_with("bin\ndev\netc\n"));
        assert!(ls(&["-Z"], &files(), true, time).stderr.contains("not -Z"));
    }

    #[test]
    fn conditions() {
        for (words, code) in [
            ("-f /srv/a.txt", 0),
            ("-d /srv", 0),
            ("-f /srv", 1),
            ("! -f /srv", 0),
            ("-s /srv/.b", 1),
            ("a = a", 0),
            ("a != a", 1),
            ("2 -gt 1", 0),
            ("x -gt 1", 2),
            ("-q /srv", 2),
        ] {
            let list: Vec<&str> = words.split(' ').collect();
            assert_eq!(test(&list, &files()).code, code, "{words}");
        }
    }
}
