//! An origin in this process, of a recording that is no movie: as many segments of as many bytes as
//! wanted, other ones than before or damaged ones if wanted.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use proto::recording::{Digest, Index, RecordingId, RecordingInfo, SegmentInfo};
use proto::stream::{Media, Track, Video, VideoCodec};
use proto::{Message, Packet, PacketHeader, StreamDescription};
use relay::{Config, Missing, Node, Piece, Recording, Source, listen};
use tokio::sync::watch;

/// What the recording is called.
pub const NAME: &str = "tape";
/// A JPEG, as far as anybody looks.
pub const POSTER: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];
/// A segment is so long, microseconds.
pub const SEGMENT_US: u32 = 2_000_000;
/// Bytes of a packet, at most.
const PACKET: usize = 64 << 10;
const ID: RecordingId = RecordingId(*b"one of the tapes");

/// See the module.
#[derive(Debug)]
pub struct Tape {
    index: watch::Sender<Option<Arc<Index>>>,
    bytes: usize,
    fill: AtomicU8,
    spoil: AtomicU64,
    asked: AtomicU64,
    sent: AtomicU64,
}

/// The node that offers it.
#[derive(Debug)]
pub struct Origin {
    node: Node,
    /// Where.
    pub address: String,
    /// What.
    pub tape: Arc<Tape>,
    _source: Source,
}

impl Origin {
    /// Offers `segments` of `bytes` each on a free port of the loopback.
    ///
    /// # Panics
    /// When it cannot, or outside of a runtime.
    #[must_use]
    pub fn start(segments: u64, bytes: usize) -> Self {
        let tape = Tape::new(segments, bytes);
        let node = Node::new(Config { agent: "tape".to_owned(), ..Config::default() });
        let listener = listen::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
        let address = listener.local_addr().expect("address").to_string();
        let serving = node.clone();
        tokio::spawn(async move { serving.serve(vec![listener]).await });
        let source = node.add_recording(NAME, "", "", tape.clone()).expect("a name");
        Self { node, address, tape, _source: source }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.node.shut_down();
    }
}

impl Tape {
    fn new(segments: u64, bytes: usize) -> Arc<Self> {
        let fill = 1;
        let line = |number: u64| SegmentInfo {
            start_us: number as i64 * i64::from(SEGMENT_US),
            duration_us: SEGMENT_US,
            bytes: messages(&packets(number, bytes, fill)).len() as u32,
            key: true,
        };
        let index = Index {
            id: ID,
            description: description(segments),
            oldest: 0,
            first: 0,
            segments: (0..segments).map(line).collect(),
            finished: true,
        };
        Arc::new(Self {
            index: watch::Sender::new(Some(Arc::new(index))),
            bytes,
            fill: AtomicU8::new(fill),
            spoil: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    /// What it has now under a number.
    #[must_use]
    pub fn packets(&self, number: u64) -> Vec<Packet> {
        packets(number, self.bytes, self.fill.load(Ordering::Relaxed))
    }

    /// From now on all segments have other bytes.
    pub fn change(&self) {
        self.fill.fetch_add(1, Ordering::Relaxed);
    }

    /// The next so many segments have other bytes than their digest says.
    pub fn spoil(&self, segments: u64) {
        self.spoil.store(segments, Ordering::Relaxed);
    }

    /// How many segments it was asked for.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many bytes of segments it has given.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// All segments together, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let index = self.index.borrow().clone();
        index.iter().flat_map(|index| &index.segments).map(|line| u64::from(line.bytes)).sum()
    }

    fn piece(&self, number: u64) -> std::io::Result<Piece> {
        let bytes = messages(&self.packets(number));
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let less = |left: u64| left.checked_sub(1);
        if self.spoil.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Piece::in_memory(bytes);
        }
        let digest = Digest::of(&bytes);
        let mut spoilt = bytes.to_vec();
        let last = spoilt.len() - 1;
        spoilt[last] ^= 1;
        let mut file = tempfile::tempfile()?;
        file.write_all(&spoilt)?;
        Piece::in_file(file, 0, spoilt.len() as u64, digest)
    }
}

impl Recording for Tape {
    fn info(&self) -> Option<RecordingInfo> {
        let index = self.index.borrow().clone()?;
        Some(RecordingInfo {
            id: index.id,
            duration_us: index.segments.iter().map(|line| u64::from(line.duration_us)).sum(),
            bytes: self.size(),
            growing: false,
            poster: true,
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn segment(&self, number: u64) -> relay::recording::Answer<'_> {
        let piece = self.piece(number).map(Arc::new);
        let piece = piece.map_err(|error| Missing::Later(error.to_string()));
        Box::pin(std::future::ready(piece))
    }

    fn poster(&self) -> std::pin::Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(std::future::ready(Bytes::from_static(POSTER)))
    }
}

fn packets(number: u64, bytes: usize, fill: u8) -> Vec<Packet> {
    let count = bytes.div_ceil(PACKET).max(1);
    let each_us = i64::from(SEGMENT_US) / count as i64;
    let packet = |i: usize| {
        let pts_us = number as i64 * i64::from(SEGMENT_US) + i as i64 * each_us;
        let header = PacketHeader {
            key: i == 0,
            sequence: number * count as u64 + i as u64,
            pts_us,
            dts_us: pts_us,
            duration_us: each_us as u32,
            ..PacketHeader::default()
        };
        let length = (bytes - i * PACKET).min(PACKET);
        let byte = fill.wrapping_mul(31).wrapping_add(number as u8);
        Packet { header, payload: vec![byte; length].into() }
    };
    (0..count).map(packet).collect()
}

fn messages(packets: &[Packet]) -> Bytes {
    let mut bytes = BytesMut::new();
    packets.iter().for_each(|packet| Message::Packet(packet.clone()).encode_into(&mut bytes));
    bytes.freeze()
}

fn description(segments: u64) -> StreamDescription {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: 64,
        height: 48,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (25, 1),
    };
    let track = Track {
        media: Media::Video(video),
        codec_config: Default::default(),
        language: String::new(),
    };
    StreamDescription {
        name: NAME.to_owned(),
        title: String::new(),
        live: false,
        run: 1,
        duration_us: Some(segments * u64::from(SEGMENT_US)),
        tracks: vec![track],
    }
}
