//! `curl`, and busybox' `wget`: requests to what can be reached in the cluster.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::super::container;
use super::super::pod::Pod;
use super::super::web::{Answer, Query};
use super::Output;
use super::peer::{self, Peer};

const REDIRECTS_MAX: usize = 10;

/// What a command line asks for.
#[allow(clippy::struct_excessive_bools, reason = "as many as curl has switches")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Options {
    urls: Vec<String>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    /// Where the body goes; `None` is the standard output for `curl`, a file for `wget`.
    output: Option<String>,
    write_out: Option<String>,
    user_agent: Option<String>,
    range: Option<String>,
    /// `-i`: headers before the body.
    shows_headers: bool,
    /// `-I`, `--spider`: headers instead of it.
    head_only: bool,
    follows: bool,
    fails: bool,
    is_silent: bool,
    shows_errors: bool,
    is_verbose: bool,
}

/// A refused command line: exit code and message.
type Refused = (i32, String);

/// Takes curl's options.
fn parse_curl(arguments: &[&str]) -> Result<Options, Refused> {
    let mut options = Options::default();
    let mut words = arguments.iter().copied();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
            let mut value = || words.next().ok_or_else(|| needs(word)).map(str::to_owned);
            curl_option(&mut options, long, &mut value)?;
        } else if word.len() > 1 && word.starts_with('-') {
            for (at, letter) in word[1..].char_indices() {
                let Some(long) = curl_letter(letter) else { return Err(unknown(&format!("-{letter}"))) };
                let rest = &word[1 + at + letter.len_utf8()..];
                let mut taken = false;
                let mut value = || {
                    taken = true;
                    if rest.is_empty() {
                        words.next().ok_or_else(|| needs(word)).map(str::to_owned)
                    } else {
                        Ok(rest.to_owned())
                    }
                };
                curl_option(&mut options, long, &mut value)?;
                if taken {
                    break;
                }
            }
        } else {
            options.urls.push(word.to_owned());
        }
    }
    Ok(options)
}

fn needs(word: &str) -> Refused {
    (2, format!("curl: option {word}: requires parameter\n{TRY}"))
}

fn unknown(word: &str) -> Refused {
    (2, format!("curl: option {word}: is unknown\n{TRY}"))
}

const TRY: &str = "curl: try 'curl --help' or 'curl --manual' for more information\n";

fn curl_letter(letter: char) -> Option<&'static str> {
    Some(match letter {
        'm' => "max-time",
        'H' => "header",
        'o' => "output",
        'w' => "write-out",
        'A' => "user-agent",
        'X' => "request",
        'r' => "range",
        'e' => "referer",
        'u' => "user",
        'd' => "data",
        'I' => "head",
        'i' => "include",
        's' => "silent",
        'S' => "show-error",
        'f' => "fail",
        'L' => "location",
        'k' => "insecure",
        'v' => "verbose",
        'g' => "globoff",
        'N' => "no-buffer",
        '4' => "ipv4",
        '6' => "ipv6",
        _ => return None,
    })
}

fn curl_option(
    options: &mut Options,
    name: &str,
    value: &mut dyn FnMut() -> Result<String, Refused>,
) -> Result<(), Refused> {
    match name {
        "url" => options.urls.push(value()?),
        "header" => options.headers.extend(header(&value()?)),
        "output" => options.output = Some(value()?),
        "write-out" => options.write_out = Some(value()?),
        "user-agent" => options.user_agent = Some(value()?),
        "range" => options.range = Some(value()?),
        "request" => options.method = Some(value()?),
        "referer" => options.headers.push(("referer".into(), value()?)),
        // what never takes long needs no bounds, and nothing here asks for a password
        "max-time" | "connect-timeout" | "retry" | "retry-delay" | "retry-max-time" | "user" => drop(value()?),
        "head" => options.head_only = true,
        "include" => options.shows_headers = true,
        "silent" => options.is_silent = true,
        "show-error" => options.shows_errors = true,
        "fail" => options.fails = true,
        "location" => options.follows = true,
        "verbose" => options.is_verbose = true,
        "insecure" | "globoff" | "no-buffer" | "ipv4" | "ipv6" | "compressed" | "http1.1" | "no-progress-meter" => {}
        "data" | "data-raw" | "data-binary" | "form" | "upload-file" => {
            return Err((2, format!("curl: the embedded sandbox's curl sends no bodies (--{name})\n")));
        }
        _ => return Err(unknown(&format!("--{name}"))),
    }
    Ok(())
}

fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    is_secure: bool,
    authority: String,
    host: String,
    port: u16,
    target: String,
}

fn address(url: &str) -> Option<Address> {
    let (is_secure, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some(_) => return None,
        None => (false, url),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if is_secure { 443 } else { 80 }),
    };
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    (!host.is_empty()).then(|| Address { is_secure, authority: authority.into(), host: host.into(), port, target })
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    Secure,
    UnknownHost,
    Refused { address: String },
}

/// Asks once; with the answer comes the address that gave it.
fn ask(pod: &Arc<Pod>, options: &Options, to: &Address, agent: &str) -> Result<(Answer, String), Failure> {
    if to.is_secure {
        return Err(Failure::Secure);
    }
    let (peer, port, address) = match peer::find(pod, &to.host, to.port) {
        Peer::Unknown => return Err(Failure::UnknownHost),
        Peer::Refused { address } => return Err(Failure::Refused { address }),
        Peer::Reached { pod, port, address } => (pod, port, address),
    };
    let header =
        |name: &str| options.headers.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let range = options.range.as_ref().map(|range| format!("bytes={range}"));
    let own = pod.address();
    let query = Query {
        method: if options.head_only { "HEAD" } else { options.method.as_deref().unwrap_or("GET") },
        target: &to.target,
        host: header("host").unwrap_or(&to.authority),
        port,
        remote: if peer.uid == pod.uid && address == "127.0.0.1" { "127.0.0.1" } else { &own },
        user_agent: header("user-agent").or(options.user_agent.as_deref()).unwrap_or(agent),
        referer: header("referer").unwrap_or("-"),
        range: range.as_deref().or_else(|| header("range")),
        if_none_match: header("if-none-match"),
        if_modified_since: header("if-modified-since"),
    };
    peer.answer(&query, Timestamp::now()).map(|answer| (answer, address.clone())).ok_or(Failure::Refused { address })
}

/// The status line and the headers, each with its end.
fn head(answer: &Answer, end: &str) -> String {
    let reason = http::StatusCode::from_u16(answer.status).ok().and_then(|code| code.canonical_reason());
    let mut text = format!("HTTP/1.1 {} {}{end}", answer.status, reason.unwrap_or_default());
    let has_length = answer.headers.iter().any(|(name, _)| name == "Content-Length");
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}{end}"));
    }
    if !has_length {
        text.push_str(&format!("Content-Length: {}{end}", answer.body.len()));
    }
    text
}

pub(super) fn curl(pod: &Arc<Pod>, index: usize, arguments: &[&str]) -> Output {
    let options = match parse_curl(arguments) {
        Ok(options) => options,
        Err((code, why)) => return Output::failed(code, why),
    };
    if options.urls.is_empty() {
        return Output::failed(2, format!("curl: (2) no URL specified\n{TRY}"));
    }
    let mut output = Output::default();
    for url in &options.urls {
        let one = curl_one(pod, index, &options, url);
        output.code = one.code;
        output.stdout.push_str(&one.stdout);
        if !options.is_silent || options.shows_errors || options.is_verbose {
            output.stderr.push_str(&one.stderr);
        }
    }
    output
}

