//! The nearest miss: what was probably meant.

use std::path::Path;

/// Of several names the one that is most like the wanted, if any is like it.
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let rate = |name: &'n str| (strsim::normalized_damerau_levenshtein(wanted, name), name);
    let best = names.into_iter().map(rate).max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= 0.6).then_some(best.1)
}

/// Of several paths the one that is most like the wanted: the same name with another ending or in another case,
/// the same file in another directory, or a slip of the keys.
pub fn nearest_path<'p>(wanted: &str, paths: impl IntoIterator<Item = &'p str>) -> Option<&'p str> {
    let paths: Vec<&str> = paths.into_iter().filter(|path| *path != wanted).collect();
    let without_ending = |path: &str| Path::new(path).with_extension("").to_string_lossy().to_lowercase();
    let name = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().to_lowercase());
    let sibling = paths.iter().find(|path| without_ending(path) == without_ending(wanted));
    let moved = || paths.iter().find(|path| name(path).is_some() && name(path) == name(wanted));
    sibling
        .or_else(moved)
        .copied()
        .or_else(|| nearest(wanted, paths.iter().copied()).filter(|path| is_slip(wanted, path)))
}

/// Whether a path differs in so little that it was probably mistyped.
fn is_slip(wanted: &str, path: &str) -> bool {
    strsim::damerau_levenshtein(wanted, path) <= 3
}

/// The line of a text that is most like the wanted text, with its number from 1.
pub fn nearest_line<'t>(wanted: &str, text: &'t str) -> Option<(usize, &'t str)> {
    let wanted = wanted.lines().map(str::trim).find(|line| !line.is_empty())?;
    let lines = text.lines().take(5000).enumerate().filter(|(_, line)| line.len() < 500 && !line.trim().is_empty());
    let rate = |(number, line): (usize, &'t str)| (likeness(wanted, line.trim()), number + 1, line.trim());
    let best = lines.map(rate).max_by(|left, right| left.0.total_cmp(&right.0).then(right.1.cmp(&left.1)))?;
    (best.0 >= 0.5).then_some((best.1, best.2))
}

/// What to do about the line that comes nearest: it has a slip, or it is another one and the wanted line is missing.
pub fn look_at(wanted: &str, number: usize, line: &str) -> String {
    let wanted = wanted.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if likeness(wanted, line) >= 0.8 {
        format!("look at line {number}, letter by letter")
    } else {
        format!("the line is missing, unless it is line {number} with a mistake: compare with the lesson's")
    }
}

/// How like a line is to a wanted text, where the line may hold more than that.
fn likeness(wanted: &str, line: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(wanted, line);
    let length = wanted.chars().count();
    let characters: Vec<char> = line.chars().collect();
    if characters.len() <= length || length < 3 {
        return whole;
    }
    let windows = characters.windows(length).map(|window| {
        let window: String = window.iter().collect();
        strsim::normalized_damerau_levenshtein(wanted, &window)
    });
    windows.fold(whole, f64::max)
}

/// At most so many of a list, joined, with how many more there are.
pub fn some_of<T: AsRef<str>>(items: &[T], max: usize) -> String {
    let shown: Vec<&str> = items.iter().take(max).map(AsRef::as_ref).collect();
    match items.len().checked_sub(max) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// `1 commit`, `2 commits`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        fn check(wanted: &str, paths: &[&str], expected: Option<&str>) {
            assert_eq!(nearest_path(wanted, paths.iter().copied()), expected, "{wanted}");
        }
        check("a/service.yaml", &["a/deployment.yaml", "a/service.yml"], Some("a/service.yml"));
        check("a/service.yaml", &["b/service.yaml"], Some("b/service.yaml"));
        check("a/Service.yaml", &["a/service.yaml"], Some("a/service.yaml"));
        check("werf.yaml", &["wref.yaml", "Dockerfile"], Some("wref.yaml"));
        check("werf.yaml", &["Dockerfile", "public/index.html"], None);
    }

    #[test]
    fn lines() {
        fn check(wanted: &str, text: &str, expected: Option<(usize, &str)>) {
            assert_eq!(nearest_line(wanted, text), expected, "{wanted}");
        }
        check("kind: Deployment", "apiVersion: apps/v1\nkind: Deploment\n", Some((2, "kind: Deploment")));
        check(">v2<", "<html>\n  <p class=\"version\">v1</p>\n", Some((2, "<p class=\"version\">v1</p>")));
        check("kind: Deployment", "hello\n", None);
    }
}
