//! One coded frame of one track, with its times.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::Stamp;

/// What stands before the payload of a packet. All times are microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketHeader {
    /// Which of the description's tracks, by its index.
    pub track: u16,
    /// Decoding may start here (H.264: IDR, ITU-T H.264 §7.4.1.2.4; every MJPEG and sound packet).
    pub key: bool,
    /// Counts the packets of a run over all tracks, from 0; a hole means packets are missing.
    pub sequence: u64,
    /// Presentation time on the stream's own timeline.
    pub pts_us: i64,
    /// Decoding time on the same timeline; packets of one track come in its order.
    pub dts_us: i64,
    /// How long the frame is shown or sounds; 0 where the source does not say.
    pub duration_us: u32,
    /// When the moment `pts_us` was captured (or, for a movie, was due), on the clock of the peer
    /// that sends this packet: every relay stamps it anew for its own viewers.
    pub captured_at_us: Stamp,
}

/// A [`PacketHeader`] and the coded bytes.
///
/// The payload is exactly what the container or the encoder gave: H.264 as length-prefixed NAL
/// units (ISO/IEC 14496-15), AAC without ADTS, one JPEG a packet for MJPEG, one Opus packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Track, order and times.
    pub header: PacketHeader,
    /// The coded bytes: on the wire all that follows the header, to the end of the body.
    #[serde(skip)]
    pub payload: Bytes,
}
