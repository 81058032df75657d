//! The durable log: one file of records, each with its length and a checksum, written before a write is
//! acknowledged. It survives kill -9 (the kernel has the bytes), not the loss of power.
//!
//! A record is `MARK length checksum payload`; the payload is the revision, the operation and the object's JSON.
//! A torn tail is what a kill in the middle of a write leaves: it is cut off. A damaged middle is something else
//! (a disk, an editor): the file is kept aside, and what precedes the damage is recovered.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Notice, StoreError};

const MARK: [u8; 4] = [0xf7, b'l', b'o', b'g'];
const HEADER: usize = MARK.len() + 4 + 4;
/// Revision and operation.
const PREFIX: usize = 8 + 1;
/// No object comes near this; a longer length is damage.
const PAYLOAD_MAX: usize = 64 << 20;

/// What a record does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Put = 1,
    Delete = 2,
    /// Begins a compacted log: the revision that it stands at.
    Revision = 3,
}

/// One record as read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub revision: u64,
    pub operation: Operation,
    pub json: Bytes,
}

/// The log of a running cluster.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Opens or creates the log and returns its records in order.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>, Vec<Notice>), StoreError> {
        let failed = |source| StoreError::Read { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed)?;
        let content = Bytes::from(content);
        let (records, valid) = read_records(&content);
        let mut notices = Vec::new();
        if valid < content.len() {
            notices.push(cut(path, &file, &content, valid)?);
        }
        let log = Self { path: path.to_owned(), file, length: valid as u64, buffer: Vec::new() };
        Ok((log, records, notices))
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends records in one write; on failure the file is as it was before.
    pub fn append<'a>(
        &mut self,
        records: impl IntoIterator<Item = (u64, Operation, &'a [u8])>,
    ) -> Result<(), StoreError> {
        self.buffer.clear();
        for (revision, operation, json) in records {
            write_record(&mut self.buffer, revision, operation, json);
        }
        match self.file.write_all(&self.buffer) {
            Ok(()) => {
                self.length += self.buffer.len() as u64;
                Ok(())
            }
            Err(source) => {
                self.file.set_len(self.length).map_err(|source| self.write_error(source))?;
                Err(self.write_error(source))
            }
        }
    }

    /// Replaces the file by one with these records only, atomically.
    pub fn replace<'a>(
        &mut self,
        revision: u64,
        live: impl IntoIterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), StoreError> {
        let (file, length) = write_file(&self.path, revision, live)?;
        self.file = file;
        self.length = length;
        Ok(())
    }

    fn write_error(&self, source: std::io::Error) -> StoreError {
        StoreError::Write { path: self.path.clone(), source }
    }
}

/// Writes a whole log file beside its place, then renames it there; also what a snapshot is.
pub(super) fn write_file<'a>(
    path: &Path,
    revision: u64,
    live: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> Result<(File, u64), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary)?;
        let mut buffer = Vec::with_capacity(1 << 20);
        write_record(&mut buffer, revision, Operation::Revision, b"");
        for (revision, json) in live {
            write_record(&mut buffer, revision, Operation::Put, json);
            if buffer.len() > 1 << 20 {
                file.write_all(&buffer)?;
                buffer.clear();
            }
        }
        file.write_all(&buffer)?;
        file.sync_data()?;
        std::fs::rename(&temporary, path)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok((OpenOptions::new().read(true).append(true).open(path)?, length))
    })();
    written.map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        failed(source)
    })
}

/// Reads a log file that is not the running one, such as a snapshot; any damage is an error.
pub(super) fn read_file(path: &Path) -> Result<Vec<Record>, StoreError> {
    let content = std::fs::read(path).map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let content = Bytes::from(content);
    let (records, valid) = read_records(&content);
    if valid < content.len() {
        return Err(StoreError::Snapshot { path: path.to_owned(), offset: valid as u64 });
    }
    Ok(records)
}

fn write_record(buffer: &mut Vec<u8>, revision: u64, operation: Operation, json: &[u8]) {
    let length = u32::try_from(PREFIX + json.len()).expect("bodies are bounded far below 4 GiB");
    buffer.extend_from_slice(&MARK);
    buffer.extend_from_slice(&length.to_le_bytes());
    let checksum_at = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&revision.to_le_bytes());
    buffer.push(operation as u8);
    buffer.extend_from_slice(json);
    let checksum = checksum(&buffer[checksum_at + 4..]);
    buffer[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(payload);
    crc.sum()
}

/// The records from the beginning to the first that is not whole, and where that one stands.
fn read_records(content: &Bytes) -> (Vec<Record>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((record, length)) = read_record(content, at) {
        records.push(record);
        at += length;
    }
    (records, at)
}

fn read_record(content: &Bytes, at: usize) -> Option<(Record, usize)> {
    let rest = &content[at..];
    if rest.len() < HEADER + PREFIX || rest[..4] != MARK {
        return None;
    }
    let length = u32::from_le_bytes(rest[4..8].try_into().ok()?) as usize;
    if !(PREFIX..=PAYLOAD_MAX).contains(&length) || rest.len() < HEADER + length {
        return None;
    }
    let payload = &rest[HEADER..HEADER + length];
    if checksum(payload) != u32::from_le_bytes(rest[8..12].try_into().ok()?) {
        return None;
    }
    let operation = match payload[8] {
        1 => Operation::Put,
        2 => Operation::Delete,
        3 => Operation::Revision,
        _ => return None,
    };
    let revision = u64::from_le_bytes(payload[..8].try_into().ok()?);
    let json = content.slice(at + HEADER + PREFIX..at + HEADER + length);
    Some((Record { revision, operation, json }, HEADER + length))
}

/// Cuts the file at the first record that is not whole, keeping a copy where more than a torn tail is lost.
fn cut(path: &Path, file: &File, content: &Bytes, valid: usize) -> Result<Notice, StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let lost = (content.len() - valid) as u64;
    let torn = !(valid + 1..content.len())
        .any(|at| content[at] == MARK[0] && content[at..].starts_with(&MARK) && read_record(content, at).is_some());
    let notice = if torn {
        Notice::TornTail { path: path.to_owned(), bytes: lost }
    } else {
        let copy = copy_path(path);
        std::fs::copy(path, &copy).map_err(failed)?;
        Notice::Damaged { path: path.to_owned(), offset: valid as u64, bytes: lost, copy }
    };
    file.set_len(valid as u64).map_err(failed)?;
    Ok(notice)
}

fn copy_path(path: &Path) -> PathBuf {
    (1..u32::MAX)
        .map(|number| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".damaged-{number}"));
            PathBuf::from(name)
        })
        .find(|candidate| !candidate.exists())
        .expect("a directory holds fewer files than that")
}