fn curl_one(pod: &Arc<Pod>, index: usize, options: &Options, url: &str) -> Output {
    let mut output = Output::default();
    let Some(mut to) = address(url) else {
        return Output::failed(3, "curl: (3) URL rejected: Malformed input to a URL function\n");
    };
    let mut redirects = 0;
    let answer = loop {
        let (answer, place) = match ask(pod, options, &to, "curl/8.14.1") {
            Ok(answered) => answered,
            Err(failure) => {
                let (code, why) = curl_failure(&failure, &to);
                output.stdout.push_str(&written_out(options, url, &to, None, redirects));
                return Output { code, stderr: format!("{}curl: ({code}) {why}\n", output.stderr), ..output };
            }
        };
        if options.is_verbose {
            output.stderr.push_str(&format!("* Connected to {} ({place}) port {}\n", to.host, to.port));
            let method = if options.head_only { "HEAD" } else { options.method.as_deref().unwrap_or("GET") };
            output.stderr.push_str(&format!("> {method} {} HTTP/1.1\n> Host: {}\n>\n", to.target, to.authority));
            output.stderr.push_str(&head(&answer, "\n").lines().map(|line| format!("< {line}\n")).collect::<String>());
        }
        if options.head_only || options.shows_headers {
            output.stdout.push_str(&head(&answer, "\r\n"));
            output.stdout.push_str("\r\n");
        }
        let location = answer.headers.iter().find(|(name, _)| name == "Location").map(|(_, value)| value.clone());
        match location.filter(|_| options.follows && (300..400).contains(&answer.status)) {
            None => break answer,
            Some(_) if redirects == REDIRECTS_MAX => {
                let why = format!("curl: (47) Maximum ({REDIRECTS_MAX}) redirects followed\n");
                return Output { code: 47, stderr: output.stderr + &why, ..output };
            }
            Some(location) => {
                redirects += 1;
                let absolute =
                    if location.starts_with('/') { format!("http://{}{location}", to.authority) } else { location };
                let Some(next) = address(&absolute) else { break answer };
                to = next;
            }
        }
    };
    if options.fails && answer.status >= 400 {
        output.stdout.push_str(&written_out(options, url, &to, Some(&answer), redirects));
        let why = format!("curl: (22) The requested URL returned error: {}\n", answer.status);
        return Output { code: 22, stderr: output.stderr + &why, ..output };
    }
    if !options.head_only {
        match options.output.as_deref() {
            None | Some("-") => output.stdout.push_str(&String::from_utf8_lossy(&answer.body)),
            Some("/dev/null") => {}
            Some(path) => {
                if let Err(why) = keep(pod, index, path, &answer.body) {
                    let why = format!("curl: (23) client returned ERROR on write, {why}\n");
                    return Output { code: 23, stderr: output.stderr + &why, ..output };
                }
            }
        }
    }
    output.stdout.push_str(&written_out(options, url, &to, Some(&answer), redirects));
    output
}

fn curl_failure(failure: &Failure, to: &Address) -> (i32, String) {
    let Address { host, port, .. } = to;
    match failure {
        Failure::UnknownHost => (6, format!("Could not resolve host: {host}")),
        Failure::Refused { .. } => {
            (7, format!("Failed to connect to {host} port {port} after 0 ms: Could not connect to server"))
        }
        Failure::Secure => (35, "TLS connect error: the embedded sandbox's servers speak http only".into()),
    }
}

/// Writes a file of the container.
fn keep(pod: &Arc<Pod>, index: usize, path: &str, content: &Bytes) -> Result<(), String> {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{}", path.trim_start_matches("./")) };
    container::write_files(pod, index, [(path, content.clone())].into())
}

