use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::super::images::FileTree;
use super::*;

fn site(config: &str, files: &[(&str, &str)]) -> Result<Site, ConfigError> {
    let mut tree = FileTree::new();
    tree.insert("/etc/nginx/conf.d/default.conf".into(), config.to_owned().into());
    for (path, content) in files {
        tree.insert((*path).into(), (*content).to_owned().into());
    }
    Site::start(Arc::new(tree), "web-1", Timestamp::UNIX_EPOCH)
}

fn get(site: &Site, target: &str) -> (u16, String) {
    let query = Query { target, ..Query::default() };
    let answer = site.answer(&query, Timestamp::UNIX_EPOCH).expect("it listens");
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

const FILES: &[(&str, &str)] = &[
    ("/www/index.html", "<p>%A% %A%</p>"),
    ("/www/style.css", "a{}"),
    ("/www/docs/index.html", "docs"),
    ("/www/404.html", "gone"),
];

#[test]
fn locations_are_chosen_as_nginx_chooses() {
    let site = site(
        "server { listen 80; root /www;\n location = /exact { return 200 exact; }\n location /docs/ { }\n location ^~ /raw/ { return 200 raw; }\n location ~ \\.php$ { return 403; }\n location ~* \\.CSS$ { add_header X-A b; }\n location /old { return 301 /new; }\n location /app { try_files $uri $uri/ /index.html; }\n location /none { try_files $uri =418; }\n}",
        FILES,
    )
    .expect("a configuration");
    for (target, status, body) in [
        ("/", 200, "<p>%A% %A%</p>"),
        ("/exact", 200, "exact"),
        ("/exact/more", 404, "404 Not Found"),
        ("/docs/", 200, "docs"),
        ("/docs", 301, "Moved"),
        ("/raw/x.php", 200, "raw"),
        ("/x.php", 403, "Forbidden"),
        ("/style.css", 200, "a{}"),
        ("/old", 301, "Moved"),
        ("/app/deep/link", 200, "<p>"),
        ("/none", 418, ""),
        ("/../../etc/passwd", 404, "404"),
        ("/%2e%2e/etc", 404, "404"),
    ] {
        let (found, text) = get(&site, target);
        assert!(found == status && text.contains(body), "{target}: {found} {text}");
    }
}

#[test]
fn placeholders_are_replaced() {
    let config = |once: &str| format!("server {{ root /www; {once} sub_filter '%A%' 'on $hostname'; }}");
    assert_eq!(get(&site(&config(""), FILES).expect("valid"), "/").1, "<p>on web-1 %A%</p>");
    assert_eq!(get(&site(&config("sub_filter_once off;"), FILES).expect("valid"), "/").1, "<p>on web-1 on web-1</p>");
}

/// A site whose whole configuration is the given files.
fn whole(configs: &[(&str, &str)]) -> Result<Site, ConfigError> {
    let files = configs.iter().chain(FILES);
    let tree: FileTree = files.map(|(path, content)| ((*path).into(), (*content).to_owned().into())).collect();
    Site::start(Arc::new(tree), "web-1", Timestamp::UNIX_EPOCH)
}

#[test]
fn the_main_file_and_what_it_includes_are_read() {
    let main = "user nginx;\nevents { worker_connections 10; }\nhttp {\n include mime.types;\n log_format short '$remote_addr '\n '$status \"$request\"';\n access_log /dev/stdout short;\n root /www;\n include sites/*.conf;\n server { listen 81; include parts/gone; }\n}\n";
    let site = whole(&[
        ("/etc/nginx/nginx.conf", main),
        ("/etc/nginx/sites/a.conf", "server { listen 80; server_name a.test; return 200 a; }"),
        ("/etc/nginx/sites/b.conf", "server { listen 80 default_server; server_name *.b.test; return 200 b; }"),
        ("/etc/nginx/parts/gone", "location / { return 410; }"),
        ("/etc/nginx/conf.d/ignored.conf", "nonsense;"),
    ])
    .expect("valid");
    let ask = |host, port| {
        let query = Query { host, port, ..Query::default() };
        let answer = site.answer(&query, Timestamp::UNIX_EPOCH).expect("it listens");
        (answer.status, answer.log.expect("a line"))
    };
    assert_eq!(ask("a.test", 80), (200, "127.0.0.1 200 \"GET / HTTP/1.1\"".into()));
    assert_eq!(ask("x", 81).0, 410);
    let body = |host| site.answer(&Query { host, ..Query::default() }, Timestamp::UNIX_EPOCH).expect("answered").body;
    assert_eq!((&body("a.test")[..], &body("x.b.test")[..], &body("other")[..]), (&b"a"[..], &b"b"[..], &b"b"[..]));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    for (main, message) in [
        ("http {\n root /www;\n}\nlisten 80;", "unknown directive \"listen\" in /etc/nginx/nginx.conf:4"),
        ("server { }", "\"server\" directive is not allowed here in /etc/nginx/nginx.conf:1"),
        (
            "http { include no.conf; }",
            "open() \"/etc/nginx/no.conf\" failed (2: No such file or directory) in /etc/nginx/nginx.conf:1",
        ),
        ("http { access_log x main; }", "unknown log format \"main\" in /etc/nginx/nginx.conf:1"),
        (
            "http { map $a $b { default 1; } }",
            "the embedded sandbox does not know the directive \"map\" (a real nginx does: --sandbox kind) in /etc/nginx/nginx.conf:1",
        ),
        ("http { include nginx.conf; }", "too many nested includes in /etc/nginx/nginx.conf:1"),
    ] {
        let error = whole(&[("/etc/nginx/nginx.conf", main)]).expect_err("a mistake");
        assert_eq!(error.to_string(), format!("[emerg] {message}"));
    }
}

#[test]
fn answers_expire() {
    for (word, expected) in [
        ("1h", Some(("Thu, 01 Jan 1970 01:00:00 GMT", "max-age=3600"))),
        ("1d12h", Some(("Fri, 02 Jan 1970 12:00:00 GMT", "max-age=129600"))),
        ("-1", Some(("Wed, 31 Dec 1969 23:59:59 GMT", "no-cache"))),
        ("max", Some(("Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"))),
        ("off", None),
    ] {
        let site = site(&format!("server {{ root /www; expires {word}; }}"), FILES).expect("valid");
        let answer = site.answer(&Query::default(), Timestamp::UNIX_EPOCH).expect("it listens");
        let header = |name| answer.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(header("Expires").zip(header("Cache-Control")), expected, "{word}");
    }
}

#[test]
fn error_pages_keep_their_status() {
    let site = site("server { root /www; error_page 404 /404.html; }", FILES).expect("valid");
    assert_eq!(get(&site, "/nothing"), (404, "gone".into()));
}

#[test]
fn ranges_and_tags() {
    let site = site("server { root /www; }", FILES).expect("valid");
    let ask = |range, if_none_match| {
        let query = Query { target: "/style.css", range, if_none_match, ..Query::default() };
        site.answer(&query, Timestamp::UNIX_EPOCH).expect("it listens")
    };
    let part = ask(Some("bytes=1-"), None);
    assert_eq!((part.status, &part.body[..]), (206, &b"{}"[..]));
    assert_eq!(ask(Some("bytes=9-"), None).status, 416);
    let tag = ask(None, None).headers.iter().find(|(name, _)| name == "ETag").expect("a tag").1.clone();
    assert_eq!(ask(None, Some(&tag)).status, 304);
    let since = |time| {
        let query = Query { if_modified_since: Some(time), ..Query::default() };
        site.answer(&query, Timestamp::UNIX_EPOCH).expect("it listens").status
    };
    assert_eq!(since("Thu, 01 Jan 1970 00:00:00 GMT"), 304);
    assert_eq!(since("Thu, 01 Jan 1970 00:00:01 GMT"), 200);
}

#[test]
fn mistakes_have_nginx_wording() {
    for (config, message) in [
        ("server {\n listn 80;\n}", "[emerg] unknown directive \"listn\" in /etc/nginx/conf.d/default.conf:2"),
        ("server { listen 80 }", "[emerg] unexpected \"}\" in /etc/nginx/conf.d/default.conf:1"),
        ("server { listen 80;", "[emerg] unexpected end of file, expecting \"}\" in /etc/nginx/conf.d/default.conf:1"),
        (
            "server { return; }",
            "[emerg] invalid number of arguments in \"return\" directive in /etc/nginx/conf.d/default.conf:1",
        ),
    ] {
        assert_eq!(site(config, &[]).expect_err("a mistake").to_string(), message);
    }
}

#[test]
fn the_access_log_is_nginx_combined() {
    let site = site("server { root /www; location = /quiet { access_log off; return 200; } }", FILES).expect("valid");
    let query = Query { remote: "10.244.0.1", user_agent: "kube-probe/1.34", ..Query::default() };
    let answer = site.answer(&query, Timestamp::UNIX_EPOCH).expect("it listens");
    assert_eq!(
        answer.log.as_deref(),
        Some("10.244.0.1 - - [01/Jan/1970:00:00:00 +0000] \"GET / HTTP/1.1\" 200 14 \"-\" \"kube-probe/1.34\"")
    );
    let quiet =
        site.answer(&Query { target: "/quiet", ..Query::default() }, Timestamp::UNIX_EPOCH).expect("it listens");
    assert_eq!(quiet.log, None);
}

proptest! {
    #[test]
    fn no_configuration_panics(text in "[a-z{};'\"$#~=^ \n\\\\/]{0,80}", target in "/[ -~]{0,20}") {
        if let Ok(site) = site(&text, FILES) {
            let _ = site.answer(&Query { target: &target, ..Query::default() }, Timestamp::UNIX_EPOCH);
        }
    }
}
