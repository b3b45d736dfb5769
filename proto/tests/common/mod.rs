//! Messages the tests share: one golden example of each kind, and strategies for all that may be
//! said.
#![allow(dead_code, reason = "each test binary uses its part")]

mod rooms;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proto::message::{
    Catalog, ClockOffset, Close, Gap, Held, Hello, List, Ping, Pong, Subscribe, Welcome,
};
use proto::recording::{
    Digest, Fetch, Index, NoSegment, Open, Poster, PosterWanted, RecordingId, RecordingInfo,
    Segment, SegmentInfo,
};
use proto::stream::{Audio, AudioCodec, Media, StreamState, Video, VideoCodec, is_valid_name};
use proto::subtitle::{Subtitle, SubtitleTrack, SubtitleWanted, Subtitles, SubtitlesWanted};
use proto::time::{Offset, Stamp};
use proto::{
    CloseCode, MAGIC, Message, Packet, PacketHeader, Role, StreamDescription, StreamInfo, Track,
    limits,
};

/// The golden messages with the names of their files in `samples/wire/`. Every kind is here, and
/// both forms of each optional field.
pub(crate) fn golden() -> Vec<(&'static str, Message)> {
    let mut all = golden_streams();
    all.extend(rooms::golden());
    all.extend(golden_subtitles());
    all
}

fn golden_streams() -> Vec<(&'static str, Message)> {
    vec![
        ("00-hello", Message::hello(Role::View, None, "instep/0.1.0")),
        (
            "00-hello-token",
            Message::hello(Role::Publish, Some("open sesame".into()), "instep/0.1.0"),
        ),
        ("01-welcome", Message::Welcome(Welcome { version: 1, node: NODE, agent: agent() })),
        ("02-close", Message::close(CloseCode::NoSuchStream, "there is no stream 'küche'")),
        ("03-ping", Message::Ping(Ping { sent_us: Stamp(NOON) })),
        ("04-pong", Message::Pong(pong())),
        ("05-list", Message::List(List { follow: true })),
        ("06-catalog", Message::Catalog(Catalog { streams: vec![info("camera"), movie_info()] })),
        ("06-catalog-empty", Message::Catalog(Catalog { streams: vec![] })),
        ("07-subscribe", Message::Subscribe(Subscribe { stream: None, buffer_us: 0 })),
        (
            "07-subscribe-named",
            Message::Subscribe(Subscribe { stream: Some("camera".into()), buffer_us: 120_000 }),
        ),
        ("08-unsubscribe", Message::Unsubscribe),
        ("09-describe", Message::Describe(description())),
        ("09-describe-live", Message::Describe(live_description())),
        ("10-packet", Message::Packet(packet())),
        ("11-gap", Message::Gap(Gap { packets: 131, length_us: 2_002_000 })),
        ("12-held", Message::Held(Held { reason: "the camera was unplugged".into() })),
        ("13-resumed", Message::Resumed),
        ("14-end", Message::End),
        ("15-key-frame-wanted", Message::KeyFrameWanted),
        ("16-publish", Message::Publish(info("porch"))),
        ("17-clock-offset", Message::ClockOffset(ClockOffset { offset_us: Offset(-1_500_000) })),
        ("18-open", Message::Open(Open { stream: Some("movie".into()) })),
        ("19-index", Message::Index(index())),
        ("20-fetch", Message::Fetch(Fetch { id: ID, segment: 7 })),
        (
            "21-segment",
            Message::Segment(Segment { number: 7, bytes: 65_536, digest: Digest::of(b"") }),
        ),
        (
            "22-no-segment",
            Message::NoSegment(NoSegment {
                number: 7,
                later: true,
                reason: "its origin is away".into(),
            }),
        ),
        ("23-poster-wanted", Message::PosterWanted(PosterWanted { stream: "movie".into() })),
        (
            "24-poster",
            Message::Poster(Poster { stream: "movie".into(), jpeg: vec![0xff, 0xd8].into() }),
        ),
    ]
}