/// What `-w` asks for.
fn written_out(options: &Options, url: &str, to: &Address, answer: Option<&Answer>, redirects: usize) -> String {
    let Some(format) = &options.write_out else { return String::new() };
    let kind = answer.and_then(|answer| answer.headers.iter().find(|(name, _)| name == "Content-Type"));
    let value = |name: &str| match name {
        "http_code" | "response_code" => format!("{:03}", answer.map_or(0, |answer| answer.status)),
        "size_download" => answer.map_or(0, |answer| answer.body.len()).to_string(),
        "content_type" => kind.map(|(_, value)| value.clone()).unwrap_or_default(),
        "num_redirects" => redirects.to_string(),
        "url" => url.to_owned(),
        "url_effective" => format!("http://{}{}", to.authority, to.target),
        "remote_port" => to.port.to_string(),
        "exitcode" => i32::from(answer.is_none()).to_string(),
        name if name.starts_with("time_") => "0.000512".into(),
        _ => String::new(),
    };
    let mut text = String::new();
    let format = format.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
    let mut rest = format.as_str();
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some((name, remaining)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            text.push_str(&value(name));
            rest = remaining;
        } else {
            text.push('%');
            rest = after.strip_prefix('%').unwrap_or(after);
        }
    }
    text + rest
}

/// Takes the options of busybox' wget.
fn parse_wget(arguments: &[&str]) -> Result<Options, Refused> {
    let usage = |option: &str| {
        (
            1,
            format!(
                "wget: unrecognized option: {option}\nUsage: wget [-cqS] [--spider] [-O FILE] [--header STR] [-U AGENT] [-T SEC] URL...\n"
            ),
        )
    };
    let mut options = Options::default();
    let mut words = arguments.iter().copied();
    while let Some(word) = words.next() {
        let (long, attached) = match word.strip_prefix("--").map(|long| long.split_once('=').unwrap_or((long, ""))) {
            Some((long, attached)) if !long.is_empty() => (long, attached),
            _ => ("", ""),
        };
        if !long.is_empty() {
            let mut value =
                || if attached.is_empty() { words.next().unwrap_or_default().to_owned() } else { attached.to_owned() };
            match long {
                "spider" => options.head_only = true,
                "quiet" => options.is_silent = true,
                "server-response" => options.shows_headers = true,
                "output-document" => options.output = Some(value()),
                "header" => options.headers.extend(header(&value())),
                "user-agent" => options.user_agent = Some(value()),
                "timeout" | "tries" => drop(value()),
                "continue" | "no-check-certificate" => {}
                _ => return Err(usage(long)),
            }
        } else if word.len() > 1 && word.starts_with('-') {
            let letters = &word[1..];
            for (at, letter) in letters.char_indices() {
                let rest = &letters[at + letter.len_utf8()..];
                let mut value =
                    || if rest.is_empty() { words.next().unwrap_or_default().to_owned() } else { rest.to_owned() };
                match letter {
                    'q' => options.is_silent = true,
                    'S' => options.shows_headers = true,
                    'c' => {}
                    'O' => options.output = Some(value()),
                    'U' => options.user_agent = Some(value()),
                    'T' | 't' => drop(value()),
                    other => return Err(usage(&other.to_string())),
                }
                if matches!(letter, 'O' | 'U' | 'T' | 't') {
                    break;
                }
            }
        } else {
            options.urls.push(word.to_owned());
        }
    }
    Ok(options)
}

