//! Which process listens on a port, where the system tells it: through `/proc` on Linux.

use std::path::Path;

/// `nginx (1234)`; `None` where it is not known, as of another user's process.
pub fn of_port(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.iter().filter_map(|table| std::fs::read_to_string(table).ok());
    let inodes: Vec<u64> = texts.flat_map(|text| listening(&text, port)).collect();
    if inodes.is_empty() {
        return None;
    }
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    // Beside the processes by their numbers there are `self` and others.
    let is_number = |name: std::ffi::OsString| name.to_string_lossy().parse::<u32>().is_ok();
    let mut processes = entries.filter(|entry| is_number(entry.file_name())).map(|process| process.path());
    processes.find(|process| has_socket(process, &inodes)).and_then(|process| {
        let number = process.file_name()?.to_string_lossy().into_owned();
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        Some(format!("{} ({number})", name.trim()))
    })
}

/// The sockets that listen on a port, of a table of the kernel's.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTENS: &str = "0A";
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_port = rows.filter(|row| {
        let local = row.get(1).and_then(|address| address.rsplit(':').next());
        let local = local.and_then(|port| u16::from_str_radix(port, 16).ok());
        local == Some(port) && row.get(3) == Some(&LISTENS)
    });
    of_port.filter_map(|row| row.get(9)?.parse().ok()).collect()
}

fn has_socket(process: &Path, inodes: &[u64]) -> bool {
    let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|target| {
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:7580 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   \
                     1: 0100007F:7580 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(listening(table, 30080), [4242]);
        assert_eq!(listening(table, 30081), [0; 0]);
        assert_eq!(listening("nonsense", 1), [0; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let found = of_port(port).expect("it listens");
        assert!(found.ends_with(&format!("({})", std::process::id())), "{found}");
    }
}