fn golden_subtitles() -> Vec<(&'static str, Message)> {
    let key = 0x0011_2233_4455_6677;
    let (language, title) = ("de".to_owned(), "für Hörgeschädigte".to_owned());
    let track = SubtitleTrack { key, language, title };
    let text = "WEBVTT\n\n00:01.000 --> 00:02.500\nJa?\n";
    vec![
        (
            "42-subtitles-wanted",
            Message::SubtitlesWanted(SubtitlesWanted { stream: "movie".into() }),
        ),
        (
            "43-subtitles",
            Message::Subtitles(Subtitles {
                stream: "movie".into(),
                later: false,
                tracks: vec![track],
            }),
        ),
        (
            "44-subtitle-wanted",
            Message::SubtitleWanted(SubtitleWanted { stream: "movie".into(), key }),
        ),
        (
            "45-subtitle",
            Message::Subtitle(Subtitle { key, later: false, vtt: text.as_bytes().to_vec().into() }),
        ),
    ]
}

const ID: RecordingId = RecordingId(*b"0123456789abcdef");
const NODE: u64 = 0x0123_4567_89ab_cdef;
/// 2026-11-20 12:00:00 UTC, microseconds.
const NOON: i64 = 1_795_176_000_000_000;

fn agent() -> String {
    "instep/0.1.0".into()
}

fn pong() -> Pong {
    Pong {
        ping_sent_us: Stamp(NOON),
        received_us: Stamp(NOON + 1_000_180),
        sent_us: Stamp(NOON + 1_000_201),
    }
}

fn info(name: &str) -> StreamInfo {
    StreamInfo {
        name: name.into(),
        title: "Front door".into(),
        live: true,
        state: StreamState::Running,
        viewers: 3,
        summary: "MJPEG 1280x720 30 fps, Opus 48 kHz mono".into(),
        path: vec![NODE],
        recording: None,
    }
}

fn movie_info() -> StreamInfo {
    StreamInfo {
        name: "movie".into(),
        title: String::new(),
        live: false,
        state: StreamState::Idle,
        viewers: 0,
        summary: String::new(),
        path: vec![],
        recording: Some(RecordingInfo {
            id: ID,
            duration_us: 30_000_000,
            bytes: 4_800_000,
            growing: false,
            poster: true,
        }),
    }
}

fn index() -> Index {
    let segment =
        |start_us, key| SegmentInfo { start_us, duration_us: 2_000_000, bytes: 65_536, key };
    Index {
        id: ID,
        description: live_description(),
        oldest: 0,
        first: 0,
        segments: vec![segment(0, true), segment(2_000_000, false)],
        finished: true,
    }
}

/// H.264 and AAC, as a movie has them.
pub(crate) fn description() -> StreamDescription {
    StreamDescription {
        name: "movie".into(),
        title: "Big Buck Bunny".into(),
        live: false,
        run: 0xfeed_f00d_dead_beef,
        duration_us: Some(30_000_000),
        tracks: vec![
            Track {
                media: Media::Video(Video {
                    codec: VideoCodec::H264,
                    width: 854,
                    height: 480,
                    pixel_aspect: (1, 1),
                    rotation: 0,
                    frame_rate: (24, 1),
                }),
                codec_config: AVCC.to_vec().into(),
                language: "und".into(),
            },
            Track {
                media: Media::Audio(Audio {
                    codec: AudioCodec::Aac,
                    sample_rate: 48_000,
                    channels: 2,
                }),
                codec_config: vec![0x11, 0x90].into(),
                language: "en".into(),
            },
        ],
    }
}

/// MJPEG alone, as a camera gives it.
pub(crate) fn live_description() -> StreamDescription {
    StreamDescription {
        name: "camera".into(),
        title: "Front door".into(),
        live: true,
        run: 1,
        duration_us: None,
        tracks: vec![Track {
            media: Media::Video(Video {
                codec: VideoCodec::Mjpeg,
                width: 1280,
                height: 720,
                pixel_aspect: (4, 3),
                rotation: 270,
                frame_rate: (30_000, 1001),
            }),
            codec_config: vec![].into(),
            language: String::new(),
        }],
    }
}

/// avcC of a Baseline stream with one SPS and one PPS, and lengths of four bytes.
pub(crate) const AVCC: [u8; 20] = [
    1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 5, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 1, 0, 4, 0x68, 0xce, 0x3c,
    0x80,
];

fn packet() -> Packet {
    Packet {
        header: PacketHeader {
            track: 1,
            key: true,
            sequence: 4711,
            pts_us: 83_333,
            dts_us: -41_667,
            duration_us: 41_667,
            captured_at_us: Stamp(NOON + 83_333),
        },
        payload: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
    }
}

