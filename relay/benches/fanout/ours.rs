//! This relay in this process, with a publisher that keeps a pace.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::conn::now;
use proto::stream::{Media, Track, Video, VideoCodec};
use proto::{Packet, PacketHeader};
use relay::{Config, Limits, Node, Source, Writer, listen};
use tokio::runtime::Runtime;

/// Longest wait for viewers to come.
const ARRIVE: Duration = Duration::from_secs(60);

/// A relay that is watched.
pub(crate) struct Ours {
    pub(crate) address: String,
    runtime: Runtime,
    node: Node,
    source: Source,
    writer: Writer,
    frames: u64,
}

/// Frames a second, bytes a frame, frames a GOP.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) fps: f64,
    pub(crate) bytes: usize,
    pub(crate) gop: u64,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("runtime");
        let limits = Limits {
            viewers: 4_000,
            connections_per_address: 4_000,
            stall: Duration::from_secs(60),
            ..Limits::default()
        };
        let node = Node::new(Config {
            limits,
            agent: "bench".to_owned(),
            publish_token: None,
            keep: None,
            rewind: None,
            rooms: None,
        });
        let (address, source, writer) = runtime.block_on(async {
            let listener = listen::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
            let address = listener.local_addr().expect("address").to_string();
            let serving = node.clone();
            tokio::spawn(async move { serving.serve(vec![listener]).await });
            let source = node.add_stream("bench", "", true).expect("stream");
            let writer = source.start(vec![track()], None).expect("run");
            (address, source, writer)
        });
        Self { address, runtime, node, source, writer, frames: 0 }
    }

    /// Waits until `viewers` watch.
    pub(crate) fn wait_for(&self, viewers: usize) {
        let mut watching = self.source.viewers();
        self.runtime.block_on(async {
            let all = watching.wait_for(|n| *n >= viewers);
            tokio::time::timeout(ARRIVE, all).await.expect("in time").expect("viewers");
        });
    }

    /// Appends `count` frames at their pace.
    pub(crate) fn publish(&mut self, pace: Pace, count: u64) {
        let payload = Bytes::from(vec![0x5a; pace.bytes]);
        let started = Instant::now();
        let _runtime = self.runtime.enter();
        for i in 0..count {
            let due = started + Duration::from_secs_f64(i as f64 / pace.fps);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let pts_us = (self.frames as f64 * 1e6 / pace.fps) as i64;
            let header = PacketHeader {
                key: self.frames.is_multiple_of(pace.gop),
                pts_us,
                dts_us: pts_us,
                captured_at_us: now(),
                ..PacketHeader::default()
            };
            let packet = Packet { header, payload: payload.clone() };
            self.writer.append(packet).expect("append");
            self.frames += 1;
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.node.shut_down();
    }
}

fn track() -> Track {
    let video = Video {
        codec: VideoCodec::H264,
        width: 1280,
        height: 720,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (30, 1),
    };
    Track { media: Media::Video(video), codec_config: Default::default(), language: String::new() }
}
