//! `nginx` as a command: checking, showing and reading its configuration anew.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::super::images::FileTree;
use super::super::container::{self, Live};
use super::super::pod::Pod;
use super::super::web::Site;
use super::Output;

const MAIN: &str = "/etc/nginx/nginx.conf";
/// Files that one configuration may draw in.
const FILES_MAX: usize = 256;

pub(super) fn nginx(pod: &Arc<Pod>, index: usize, flags: &[&str], live: &Live) -> Output {
    let checked = || Site::start(Arc::clone(&live.files), &pod.name, Timestamp::now());
    match flags {
        [flag @ ("-t" | "-T" | "-tq" | "-qt")] => match checked() {
            Ok(_) if flag.contains('q') => Output::default(),
            Ok(_) => Output {
                stdout: if *flag == "-T" { dump(&live.files) } else { String::new() },
                stderr: format!(
                    "nginx: the configuration file {MAIN} syntax is ok\nnginx: configuration file {MAIN} test is successful\n"
                ),
                ..Output::default()
            },
            Err(error) => Output::failed(1, format!("nginx: {error}\nnginx: configuration file {MAIN} test failed\n")),
        },
        ["-v"] => Output { stderr: "nginx version: nginx/1.29.3\n".into(), ..Output::default() },
        ["-s", "reload"] => match checked() {
            Ok(site) if live.site.is_some() => {
                container::replace_site(pod, index, site);
                let time = Timestamp::now().strftime("%Y/%m/%d %H:%M:%S");
                let notice = format!("{time} [notice] 30#30: signal process started\n");
                Output { stderr: notice, ..Output::default() }
            }
            Ok(_) => {
                let why = "open() \"/run/nginx.pid\" failed (2: No such file or directory)";
                Output::failed(1, format!("nginx: [error] {why}\n"))
            }
            Err(error) => Output::failed(1, format!("nginx: {error}\n")),
        },
        _ => Output::failed(1, "the embedded sandbox's nginx knows -t, -T, -v and -s reload\n"),
    }
}

/// The configuration with all that it includes, as `nginx -T` shows it.
fn dump(files: &FileTree) -> String {
    let mut seen = Vec::new();
    collect(files, MAIN, &mut seen);
    let parts = seen.iter().map(|path| {
        let text = files.get(path).map(|content| String::from_utf8_lossy(content).into_owned()).unwrap_or_default();
        format!("# configuration file {path}:\n{text}\n")
    });
    parts.collect()
}

fn collect(files: &FileTree, path: &str, seen: &mut Vec<String>) {
    if seen.len() >= FILES_MAX || seen.iter().any(|known| known == path) {
        return;
    }
    let Some(content) = files.get(path) else { return };
    seen.push(path.into());
    let text = String::from_utf8_lossy(content);
    for line in text.lines() {
        let Some(pattern) = line.trim().strip_prefix("include").filter(|rest| rest.starts_with(char::is_whitespace))
        else {
            continue;
        };
        let pattern = pattern.split(';').next().unwrap_or_default().trim();
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/nginx/{pattern}") };
        let (before, after) = pattern.split_once('*').unwrap_or((&pattern, ""));
        let is_pattern = pattern.contains('*');
        let fitting: Vec<String> = files
            .keys()
            .filter(|file| {
                let between = file.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                if is_pattern { between.is_some_and(|rest| !rest.contains('/')) } else { **file == pattern }
            })
            .cloned()
            .collect();
        for file in fitting {
            collect(files, &file, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_whole_configuration_is_shown() {
        let file = |path: &str, text: &'static str| (path.to_owned(), Bytes::from_static(text.as_bytes()));
        let files: FileTree = [
            file(MAIN, "http {\n    include conf.d/*.conf;\n}\n"),
            file("/etc/nginx/conf.d/a.conf", "server {}\n"),
            file("/etc/nginx/conf.d/not", "x\n"),
        ]
        .into();
        assert_eq!(
            dump(&files),
            "# configuration file /etc/nginx/nginx.conf:\nhttp {\n    include conf.d/*.conf;\n}\n\n# configuration file /etc/nginx/conf.d/a.conf:\nserver {}\n\n"
        );
    }
}