/// Everything that may be said.
pub(crate) fn any_message() -> BoxedStrategy<Message> {
    prop_oneof![
        any_hello(),
        (any::<u16>(), any::<u64>(), text()).prop_map(|(version, node, agent)| {
            Message::Welcome(Welcome { version, node, agent })
        }),
        (any::<u16>(), text()).prop_map(|(code, reason)| Message::Close(Close { code, reason })),
        stamp().prop_map(|sent_us| Message::Ping(Ping { sent_us })),
        (stamp(), stamp(), stamp()).prop_map(|(ping_sent_us, received_us, sent_us)| {
            Message::Pong(Pong { ping_sent_us, received_us, sent_us })
        }),
        any::<bool>().prop_map(|follow| Message::List(List { follow })),
        vec(any_info(), 0..8).prop_map(|streams| Message::Catalog(Catalog { streams })),
        (option::of(text()), any::<u32>()).prop_map(|(stream, buffer_us)| {
            Message::Subscribe(Subscribe { stream, buffer_us })
        }),
        Just(Message::Unsubscribe),
        any_description().prop_map(Message::Describe),
        any_packet().prop_map(Message::Packet),
        (any::<u64>(), any::<i64>())
            .prop_map(|(packets, length_us)| Message::Gap(Gap { packets, length_us })),
        text().prop_map(|reason| Message::Held(Held { reason })),
        Just(Message::Resumed),
        Just(Message::End),
        Just(Message::KeyFrameWanted),
        any_info().prop_map(Message::Publish),
        any::<i64>().prop_map(|o| Message::ClockOffset(ClockOffset { offset_us: Offset(o) })),
        option::of(text()).prop_map(|stream| Message::Open(Open { stream })),
        any_index().prop_map(Message::Index),
        (any_id(), any::<u64>()).prop_map(|(id, segment)| Message::Fetch(Fetch { id, segment })),
        (0..=limits::SEGMENT_NUMBER, 0..=limits::SEGMENT as u32, any::<[u8; 16]>()).prop_map(
            |(number, bytes, digest)| {
                Message::Segment(Segment { number, bytes, digest: Digest(digest) })
            }
        ),
        (any::<u64>(), any::<bool>(), text()).prop_map(|(number, later, reason)| {
            Message::NoSegment(NoSegment { number, later, reason })
        }),
        text().prop_map(|stream| Message::PosterWanted(PosterWanted { stream })),
        (text(), vec(any::<u8>(), 0..2000))
            .prop_map(|(stream, jpeg)| Message::Poster(Poster { stream, jpeg: jpeg.into() })),
        text().prop_map(|stream| Message::SubtitlesWanted(SubtitlesWanted { stream })),
        (text(), any::<bool>(), vec(any_subtitle(), 0..limits::SUBTITLES)).prop_map(
            |(stream, later, tracks)| Message::Subtitles(Subtitles { stream, later, tracks })
        ),
        (text(), any::<u64>())
            .prop_map(|(stream, key)| Message::SubtitleWanted(SubtitleWanted { stream, key })),
        (any::<u64>(), any::<bool>(), text()).prop_map(|(key, later, vtt)| {
            Message::Subtitle(Subtitle { key, later, vtt: vtt.into_bytes().into() })
        }),
        rooms::any_message(),
    ]
    .boxed()
}

fn any_subtitle() -> impl Strategy<Value = SubtitleTrack> {
    (any::<u64>(), "[a-z]{0,3}", text()).prop_map(|(key, language, title)| SubtitleTrack {
        key,
        language,
        title,
    })
}

fn any_id() -> impl Strategy<Value = RecordingId> {
    any::<[u8; 16]>().prop_map(RecordingId)
}

fn any_index() -> impl Strategy<Value = Index> {
    let time = -limits::RECORDING_US..=limits::RECORDING_US;
    let segment = (time, any::<u32>(), 0..=limits::SEGMENT as u32, any::<bool>()).prop_map(
        |(start_us, duration_us, bytes, key)| SegmentInfo { start_us, duration_us, bytes, key },
    );
    let numbers = (0..=limits::SEGMENT_NUMBER, 0..=limits::SEGMENT_NUMBER - 30);
    (any_id(), any_description(), numbers, vec(segment, 0..30), any::<bool>()).prop_map(
        |(id, description, (oldest, first), mut segments, finished)| {
            segments.sort_by_key(|segment| segment.start_us);
            Index { id, description, oldest, first, segments, finished }
        },
    )
}

