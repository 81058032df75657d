//! Which versions of the known images exist: those that Docker Hub had when Kubernetes 1.34.2 came out, in November
//! 2025. A version that does not exist is not found here either, so that a slip of the pen (`nginx:1.92`) shows. Pure.

/// Words that stand for a version.
const NAMED: &[(&str, &[&str])] = &[
    ("nginx", &["latest", "stable", "mainline"]),
    ("nginxinc/nginx-unprivileged", &["latest", "stable", "mainline"]),
    ("busybox", &["latest", "stable", "unstable"]),
    ("alpine", &["latest", "edge"]),
    (
        "debian",
        &["latest", "stable", "testing", "unstable", "oldstable", "sid", "trixie", "bookworm", "bullseye", "buster"],
    ),
    ("ubuntu", &["latest", "rolling", "devel", "noble", "jammy", "focal", "bionic", "plucky", "questing"]),
    ("redis", &["latest"]),
    ("memcached", &["latest"]),
    ("postgres", &["latest"]),
    ("pause", &["latest"]),
];

/// The last patch of each minor of nginx 1, from 1.7 on.
const NGINX_PATCHES: [u32; 23] = [12, 1, 15, 3, 13, 2, 12, 2, 12, 1, 10, 0, 10, 2, 6, 1, 4, 0, 5, 3, 5, 0, 3];
const NGINX_MINOR_MIN: u32 = 7;

/// The distributions and flavours that may follow a version.
const FLAVOURS: &[&str] = &[
    "alpine",
    "slim",
    "perl",
    "otel",
    "musl",
    "glibc",
    "uclibc",
    "bookworm",
    "trixie",
    "bullseye",
    "buster",
    "stretch",
    "jessie",
    "backports",
];

/// Whether the image has this tag; `name` is one of the known ones.
pub fn exists(name: &str, version: &str) -> bool {
    if let Some(digest) = version.strip_prefix("sha256:") {
        return digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let name = name.strip_prefix("registry.k8s.io/").unwrap_or(name);
    let (first, flavours) = version.split_once('-').map_or((version, None), |(first, rest)| (first, Some(rest)));
    let named = NAMED.iter().find(|(known, _)| *known == name).is_some_and(|(_, words)| words.contains(&first));
    // `nginx:alpine`, `nginx:alpine-slim`: the latest one of a flavour
    let flavoured = !matches!(name, "alpine" | "debian" | "ubuntu" | "pause") && is_flavour(first);
    let numbered = numbers(first).is_some_and(|numbers| has_number(name, &numbers));
    (named || flavoured || numbered) && flavours.is_none_or(|flavours| flavours.split('-').all(is_flavour))
}

/// `alpine`, `alpine3.22`.
fn is_flavour(part: &str) -> bool {
    FLAVOURS.contains(&part)
        || part.strip_prefix("alpine").and_then(numbers).is_some_and(|numbers| has_number("alpine", &numbers))
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    let parts = text.split('.').map(|part| {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let padded = part.len() > 1 && part.starts_with('0') && part != "04";
        if plain && !padded { part.parse().ok() } else { None }
    });
    parts.collect()
}

fn has_number(name: &str, numbers: &[u32]) -> bool {
    const PATCH_MAX: u32 = 30;
    match (name, numbers) {
        ("nginx" | "nginxinc/nginx-unprivileged", [1, minor, patch @ ..]) => {
            let index = minor.checked_sub(NGINX_MINOR_MIN).and_then(|index| usize::try_from(index).ok());
            let last = index.and_then(|index| NGINX_PATCHES.get(index));
            patch.len() <= 1 && last.is_some_and(|last| patch.iter().all(|patch| patch <= last))
        }
        ("nginx" | "nginxinc/nginx-unprivileged" | "busybox" | "memcached", [1])
        | ("alpine", [3])
        | ("ubuntu", [14 | 16 | 18 | 20 | 22 | 24 | 25, 4] | [22..=25, 10])
        | ("redis", [3..=8] | [4 | 5, 0] | [3 | 6 | 8, 0 | 2] | [7, 0 | 2 | 4])
        | ("postgres", [9]) => true,
        ("redis", [4 | 5, 0, patch] | [3 | 6 | 8, 0 | 2, patch] | [7, 0 | 2 | 4, patch]) => *patch <= PATCH_MAX,
        ("busybox", [1, 21..=37, rest @ ..])
        | ("alpine" | "pause", [3, 1..=10, rest @ ..])
        | ("alpine", [3, 11..=22, rest @ ..])
        | ("debian", [7..=13, rest @ ..])
        | ("postgres", [9, 0..=6, rest @ ..] | [10..=18, rest @ ..]) => {
            rest.len() <= 1 && rest.iter().all(|number| *number <= PATCH_MAX)
        }
        ("memcached", [1, 4..=6, rest @ ..]) => rest.len() <= 1 && rest.iter().all(|patch| *patch <= 39),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::exists;

    #[test]
    fn what_exists_is_found_and_what_does_not_is_not() {
        let there = [
            (
                "nginx",
                "latest stable mainline alpine alpine-slim perl 1 1.29 1.29.3 1.29-alpine 1.29.3-alpine3.22 1.16.1",
            ),
            (
                "nginx",
                "1.27-alpine-slim stable-alpine mainline-bookworm 1.25-bookworm-perl 1-alpine 1.28.0-alpine-otel",
            ),
            ("nginxinc/nginx-unprivileged", "latest 1.29 1.29-alpine"),
            ("busybox", "latest 1 1.36 1.37.0 stable-glibc musl 1.36.1-uclibc"),
            ("alpine", "latest edge 3 3.22 3.20.3"),
            ("debian", "12 bookworm-slim 13-slim"),
            ("ubuntu", "24.04 22.04 noble"),
            ("redis", "7 7.4 7-alpine 7.2.4-bookworm 8 alpine"),
            ("memcached", "1.6 1.6.39-alpine"),
            ("postgres", "16 17.2 16-alpine 9.6"),
            ("registry.k8s.io/pause", "3.9 3.10.1"),
        ];
        for (name, versions) in there {
            for version in versions.split(' ') {
                assert!(exists(name, version), "{name}:{version}");
            }
        }
        let nowhere = [
            ("nginx", "1.161 9.99 1.30 2 1.29.99 nonsense 1.29-nonsense v1 1.29.3.1 alpine9.9 01.29 1.29-"),
            ("busybox", "2 1.99 1.36-alpine9 nonsense"),
            ("alpine", "4 3.99 nonsense"),
            ("ubuntu", "24.05 99.04"),
            ("redis", "99 7.99 70"),
            ("postgres", "161 99"),
            ("nginx", "sha256:12"),
        ];
        for (name, versions) in nowhere {
            for version in versions.split(' ') {
                assert!(!exists(name, version), "{name}:{version}");
            }
        }
    }
}
