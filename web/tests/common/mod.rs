//! A node with a page on a loopback port, streams made here, and a plain HTTP client.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod people;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::Picture;
use media::demux::Movie;
use media::encode::{H264Encoder, OpusEncoder, h264};
use media::picture::Pixels;
use media::segment::{Plan, Segmented};
use proto::conn::now;
use proto::packet::PacketHeader;
use proto::recording::{Index, RecordingInfo};
use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};
use proto::subtitle::SubtitleTrack;
use proto::{Packet, StreamDescription, Track};
use relay::recording::Coming;
use relay::{Config, Missing, Node, Piece, Recording, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Longer than anything here takes: only a hang meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("still waiting")
}

pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(web::Options::default()).await
    }

    pub(crate) async fn start_with(options: web::Options) -> Self {
        let node = Node::new(Config { agent: "test".to_owned(), ..Config::default() });
        let listeners = web::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let serving = tokio::spawn(web::serve(node.clone(), listeners, options));
        Self { node, address, serving }
    }

    pub(crate) async fn stop(self) {
        self.node.shut_down();
        within(self.serving).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        self.send(method, path, headers, "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // Version 1.0: the answer ends with the connection.
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        // What is refused by its head may be closed before all of the body is taken.
        let _ = socket.write_all(format!("{head}\r\n{body}").as_bytes()).await;
        let mut all = Vec::new();
        // A connection of which not all was taken is reset after the answer.
        let _ = within(socket.read_to_end(&mut all)).await;
        Answer::parse(&all)
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(all: &[u8]) -> Self {
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head, body: all[end + 4..].to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Runs a program to its end; what it wrote. Fails when it complains.
pub(crate) async fn run(program: &'static str, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        Command::new(program).args(["-v", "error"]).args(&arguments).output().expect(program)
    });
    let output = within(running).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a stream is made of, a second of it.
#[derive(Clone)]
pub(crate) struct Loop {
    pub(crate) tracks: Vec<Track>,
    pub(crate) packets: Vec<Packet>,
}

const SIZE: (u32, u32) = (160, 96);

fn picture(index: u32) -> Picture {
    let (width, height) = SIZE;
    let pixel = |i: u32| {
        let (x, y) = (i % width, i / width);
        0xff00_0000 | ((x + index * 6) % 256) << 16 | (y * 2) << 8 | 0x40
    };
    let pixels = Pixels::Rgb((0..width * height).map(pixel).collect());
    Picture { pts_us: i64::from(index) * 40_000, width, height, pixels }
}

fn header(track: u16, key: bool, pts_us: i64, duration_us: u32) -> PacketHeader {
    PacketHeader { track, key, pts_us, dts_us: pts_us, duration_us, ..PacketHeader::default() }
}

/// A second of H.264, a group of pictures.
fn h264() -> Loop {
    let config =
        h264::Config { width: SIZE.0, height: SIZE.1, frame_rate: (25, 1), bitrate: 300_000 };
    let mut encoder = H264Encoder::new(config).unwrap();
    let packets = (0..25).map(|index| {
        let picture = picture(index);
        let coded = encoder.encode(&picture, index == 0).unwrap().unwrap();
        let header = header(0, coded.key, picture.pts_us, 40_000);
        Packet { header, payload: coded.payload }
    });
    let packets = packets.collect();
    Loop { tracks: vec![encoder.track().unwrap()], packets }
}

fn mjpeg() -> Loop {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: SIZE.0,
        height: SIZE.1,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (25, 1),
    };
    let packets = (0..25).map(|index| {
        let payload = media::encode::jpeg(&picture(index), 80).unwrap();
        Packet { header: header(0, true, i64::from(index) * 40_000, 40_000), payload }
    });
    let track =
        Track { media: Media::Video(video), codec_config: Default::default(), language: "".into() };
    Loop { tracks: vec![track], packets: packets.collect() }
}

fn tone(frames: u32, rate: u32) -> impl Iterator<Item = f32> {
    let step = std::f32::consts::TAU * 500.0 / rate as f32;
    (0..frames).flat_map(move |i| [(i as f32 * step).sin() * 0.3; 2])
}

impl Loop {
    fn with(mut self, track: Track, sound: impl IntoIterator<Item = Packet>) -> Self {
        let index = u16::try_from(self.tracks.len()).unwrap();
        self.tracks.push(track);
        self.packets.extend(sound.into_iter().map(|mut packet| {
            packet.header.track = index;
            packet
        }));
        self.packets.sort_by_key(|packet| packet.header.dts_us);
        self
    }

    /// H.264 and Opus.
    pub(crate) fn usual() -> Self {
        let mut opus = OpusEncoder::new(2, 64_000).unwrap();
        let sound: Vec<f32> = tone(48_000, 48_000).collect();
        let packets = opus.push(&sound, 0).unwrap();
        h264().with(opus.track(), packets)
    }

    /// JPEGs and PCM, none of which goes into an MP4 for browsers.
    pub(crate) fn unusual() -> Self {
        mjpeg().with(pcm(), pcm_packets())
    }

    /// Sound alone.
    pub(crate) fn sound() -> Self {
        Self { tracks: Vec::new(), packets: Vec::new() }.with(pcm(), pcm_packets())
    }

    /// Four times as fast as it says, until the source is dropped by the end of the test.
    pub(crate) fn play(self, node: &Node, name: &str) -> tokio::task::JoinHandle<()> {
        let source = node.add_stream(name, "", true).unwrap();
        tokio::spawn(async move { self.feed(&source).await })
    }

    async fn feed(&self, source: &Source) {
        let mut run = source.start(self.tracks.clone(), None).unwrap();
        let start = tokio::time::Instant::now();
        for second in 0..i64::MAX {
            for packet in &self.packets {
                let mut packet = packet.clone();
                let header = &mut packet.header;
                header.pts_us += second * 1_000_000;
                header.dts_us += second * 1_000_000;
                header.captured_at_us = now();
                let due = u64::try_from(header.dts_us.max(0) / 4).unwrap();
                tokio::time::sleep_until(start + Duration::from_micros(due)).await;
                run.append(packet).unwrap();
            }
        }
    }
}

fn pcm() -> Track {
    let audio = Audio { codec: AudioCodec::PcmS16Le, sample_rate: 44_100, channels: 2 };
    Track { media: Media::Audio(audio), codec_config: Default::default(), language: "".into() }
}

fn pcm_packets() -> Vec<Packet> {
    let samples: Vec<f32> = tone(44_100, 44_100).collect();
    let packet = |(index, samples): (usize, &[f32])| {
        let bytes = samples.iter().flat_map(|sample| ((sample * 30_000.0) as i16).to_le_bytes());
        let payload = Bytes::from(bytes.collect::<Vec<u8>>());
        Packet { header: header(0, true, index as i64 * 20_000, 20_000), payload }
    };
    samples.chunks(882 * 2).enumerate().map(packet).collect()
}

pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}