fn any_recording() -> impl Strategy<Value = RecordingInfo> {
    let length = 0..=limits::RECORDING_US as u64;
    (any_id(), length, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(id, duration_us, bytes, growing, poster)| RecordingInfo {
            id,
            duration_us,
            bytes,
            growing,
            poster,
        },
    )
}

fn any_hello() -> impl Strategy<Value = Message> {
    let role =
        prop_oneof![Just(Role::Control), Just(Role::View), Just(Role::Relay), Just(Role::Publish)];
    (any::<u16>(), any::<u16>(), role, option::of(text()), text()).prop_map(
        |(min_version, max_version, role, token, agent)| {
            Message::Hello(Hello { magic: MAGIC, min_version, max_version, role, token, agent })
        },
    )
}

fn any_info() -> impl Strategy<Value = StreamInfo> {
    let state =
        prop_oneof![Just(StreamState::Idle), Just(StreamState::Running), Just(StreamState::Held)];
    let path = vec(any::<u64>(), 0..=limits::PATH);
    let recording = option::of(any_recording());
    (name(), text(), any::<bool>(), state, any::<u32>(), text(), path, recording).prop_map(
        |(name, title, live, state, viewers, summary, path, recording)| StreamInfo {
            name,
            title,
            live,
            state,
            viewers,
            summary,
            path,
            recording,
        },
    )
}

fn any_description() -> impl Strategy<Value = StreamDescription> {
    let tracks = vec(any_track(), 1..=limits::TRACKS);
    (name(), text(), any::<bool>(), any::<u64>(), option::of(any::<u64>()), tracks).prop_map(
        |(name, title, live, run, duration_us, tracks)| StreamDescription {
            name,
            title,
            live,
            run,
            duration_us,
            tracks,
        },
    )
}

fn any_track() -> impl Strategy<Value = Track> {
    (prop_oneof![any_video(), any_audio()], vec(any::<u8>(), 0..300), "[a-zA-Z-]{0,35}").prop_map(
        |(media, codec_config, language)| Track {
            media,
            codec_config: codec_config.into(),
            language,
        },
    )
}

fn any_video() -> impl Strategy<Value = Media> {
    let codec = prop_oneof![Just(VideoCodec::H264), Just(VideoCodec::Mjpeg)];
    let side = || 1..=limits::PICTURE_SIDE;
    let rotation = prop_oneof![Just(0u16), Just(90), Just(180), Just(270)];
    let frame_rate = (any::<u32>(), 1u32..);
    (codec, side(), side(), (side(), side()), rotation, frame_rate).prop_map(
        |(codec, width, height, pixel_aspect, rotation, frame_rate)| {
            Media::Video(Video { codec, width, height, pixel_aspect, rotation, frame_rate })
        },
    )
}

fn any_audio() -> impl Strategy<Value = Media> {
    let codec = prop_oneof![
        Just(AudioCodec::Aac),
        Just(AudioCodec::Opus),
        Just(AudioCodec::Mp3),
        Just(AudioCodec::Flac),
        Just(AudioCodec::Vorbis),
        Just(AudioCodec::PcmS16Le)
    ];
    (codec, 1..=limits::SAMPLE_RATE, 1..=limits::CHANNELS).prop_map(
        |(codec, sample_rate, channels)| Media::Audio(Audio { codec, sample_rate, channels }),
    )
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let times = (any::<i64>(), any::<i64>(), any::<u32>(), stamp());
    (any::<u16>(), any::<bool>(), any::<u64>(), times, vec(any::<u8>(), 0..2000)).prop_map(
        |(track, key, sequence, (pts_us, dts_us, duration_us, captured_at_us), payload)| Packet {
            header: PacketHeader {
                track,
                key,
                sequence,
                pts_us,
                dts_us,
                duration_us,
                captured_at_us,
            },
            payload: payload.into(),
        },
    )
}

fn stamp() -> impl Strategy<Value = Stamp> {
    any::<i64>().prop_map(Stamp)
}

/// Printable text of any script, within its bound.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,120}"
}

fn name() -> impl Strategy<Value = String> {
    "\\PC{1,30}".prop_filter("a name", |name| is_valid_name(name))
}
