//! What befalls a computer: a damaged log, a full disk. Nothing of the learner's is lost, and what happened is said.

use std::io::{Seek, SeekFrom, Write};
use std::process::Stdio;

use super::session::Home;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/small-course");

#[test]
fn a_damaged_cluster_log_is_kept_and_the_rest_of_it_serves() {
    let home = Home::new();
    home.tutorial(&["start", SMALL]).expect(0);
    home.tutorial(&["stop"]).expect(0);
    let data = home.workspace("small").join(".tutorial/cluster/data");
    let log = data.join("objects.log");
    let length = std::fs::metadata(&log).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.seek(SeekFrom::Start(length * 2 / 3)).unwrap();
    file.write_all(b"not what was written").unwrap();
    drop(file);
    let warned = home.tutorial(&["next"]).expect(0).stderr;
    let warned = warned.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(warned.contains("data was damaged") && warned.contains("objects.log.damaged-1"), "{warned}");
    assert!(warned.contains("`tutorial reset` restores this step"), "{warned}");
    assert!(!home.tutorial(&["run"]).expect(0).stderr.contains("damaged"), "it is said again");
    home.tutorial(&["verify"]).expect(0);
    assert!(data.join("objects.log.damaged-1").is_file(), "the damaged log is not kept");
    let told = home.tutorial(&["cluster", "logs", "--name", "tutorial-small"]).expect(0).stdout;
    assert!(told.contains("damaged at byte") && told.contains("objects.log.damaged-1"), "{told}");
}

/// A file system of its own, small and full, where this machine allows to make one.
#[test]
fn on_a_full_disk_commands_say_so_and_work_again_when_there_is_room() {
    let home = Home::new();
    let script = r#"
        mount -t tmpfs -o size=8m none "$HOME" || exit 77
        export TUTORIAL_HOME="$HOME/tutorial"
        "$TUTORIAL" start "$SMALL" >/dev/null 2>&1 || exit 1
        dd if=/dev/zero of="$HOME/filling" bs=4k 2>/dev/null
        "$TUTORIAL" next 2>"$HOME.said" && exit 2
        rm "$HOME/filling"
        "$TUTORIAL" next && "$TUTORIAL" run && "$TUTORIAL" verify || exit 3
        "$TUTORIAL" stop
    "#;
    let said_file = format!("{}.said", home.path().display());
    let mut command = home.command("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script]);
    command.env("TUTORIAL", env!("CARGO_BIN_EXE_tutorial")).env("SMALL", SMALL);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(output) = command.output() else { return println!("skipped: there is no `unshare` on this machine") };
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(77) || stderr.contains("unshare:") {
        return println!("skipped: no file system can be mounted on this machine");
    }
    assert_eq!(output.status.code(), Some(0), "{}\n{stderr}", String::from_utf8_lossy(&output.stdout));
    let said = std::fs::read_to_string(&said_file).unwrap();
    std::fs::remove_file(&said_file).unwrap();
    assert!(said.contains("No space left on device") && said.contains("free some disk space"), "{said}");
}
