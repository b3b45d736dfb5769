//! Nodes on loopback ports, viewers made of plain sockets, and packets that tell who they are.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use proto::conn::{ConnError, now};
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::stream::{Audio, AudioCodec, Media, Track, Video, VideoCodec};
use proto::{Message, Packet, PacketHeader, Role};
use relay::{Config, Limits, Node, Writer, listen};

/// Longer than anything here takes: only a hang meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) address: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Running {
    /// A node on a free port of the loopback.
    pub(crate) async fn start(limits: Limits, publish_token: Option<&str>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), limits, publish_token).await
    }

    pub(crate) async fn start_at(
        at: SocketAddr,
        limits: Limits,
        publish_token: Option<&str>,
    ) -> Self {
        let publish_token = publish_token.map(str::to_owned);
        let agent = "test".to_owned();
        let config = Config { limits, agent, publish_token, ..Config::default() };
        Self::start_node(at, Node::new(config))
    }

    /// A node that keeps the tail of live streams.
    pub(crate) async fn start_with(limits: Limits, rewind: Option<relay::Rewind>) -> Self {
        let config = Config { limits, agent: "test".to_owned(), rewind, ..Config::default() };
        Self::start_node("127.0.0.1:0".parse().unwrap(), Node::new(config))
    }

    fn start_node(at: SocketAddr, node: Node) -> Self {
        let listener = listen::bind(at).expect("bind");
        let address = listener.local_addr().unwrap().to_string();
        let serving = {
            let node = node.clone();
            tokio::spawn(async move { node.serve(vec![listener]).await })
        };
        Self { node, address, serving }
    }

    /// Ends it and waits until its port is free.
    pub(crate) async fn stop(self) {
        self.node.shut_down();
        within(self.serving).await.expect("serve");
    }

    pub(crate) async fn connect(&self, role: Role) -> Dialled {
        dial(&self.address, role, None, "viewer").await.expect("dial")
    }

    pub(crate) async fn watch(&self, stream: &str, buffer_us: u32) -> Dialled {
        let mut viewer = self.connect(Role::View).await;
        let stream = Some(stream.to_owned());
        viewer.writer.write(&Message::Subscribe(Subscribe { stream, buffer_us })).await.unwrap();
        viewer
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("still waiting")
}

pub(crate) async fn read(viewer: &mut Dialled) -> Result<Message, ConnError> {
    within(viewer.reader.read()).await
}

/// The next packet; everything else on the way is collected in `words`.
pub(crate) async fn packet(viewer: &mut Dialled, words: &mut Vec<Message>) -> Packet {
    loop {
        match read(viewer).await.expect("a message") {
            Message::Packet(packet) => return packet,
            word => words.push(word),
        }
    }
}

/// Reads until a message of this kind.
pub(crate) async fn until(viewer: &mut Dialled, kind: &str) -> Message {
    loop {
        let message = read(viewer).await.unwrap_or_else(|error| panic!("{error}, not a {kind}"));
        if message.kind() == kind {
            return message;
        }
    }
}

pub(crate) fn tracks() -> Vec<Track> {
    let video = Video {
        codec: VideoCodec::H264,
        width: 64,
        height: 48,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (25, 1),
    };
    let audio = Audio { codec: AudioCodec::Opus, sample_rate: 48_000, channels: 2 };
    let track = |media| Track { media, codec_config: Default::default(), language: String::new() };
    vec![track(Media::Video(video)), track(Media::Audio(audio))]
}

pub(crate) const VIDEO: u16 = 0;
pub(crate) const AUDIO: u16 = 1;

pub(crate) fn make(track: u16, key: bool, pts_us: i64, size: usize) -> Packet {
    let header = PacketHeader {
        track,
        key,
        pts_us,
        dts_us: pts_us,
        duration_us: 40_000,
        captured_at_us: now(),
        sequence: 0,
    };
    let payload: Vec<u8> = (0..size).map(|i| (i as i64 + pts_us) as u8).collect();
    Packet { header, payload: Bytes::from(payload) }
}

/// Appends `gops` of 10 pictures, each with a packet of sound, from picture number `from` on.
pub(crate) fn append_gops(writer: &mut Writer, from: i64, gops: i64, size: usize) {
    for i in from..from + gops * 10 {
        writer.append(make(VIDEO, i % 10 == 0, i * 40_000, size)).expect("append");
        writer.append(make(AUDIO, true, i * 40_000, 50)).expect("append");
    }
}

/// Waits until `fine` says so.
pub(crate) async fn eventually(what: &str, mut fine: impl FnMut() -> bool) {
    let waiting = async {
        while !fine() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
