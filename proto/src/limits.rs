//! Every bound of the wire. A peer that exceeds one is closed with its reason.

use std::time::Duration;

/// Largest body of a message, bytes: a 4K MJPEG picture fits several times.
pub const MESSAGE: usize = 16 << 20;

/// Largest body before the hello is done, bytes: a stranger makes us buffer no more than this.
pub const HELLO: usize = 4 << 10;

/// Largest body of anything that is not a packet, a description or a catalogue, bytes.
pub const CONTROL: usize = 64 << 10;

/// Longest stream name, bytes of UTF-8.
pub const NAME: usize = 128;

/// Longest free text (title, reason, agent, token), bytes of UTF-8.
pub const TEXT: usize = 512;

/// Longest language tag, bytes (RFC 5646 §4.4.1).
pub const LANGUAGE: usize = 35;

/// Most tracks in a stream.
pub const TRACKS: usize = 16;

/// Largest codec configuration record (avcC, AudioSpecificConfig, ...), bytes.
pub const CODEC_CONFIG: usize = 64 << 10;

/// Most streams in one catalogue.
pub const STREAMS: usize = 4096;

/// Most nodes a stream may have passed through: longer chains are taken for loops.
pub const PATH: usize = 16;

/// Largest picture side, pixels.
pub const PICTURE_SIDE: u32 = 16_384;

/// Highest sample rate, Hz, and most channels of a sound track.
pub const SAMPLE_RATE: u32 = 384_000;
/// Most channels of a sound track.
pub const CHANNELS: u16 = 32;

/// Largest segment of a recording, bytes of messages.
pub const SEGMENT: usize = 64 << 20;
/// Most segments in one index.
pub const SEGMENTS: usize = 500_000;
/// Highest number of a segment.
pub const SEGMENT_NUMBER: u64 = 1 << 40;
/// Longest recording, microseconds: a year.
pub const RECORDING_US: i64 = 365 * 24 * 3_600 * 1_000_000;
/// Most segments a viewer may have asked for and not got yet.
pub const FETCHES: usize = 8;
/// Largest poster picture, bytes of JPEG.
pub const POSTER: usize = 60 << 10;
/// Most subtitles of a recording.
pub const SUBTITLES: usize = 32;
/// Largest text of subtitles, bytes of WebVTT: that of a long film takes a twentieth of it.
pub const SUBTITLE: usize = 4 << 20;

/// Longest name of a member of a room, bytes of UTF-8.
pub const MEMBER: usize = 40;
/// Shortest and longest PIN of a room, bytes of UTF-8.
pub const PIN: std::ops::RangeInclusive<usize> = 4..=64;
/// Longest sealed line, bytes: a text and its tag.
pub const SEALED: usize = TEXT + 16;
/// Most members of a room.
pub const MEMBERS: usize = 200;
/// Most who wait before a room's door.
pub const KNOCKS: usize = 32;
/// Most lines in one message.
pub const LINES: usize = 64;
/// Most rooms in a list.
pub const ROOMS: usize = 1000;
/// Slowest and fastest speed, thousandths of the film's own.
pub const SPEED: std::ops::RangeInclusive<u16> = 500..=2000;
/// Longest delay of a live room, microseconds.
pub const ROOM_DELAY_US: i64 = 30_000_000;

/// A peer has this long to say its whole hello.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// A viewer that has not subscribed to anything for this long is closed.
pub const VIEW_IDLE: Duration = Duration::from_secs(60);

/// Control peers ping four times a second; one that is silent this long is gone.
pub const CONTROL_IDLE: Duration = Duration::from_secs(15);
