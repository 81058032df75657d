use super::certificates::Certificates;
use super::error::Reported;
use super::files::Files;
use super::identity::Identity;
use super::kubeconfig::{self, Access, Proof};
use super::{ProcessError, Status, status};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn a_lock_is_seen_by_others_and_by_nobody_once_released() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(directory.path());
    assert!(!files.is_locked("lock"));
    let lock = files.try_lock("lock").unwrap();
    assert!(lock.is_some() && files.is_locked("lock"));
    assert!(files.try_lock("lock").unwrap().is_none());
    drop(lock);
    assert!(!files.is_locked("lock"));
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::new(&directory.path().join("a b"));
    files.create().unwrap();
    let identity = Identity::load_or_make(&files).unwrap();
    identity.save(&files).unwrap();
    let mode = files.path("identity.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Identity::load_or_make(&files).unwrap(), identity);
    std::fs::write(files.path("identity.json"), "{").unwrap();
    assert_ne!(Identity::load_or_make(&files).unwrap().admin_token, identity.admin_token);
}

#[test]
fn certificates_can_be_served() {
    Certificates::generate().unwrap().server_config().unwrap();
}

#[test]
fn a_kubeconfig_asks_this_program_for_the_credential() {
    let directory = tempfile::tempdir().unwrap();
    let mut identity = Identity::load_or_make(&Files::new(directory.path())).unwrap();
    identity.port = 20_001;
    let proof = Proof::Program { program: Path::new("/bin/tutorial"), directory: Path::new("/home/a b/c") };
    let text = kubeconfig::render("tutorial", &identity, Access::ReadOnly, proof);
    let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
    assert_eq!(config.clusters[0].cluster.as_ref().unwrap().server.as_deref(), Some("https://127.0.0.1:20001"));
    let exec = config.auth_infos[0].auth_info.as_ref().unwrap().exec.as_ref().unwrap();
    let arguments: Vec<&str> = exec.args.iter().flatten().map(String::as_str).collect();
    assert_eq!(arguments, ["cluster", "credential", "--directory", "/home/a b/c", "--read-only"]);
    assert!(!text.contains(&identity.read_only_token));
}

#[test]
fn nothing_runs_in_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(status(directory.path()), Status::Stopped);
}

#[test]
fn an_error_is_told_with_its_causes() {
    let source = std::io::Error::other("no space left on device");
    let reported = Reported::of(ProcessError::Write { path: "/x".into(), source });
    assert_eq!(reported.message, "cannot write /x");
    assert_eq!(reported.cause.unwrap().message, "no space left on device");
    assert_eq!(reported.hint.unwrap(), "check that /x can be written");
}
