//! SPDY/3.1 as far as kubectl's port-forward and older exec speak it: streams with headers and data. No flow
//! control, as in the clients' own implementation (moby/spdystream).
//!
//! Draft: <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1>. Frames arrive as chunks of bytes and
//! leave as whole frames, so that they travel over an upgraded connection or inside WebSocket messages alike.

use std::collections::HashMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

/// Given by the draft: what header blocks are compressed against.
const DICTIONARY: &[u8] = include_bytes!("spdy.dictionary");
const FRAME_BYTES_MAX: usize = 1 << 20;
const HEADER_BYTES_MAX: usize = 64 << 10;
const STREAMS_MAX: usize = 512;
/// Frames that may wait for a stream's reader before the connection waits with them.
const WAITING_FRAMES_MAX: usize = 32;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const FIN: u8 = 1;

/// A stream that the client opened.
#[derive(Debug)]
pub(super) struct Stream {
    headers: HashMap<String, String>,
    /// What the client sends; ends where it closes its half.
    pub input: mpsc::Receiver<Bytes>,
    pub output: Output,
}

impl Stream {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The server's half of a stream.
#[derive(Debug, Clone)]
pub(super) struct Output {
    id: u32,
    frames: mpsc::Sender<Bytes>,
}

impl Output {
    /// Sends data; false where the connection is gone.
    pub async fn write(&self, data: &[u8]) -> bool {
        for piece in data.chunks(FRAME_BYTES_MAX / 4) {
            if self.frames.send(data_frame(self.id, 0, piece)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Closes this half.
    pub async fn close(&self) {
        let _ = self.frames.send(data_frame(self.id, FIN, b"")).await;
    }
}

/// Reads frames until the connection ends; each stream that the client opens is accepted and handed out.
pub(super) fn start(chunks: BoxStream<'static, Bytes>, frames: mpsc::Sender<Bytes>) -> mpsc::Receiver<Stream> {
    let (opened, streams) = mpsc::channel(16);
    let session = Session { open: HashMap::new(), inflate: Inflate::new(), replied: false, frames, opened };
    tokio::spawn(session.run(chunks));
    streams
}

struct Session {
    open: HashMap<u32, mpsc::Sender<Bytes>>,
    inflate: Inflate,
    /// The first header block that is sent begins the compressed stream.
    replied: bool,
    frames: mpsc::Sender<Bytes>,
    opened: mpsc::Sender<Stream>,
}

impl Session {
    async fn run(mut self, mut chunks: BoxStream<'static, Bytes>) {
        let mut buffer = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            buffer.extend_from_slice(&chunk);
            loop {
                match split_frame(&mut buffer) {
                    Ok(Some(frame)) => {
                        if self.take(frame).await.is_none() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(TooLong) => return,
                }
            }
        }
    }

    /// `None` ends the session.
    async fn take(&mut self, mut frame: Frame) -> Option<()> {
        let Some(kind) = frame.control else {
            if let Some(stream) = self.open.get(&frame.stream) {
                if !frame.payload.is_empty() && stream.send(frame.payload).await.is_err() {
                    self.open.remove(&frame.stream);
                }
                if frame.flags & FIN != 0 {
                    self.open.remove(&frame.stream);
                }
            }
            return Some(());
        };
        match kind {
            SYN_STREAM if frame.payload.len() >= 10 => {
                let id = frame.payload.get_u32() & 0x7fff_ffff;
                frame.payload.advance(6);
                let headers = self.inflate.headers(&frame.payload)?;
                self.accept(id, headers, frame.flags).await
            }
            RST_STREAM if frame.payload.len() >= 4 => {
                self.open.remove(&(frame.payload.get_u32() & 0x7fff_ffff));
                Some(())
            }
            PING => self.frames.send(control_frame(PING, 0, &frame.payload)).await.ok(),
            GOAWAY => None,
            _ => Some(()),
        }
    }

    async fn accept(&mut self, id: u32, headers: HashMap<String, String>, flags: u8) -> Option<()> {
        if self.open.len() >= STREAMS_MAX {
            return None;
        }
        let (sender, input) = mpsc::channel(WAITING_FRAMES_MAX);
        if flags & FIN == 0 {
            self.open.insert(id, sender);
        }
        let reply = self.reply(id);
        self.frames.send(reply).await.ok()?;
        let output = Output { id, frames: self.frames.clone() };
        self.opened.send(Stream { headers, input, output }).await.ok()
    }

    /// A reply without headers: a stored block of the compressed stream, which no dictionary need begin. The empty
    /// block after it is what makes Go's decoder give out the first.
    fn reply(&mut self, id: u32) -> Bytes {
        const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];
        const NO_HEADERS_STORED: [u8; 14] = [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let mut payload = BytesMut::new();
        payload.put_u32(id);
        if !std::mem::replace(&mut self.replied, true) {
            payload.put_slice(&ZLIB_HEADER);
        }
        payload.put_slice(&NO_HEADERS_STORED);
        control_frame(SYN_REPLY, 0, &payload)
    }
}

struct Frame {
    /// The type of a control frame; `None` for data.
    control: Option<u16>,
    stream: u32,
    flags: u8,
    payload: Bytes,
}

struct TooLong;

fn split_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, TooLong> {
    let Some(head) = buffer.get(..8) else { return Ok(None) };
    let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
    let flags = head[4];
    if length > FRAME_BYTES_MAX {
        return Err(TooLong);
    }
    if buffer.len() < 8 + length {
        return Ok(None);
    }
    buffer.advance(8);
    let payload = buffer.split_to(length).freeze();
    let control = (word & 0x8000_0000 != 0).then_some((word & 0xffff) as u16);
    Ok(Some(Frame { control, stream: word & 0x7fff_ffff, flags, payload }))
}

fn control_frame(kind: u16, flags: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + payload.len());
    frame.put_u16(0x8003);
    frame.put_u16(kind);
    put_length(&mut frame, flags, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn data_frame(stream: u32, flags: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + payload.len());
    frame.put_u32(stream);
    put_length(&mut frame, flags, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn put_length(frame: &mut BytesMut, flags: u8, length: usize) {
    let length = u32::try_from(length).expect("frames are bounded");
    frame.put_u32(u32::from(flags) << 24 | length);
}

/// The client's header blocks: one compressed stream over the whole connection, begun by the draft's dictionary.
struct Inflate {
    decompress: Decompress,
    begun: bool,
}

impl Inflate {
    fn new() -> Self {
        // A raw decoder that is fed the dictionary as a stored block has it in its window, as zlib's own would.
        let mut decompress = Decompress::new(false);
        let length = u16::try_from(DICTIONARY.len()).expect("1423 bytes");
        let mut primer = vec![0];
        primer.extend_from_slice(&length.to_le_bytes());
        primer.extend_from_slice(&(!length).to_le_bytes());
        primer.extend_from_slice(DICTIONARY);
        let mut discarded = Vec::with_capacity(DICTIONARY.len() + 64);
        decompress
            .decompress_vec(&primer, &mut discarded, FlushDecompress::Sync)
            .expect("a stored block is always valid");
        Self { decompress, begun: false }
    }

    fn headers(&mut self, block: &[u8]) -> Option<HashMap<String, String>> {
        const ZLIB_HEADER_WITH_DICTIONARY: usize = 6;
        let block =
            if std::mem::replace(&mut self.begun, true) { block } else { block.get(ZLIB_HEADER_WITH_DICTIONARY..)? };
        let mut plain = Vec::with_capacity(4096);
        let before = self.decompress.total_in();
        loop {
            let consumed = usize::try_from(self.decompress.total_in() - before).ok()?;
            let length = plain.len();
            self.decompress.decompress_vec(&block[consumed..], &mut plain, FlushDecompress::Sync).ok()?;
            let all = usize::try_from(self.decompress.total_in() - before).ok()? == block.len();
            if all && plain.len() < plain.capacity() || plain.len() == length && plain.len() < plain.capacity() {
                break;
            }
            if plain.len() > HEADER_BYTES_MAX {
                return None;
            }
            plain.reserve(4096);
        }
        parse_headers(&plain)
    }
}

fn parse_headers(mut plain: &[u8]) -> Option<HashMap<String, String>> {
    let text = |plain: &mut &[u8]| -> Option<String> {
        let length = plain.try_get_u32().ok()? as usize;
        let text = String::from_utf8_lossy(plain.get(..length)?).into_owned();
        plain.advance(length);
        Some(text)
    };
    let count = plain.try_get_u32().ok()?;
    let mut headers = HashMap::new();
    for _ in 0..count.min(256) {
        let name = text(&mut plain)?.to_ascii_lowercase();
        headers.insert(name, text(&mut plain)?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go's compressor makes of one header with the dictionary is not at hand here; a stored block without
    /// references decodes the same way.
    #[tokio::test]
    async fn a_stream_is_accepted_and_its_data_read() {
        let mut plain = BytesMut::new();
        plain.put_u32(1);
        plain.put_u32(10);
        plain.put_slice(b"streamtype");
        plain.put_u32(4);
        plain.put_slice(b"data");
        let mut payload = BytesMut::new();
        payload.put_u32(1);
        payload.put_slice(&[0; 6]);
        payload.put_slice(&[0x78, 0xbb, 0, 0, 0, 0]);
        let length = u16::try_from(plain.len()).unwrap();
        payload.put_u8(0);
        payload.put_u16_le(length);
        payload.put_u16_le(!length);
        payload.put_slice(&plain);
        let chunks = vec![control_frame(SYN_STREAM, 0, &payload), data_frame(1, 0, b"hi"), data_frame(1, FIN, b"")];
        let (frames, mut sent) = mpsc::channel(8);
        let mut streams = start(futures_util::stream::iter(chunks).boxed(), frames);
        let mut stream = streams.recv().await.unwrap();
        assert_eq!(stream.header("streamtype"), "data");
        assert_eq!(stream.input.recv().await.unwrap(), "hi");
        assert_eq!(stream.input.recv().await, None);
        assert_eq!(&sent.recv().await.unwrap()[..4], [0x80, 3, 0, 2]);
    }
}