/// A recording in memory.
pub(crate) struct Tape {
    index: watch::Sender<Option<Arc<Index>>>,
    pieces: Vec<Arc<Piece>>,
}

impl Tape {
    /// Of a movie.
    pub(crate) fn of_movie(path: &Path) -> Arc<Self> {
        let plan = Arc::new(Plan::new(&mut Movie::open(path).unwrap(), path, None).unwrap());
        let mut movie = Segmented::open(path, plan.clone()).unwrap();
        let messages = (0..plan.segments().len()).map(|number| movie.messages(number).unwrap());
        let pieces = messages.map(|bytes| Arc::new(Piece::in_memory(bytes).unwrap())).collect();
        let index = Index {
            id: plan.id(),
            description: described(plan.tracks().to_vec()),
            oldest: 0,
            first: 0,
            segments: plan.segments().to_vec(),
            finished: true,
        };
        Arc::new(Self { index: watch::Sender::new(Some(Arc::new(index))), pieces })
    }

    /// Two seconds of a stream, a segment each.
    pub(crate) fn of(content: &Loop) -> Arc<Self> {
        let second = |number: i64| {
            let mut messages = bytes::BytesMut::new();
            for packet in &content.packets {
                let mut packet = packet.clone();
                packet.header.pts_us += number * 1_000_000;
                packet.header.dts_us += number * 1_000_000;
                proto::Message::Packet(packet).encode_into(&mut messages);
            }
            Arc::new(Piece::in_memory(messages.freeze()).unwrap())
        };
        let pieces: Vec<Arc<Piece>> = (0..2).map(second).collect();
        let line = |(number, piece): (i64, &Arc<Piece>)| proto::recording::SegmentInfo {
            start_us: number * 1_000_000,
            duration_us: 1_000_000,
            bytes: piece.bytes(),
            key: true,
        };
        let index = Index {
            id: proto::recording::RecordingId(*b"one of the tapes"),
            description: described(content.tracks.clone()),
            oldest: 0,
            first: 0,
            segments: (0..).zip(&pieces).map(line).collect(),
            finished: true,
        };
        Arc::new(Self { index: watch::Sender::new(Some(Arc::new(index))), pieces })
    }
}

fn described(tracks: Vec<Track>) -> StreamDescription {
    let (name, title) = ("tape".to_owned(), "A tape".to_owned());
    StreamDescription { name, title, live: false, run: 1, duration_us: None, tracks }
}

impl Recording for Tape {
    fn info(&self) -> Option<RecordingInfo> {
        let index = self.index.borrow().clone()?;
        Some(RecordingInfo {
            id: index.id,
            duration_us: index.segments.iter().map(|line| u64::from(line.duration_us)).sum(),
            bytes: index.segments.iter().map(|line| u64::from(line.bytes)).sum(),
            growing: false,
            poster: false,
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn segment(&self, number: u64) -> relay::recording::Answer<'_> {
        let piece = self.pieces.get(number as usize).cloned();
        let missing = || Missing::Gone(format!("there is no segment {number}"));
        Box::pin(std::future::ready(piece.ok_or_else(missing)))
    }

    fn subtitles(&self) -> Coming<'_, Result<Vec<SubtitleTrack>, Missing>> {
        let (language, title) = ("de".to_owned(), "<b>".to_owned());
        Box::pin(std::future::ready(Ok(vec![SubtitleTrack { key: 255, language, title }])))
    }

    fn subtitle(&self, key: u64) -> Coming<'_, Result<Bytes, Missing>> {
        let gone = || Missing::Gone("there is no such text".to_owned());
        let text = (key == 255).then(|| Bytes::from_static(b"WEBVTT\n")).ok_or_else(gone);
        Box::pin(std::future::ready(text))
    }
}
