//! Sources as their viewers get them, through a node of this process.

use std::path::Path;

use media::decode::{AudioDecoder, VideoDecoder};
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::{Message, Packet, Role, StreamDescription};
use server::cli::{Codec, Size};
use server::source::coder::{Rate, Settings};
use server::source::movie::Feature;
use server::source::pattern::{Pattern, stamp};
use server::source::{Feed, Stage, Stop};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A feed that is served, and a viewer of it.
struct Served {
    viewer: Dialled,
    description: StreamDescription,
    stop: watch::Sender<bool>,
    feed: JoinHandle<Result<(), server::Error>>,
}

impl Served {
    async fn new(feed: Box<dyn Feed>) -> Self {
        let node = relay::Node::new(relay::Config::default());
        let listener =
            relay::listen::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        let source = node.add_stream("test", "", feed.is_live()).expect("is new");
        let (stop, stopped) = watch::channel(false);
        let stage = Stage::new(source, Stop::new(stopped), Handle::current());
        let feed = tokio::task::spawn_blocking(move || feed.run(stage));
        tokio::spawn(async move { node.serve(vec![listener]).await });
        let mut viewer = dial(&address, Role::View, None, "test").await.expect("is served");
        let subscribe = Subscribe { stream: None, buffer_us: 0 };
        viewer.writer.write(&Message::Subscribe(subscribe)).await.expect("is taken");
        match viewer.reader.read().await.expect("answers") {
            Message::Describe(description) => Self { viewer, description, stop, feed },
            other => panic!("{} before the description", other.kind()),
        }
    }

    /// The next packet; `None` at the end.
    async fn packet(&mut self) -> Option<Packet> {
        match self.viewer.reader.read().await.expect("goes on") {
            Message::Packet(packet) => Some(packet),
            Message::End => None,
            other => panic!("{} among the packets", other.kind()),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.feed.await.expect("ends").expect("ends well");
    }
}

fn settings(codec: Codec) -> Settings {
    Settings { codec, size: Size { width: 320, height: 180 }, rate: Rate::whole(25), bitrate: None }
}

/// The stamps of the pictures up to `until_us`, each with its time and whether it is a flash, and
/// the time at which sound begins.
async fn watch_pattern(codec: Codec, until_us: i64) -> (Vec<(i64, u32, bool)>, Vec<i64>) {
    let pattern = Pattern::new(settings(codec)).expect("can be drawn");
    let mut served = Served::new(Box::new(pattern)).await;
    let mut pictures = VideoDecoder::new(&served.description.tracks[0]).expect("is known");
    let mut sounds = AudioDecoder::new(&served.description.tracks[1]).expect("is known");
    let (mut seen, mut heard) = (Vec::new(), Vec::new());
    let (mut was_loud, mut rgb) = (false, Vec::new());
    while let Some(packet) = served.packet().await {
        if packet.header.pts_us > until_us {
            break;
        }
        if packet.header.track == 1 {
            let Some(sound) = sounds.decode(&packet).expect("decodes") else { continue };
            for (n, sample) in sound.samples.iter().enumerate() {
                let is_loud = sample.abs() > 0.1;
                // A sine passes zero: only the first after silence counts.
                let at_us = sound.pts_us + n as i64 * 1_000_000 / i64::from(sound.sample_rate);
                if is_loud && !was_loud && heard.last().is_none_or(|last| at_us - last > 500_000) {
                    heard.push(at_us);
                }
                was_loud = is_loud;
            }
            continue;
        }
        for picture in pictures.decode(&packet).expect("decodes") {
            picture.to_rgb(&mut rgb);
            let read = stamp::read(&rgb, 320, 180).expect("the stamp is legible");
            assert_eq!(read.captured_ms as i64, packet.header.captured_at_us.0 / 1000);
            let corner = rgb[170 * 320 + 300] & 0xFF_FFFF;
            seen.push((picture.pts_us, read.frame, corner > 0xE0_E0E0));
        }
    }
    served.end().await;
    (seen, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_beep_start_with_the_second() {
    let (seen, heard) = watch_pattern(Codec::Auto, 1_300_000).await;
    for (pts_us, frame, is_flash) in &seen {
        assert_eq!(*pts_us, i64::from(*frame) * 40_000);
        assert_eq!(*is_flash, pts_us % 1_000_000 < 100_000, "at {pts_us}");
    }
    assert_eq!(seen.first().map(|first| first.1), Some(0));
    assert!(seen.iter().any(|(pts_us, ..)| *pts_us > 1_000_000), "{seen:?}");
    // The sine needs a few samples to be heard, and the codec smears it over a few more.
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[1].abs_diff(1_000_000) < 1_000, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pattern_can_be_jpegs() {
    let (seen, _) = watch_pattern(Codec::Mjpeg, 200_000).await;
    assert_eq!(seen.first().map(|(pts_us, frame, _)| (*pts_us, *frame)), Some((0, 0)));
}

fn sample(name: &str) -> Feature {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name);
    Feature::open(&path, false).expect("a sample")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movie_is_sent_in_order_against_one_clock() {
    let mut served = Served::new(Box::new(sample("big-buck-bunny-480p-30s.mp4"))).await;
    assert_eq!(served.description.tracks.len(), 2);
    assert!(served.description.duration_us.is_some() && !served.description.live);
    let mut start = None;
    let mut last_dts_us = [i64::MIN; 2];
    for sequence in 0..60 {
        let header = served.packet().await.expect("is far from its end").header;
        assert_eq!(header.sequence, sequence);
        let zero = header.captured_at_us.plus_us(-header.pts_us);
        assert_eq!(*start.get_or_insert(zero), zero);
        let last = &mut last_dts_us[usize::from(header.track)];
        assert!(header.dts_us > *last);
        *last = header.dts_us;
        // Not before its time: a movie is not a download.
        assert!(proto::conn::now() >= zero.plus_us(header.dts_us));
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movie_ends_and_starts_again_for_its_next_viewer() {
    let mut served = Served::new(Box::new(sample("city-360p-7s-silent.mp4"))).await;
    let mut packets = 0;
    while served.packet().await.is_some() {
        packets += 1;
    }
    assert!(packets > 100, "{packets}");
    let again = Subscribe { stream: None, buffer_us: 0 };
    served.viewer.writer.write(&Message::Subscribe(again)).await.expect("is taken");
    match served.viewer.reader.read().await.expect("answers") {
        Message::Describe(description) => assert_ne!(description.run, served.description.run),
        other => panic!("{} before the description", other.kind()),
    }
    let first = served.packet().await.expect("plays again").header;
    assert_eq!(first.sequence, 0);
    served.end().await;
}