pub(super) fn wget(pod: &Arc<Pod>, index: usize, arguments: &[&str]) -> Output {
    let options = match parse_wget(arguments) {
        Ok(options) => options,
        Err((code, why)) => return Output::failed(code, why),
    };
    let Some(url) = options.urls.first() else { return Output::failed(1, "wget: missing URL\n") };
    let Some(to) = address(url) else { return Output::failed(1, format!("wget: not an http or ftp url: {url}\n")) };
    let mut output = Output::default();
    let mut say = |text: String| {
        if !options.is_silent {
            output.stderr.push_str(&text);
        }
    };
    let asked = ask(pod, &options, &to, "Wget");
    let place = match &asked {
        Ok((_, address)) | Err(Failure::Refused { address }) => Some(address.clone()),
        Err(_) => None,
    };
    if let Some(place) = &place {
        say(format!("Connecting to {} ({place}:{})\n", to.authority, to.port));
    }
    let answer = match asked {
        Ok((answer, _)) => answer,
        Err(failure) => {
            let why = match failure {
                Failure::UnknownHost => format!("bad address '{}'", to.host),
                Failure::Refused { address } => format!("can't connect to remote host ({address}): Connection refused"),
                Failure::Secure => "the embedded sandbox's servers speak http only".into(),
            };
            return Output { code: 1, stderr: format!("{}wget: {why}\n", output.stderr), ..output };
        }
    };
    if options.shows_headers {
        say(head(&answer, "\n").lines().map(|line| format!("  {line}\n")).collect());
    }
    if answer.status >= 400 {
        let line = head(&answer, "\n").lines().next().unwrap_or_default().to_owned();
        let why = format!("{}wget: server returned error: {line}\n", output.stderr);
        return Output { code: 1, stderr: why, ..output };
    }
    if options.head_only {
        say("remote file exists\n".into());
        return output;
    }
    let name = to.target.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let file =
        options.output.clone().unwrap_or_else(|| if name.is_empty() { "index.html".into() } else { name.into() });
    match file.as_str() {
        "-" => {
            say("writing to stdout\n".into());
            say("written to stdout\n".into());
            output.stdout.push_str(&String::from_utf8_lossy(&answer.body));
        }
        path => {
            say(format!("saving to '{path}'\n"));
            if path != "/dev/null"
                && let Err(why) = keep(pod, index, path, &answer.body)
            {
                return Output { code: 1, stderr: format!("{}wget: {why}\n", output.stderr), ..output };
            }
            if !options.is_silent {
                output.stderr.push_str(&format!("'{path}' saved\n"));
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curl_takes_its_options() {
        let parse = |text: &str| parse_curl(&text.split(' ').collect::<Vec<_>>());
        let options = parse("-sSfm 2 -H Host:a.example -o /dev/null -w %{http_code} http://x").unwrap();
        assert!(options.is_silent && options.shows_errors && options.fails && !options.head_only);
        assert_eq!(options.headers, [("host".to_owned(), "a.example".to_owned())]);
        assert_eq!(
            (options.output.as_deref(), options.write_out.as_deref()),
            (Some("/dev/null"), Some("%{http_code}"))
        );
        assert_eq!(options.urls, ["http://x"]);
        assert_eq!(parse("--max-time 2 -I -m3 x").unwrap().urls, ["x"]);
        assert_eq!(parse("-Z x").unwrap_err().0, 2);
        assert!(parse("--nonsense x").unwrap_err().1.starts_with("curl: option --nonsense: is unknown\n"));
        assert!(parse("x -o").unwrap_err().1.starts_with("curl: option -o: requires parameter\n"));
        assert!(parse("-d a=1 x").unwrap_err().1.contains("sends no bodies"));
    }

    #[test]
    fn wget_takes_its_options() {
        let parse = |text: &str| parse_wget(&text.split(' ').collect::<Vec<_>>());
        let options = parse("-qO- -T 2 --header=Host:a http://x/").unwrap();
        assert!(options.is_silent);
        assert_eq!((options.output.as_deref(), &*options.urls), (Some("-"), &["http://x/".to_owned()][..]));
        assert!(parse("--spider -S x").unwrap().head_only);
        assert_eq!(parse("-Z x").unwrap_err().0, 1);
    }

    #[test]
    fn urls_are_taken_apart() {
        let of = |url: &str| address(url).map(|to| (to.is_secure, to.host, to.port, to.target));
        assert_eq!(of("web"), Some((false, "web".into(), 80, "/".into())));
        assert_eq!(of("http://web:8080/a?b#c"), Some((false, "web".into(), 8080, "/a?b".into())));
        assert_eq!(of("https://web?x"), Some((true, "web".into(), 443, "/?x".into())));
        assert_eq!(of("ftp://web"), None);
        assert_eq!(of("http://web:port/"), None);
    }
}
