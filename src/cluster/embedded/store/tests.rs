use std::io::Write as _;

use serde_json::json;

use super::*;

fn kind(name: &str) -> &'static Kind {
    schema::kinds().iter().find(|kind| kind.name == name).expect("a kind of the schema")
}

fn draft(name: &str, value: &str) -> Draft {
    let object = json!({"metadata": {"name": name, "uid": format!("uid-{name}")}, "spec": {"value": value}});
    Draft::new(kind("Namespace"), &object)
}

fn names(store: &Store) -> Vec<String> {
    store.list(kind("Namespace"), None).1.iter().map(|entry| format!("{}@{}", entry.name, entry.revision)).collect()
}

#[test]
fn what_was_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    {
        let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
        let a = store.put(&draft("a", "1"), None).unwrap();
        store.put(&draft("b", "1"), None).unwrap();
        let a = store.put(&draft("a", "2"), Some(&a)).unwrap();
        store.put(&draft("c", "1"), None).unwrap();
        store.remove(&a, None).unwrap();
    }
    let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
    assert_eq!(names(&store), ["b@2", "c@4"]);
    assert_eq!(store.revision(), 5);
    assert_eq!(store.notices(), []);
    let mut watch = store.subscribe(None, Some(2));
    let seen: Vec<_> = std::iter::from_fn(|| match watch.try_next()? {
        Next::Event(event) => Some((event.kind, event.entry.revision)),
        Next::Lagged => None,
    })
    .collect();
    assert_eq!(seen, [(EventKind::Modified, 3), (EventKind::Added, 4), (EventKind::Deleted, 5)]);
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objects.log");
    let before = {
        let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
        store.put(&draft("a", "1"), None).unwrap();
        let before = std::fs::metadata(&path).unwrap().len();
        store.put(&draft("b", "1"), None).unwrap();
        before
    };
    let whole = std::fs::read(&path).unwrap();
    for length in usize::try_from(before).unwrap() + 1..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
        assert_eq!(names(&store), ["a@1"]);
        assert_eq!(store.notices(), [Notice::TornTail { path: path.clone(), bytes: length as u64 - before }]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), before);
        assert_eq!(store.put(&draft("c", "1"), None).unwrap().revision, 2);
    }
}

#[test]
fn a_damaged_middle_keeps_a_copy_and_what_precedes_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("objects.log");
    let mut ends = Vec::new();
    {
        let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
        for name in ["a", "b", "c"] {
            store.put(&draft(name, "1"), None).unwrap();
            ends.push(std::fs::metadata(&path).unwrap().len());
        }
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = usize::try_from(ends[0] + 30).unwrap();
    bytes[middle] ^= 0xff;
    std::fs::write(&path, &bytes).unwrap();
    let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
    assert_eq!(names(&store), ["a@1"]);
    let [Notice::Damaged { offset, copy, .. }] = store.notices() else { panic!("{:?}", store.notices()) };
    assert_eq!(*offset, ends[0]);
    assert_eq!(std::fs::read(copy).unwrap(), bytes);
}

#[test]
fn compaction_keeps_objects_and_revision() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { compaction_bytes_min: 4096, ..Options::default() };
    {
        let store = Store::open(Some(directory.path()), &options).unwrap();
        let mut live = store.put(&draft("a", "0"), None).unwrap();
        for value in 0..200 {
            live = store.put(&draft("a", &value.to_string()), Some(&live)).unwrap();
        }
        store.put(&draft("b", "1"), None).unwrap();
        assert!(store.figures().log_bytes < 8192, "{:?}", store.figures());
    }
    let store = Store::open(Some(directory.path()), &options).unwrap();
    assert_eq!(names(&store), ["a@201", "b@202"]);
    assert_eq!(store.revision(), 202);
}

#[test]
fn an_unfinished_compaction_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    Store::open(Some(directory.path()), &Options::default()).unwrap().put(&draft("a", "0"), None).unwrap();
    std::fs::File::create(directory.path().join("objects.log.new")).unwrap().write_all(b"half").unwrap();
    let store = Store::open(Some(directory.path()), &Options::default()).unwrap();
    assert_eq!(names(&store), ["a@1"]);
}

#[test]
fn a_commit_over_something_else_is_refused() {
    let store = Store::open(None, &Options::default()).unwrap();
    let first = store.put(&draft("a", "1"), None).unwrap();
    store.put(&draft("a", "2"), Some(&first)).unwrap();
    assert!(matches!(store.put(&draft("a", "3"), Some(&first)), Err(CommitError::Changed)));
    assert!(matches!(store.put(&draft("a", "3"), None), Err(CommitError::Changed)));
    assert!(matches!(store.remove(&first, None), Err(CommitError::Changed)));
}

#[test]
fn a_restore_is_a_series_of_ordinary_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshot");
    let store = Store::open(None, &Options::default()).unwrap();
    let a = store.put(&draft("a", "1"), None).unwrap();
    store.put(&draft("b", "1"), None).unwrap();
    let c = store.put(&draft("c", "1"), None).unwrap();
    store.snapshot(&path).unwrap();
    store.put(&draft("a", "2"), Some(&a)).unwrap();
    store.remove(&c, None).unwrap();
    store.put(&draft("d", "1"), None).unwrap();
    let mut watch = store.subscribe(None, None);
    assert_eq!(store.restore(&path).unwrap(), 3);
    let mut seen = Vec::new();
    while let Some(Next::Event(event)) = watch.try_next() {
        seen.push(format!("{:?} {}@{}", event.kind, event.entry.name, event.entry.revision));
        assert_eq!(event.entry.value()["metadata"]["resourceVersion"], event.entry.revision.to_string());
    }
    assert_eq!(seen, ["Deleted d@7", "Modified a@8", "Added c@9"]);
    assert_eq!(names(&store), ["a@8", "b@2", "c@9"]);
    assert_eq!(store.list(kind("Namespace"), None).1[0].value()["spec"]["value"], "1");
}

#[test]
fn an_older_list_is_reconstructed_from_the_history() {
    let store = Store::open(None, &Options { history_events_max: 4, ..Options::default() }).unwrap();
    let a = store.put(&draft("a", "1"), None).unwrap();
    let b = store.put(&draft("b", "1"), None).unwrap();
    store.put(&draft("a", "2"), Some(&a)).unwrap();
    store.remove(&b, None).unwrap();
    store.put(&draft("c", "1"), None).unwrap();
    let at = |revision| {
        store
            .list_at(kind("Namespace"), None, revision)
            .map(|entries| entries.iter().map(|entry| format!("{}@{}", entry.name, entry.revision)).collect::<Vec<_>>())
    };
    assert_eq!(at(2).unwrap(), ["a@1", "b@2"]);
    assert_eq!(at(4).unwrap(), ["a@3"]);
    assert_eq!(at(5).unwrap(), ["a@3", "c@5"]);
    assert_eq!(at(0), None);
}

#[test]
fn a_reader_that_falls_behind_is_told() {
    let store = Store::open(None, &Options { history_events_max: 2, ..Options::default() }).unwrap();
    let mut watch = store.subscribe(None, None);
    for name in ["a", "b", "c"] {
        store.put(&draft(name, "1"), None).unwrap();
    }
    assert!(matches!(watch.try_next(), Some(Next::Lagged)));
}
