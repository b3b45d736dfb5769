//! Recordings: streams that can be watched from any point, each viewer on its own.
//!
//! A recording is a row of segments with an index. A segment is a run of whole `Packet` messages as
//! they are on the wire, length prefixes and all, so that whoever keeps it (a file on a disk) sends it
//! as it is. Viewers and relays fetch segments by number, and know by the digest that came before
//! the bytes whether they are whole.

use std::fmt;

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use crate::frame::{Decoder, Next};
use crate::stream::{OutOfBounds, check, is_valid_text};
use crate::{Message, Packet, StreamDescription, limits};

/// Tells a recording's content from any other's, whatever the two are called: made by its source
/// from what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordingId(pub [u8; 16]);

/// The first half of a BLAKE3 hash: tells whole bytes from damaged or other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

/// Makes a [`Digest`] piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Digester(blake3::Hasher);

/// What of a recording stands in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingInfo {
    /// Its content, or [`RecordingId::UNKNOWN`].
    pub id: RecordingId,
    /// How much can be watched, microseconds.
    pub duration_us: u64,
    /// All segments together, bytes.
    pub bytes: u64,
    /// Whether it still grows: the tail of a live stream.
    pub growing: bool,
    /// Whether there is a poster picture to ask for.
    pub poster: bool,
}

/// One line of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// Lowest presentation time of its pictures (of its sound where there are none), microseconds on
    /// the recording's timeline.
    pub start_us: i64,
    /// From there to the start of the next, microseconds.
    pub duration_us: u32,
    /// Length, bytes.
    pub bytes: u32,
    /// It begins with a key frame: decoding may start here.
    pub key: bool,
}

/// Which segments there are; sent again, with what is new alone, while a recording grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The content. Another one than before means that all was replaced.
    pub id: RecordingId,
    /// How to decode it.
    pub description: StreamDescription,
    /// Lowest number that can still be fetched.
    pub oldest: u64,
    /// Number of the first of `segments`.
    pub first: u64,
    /// In order of their numbers, without holes.
    pub segments: Vec<SegmentInfo>,
    /// Nothing will be added.
    pub finished: bool,
}

/// Asks for a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its name; `None` for the only one there is.
    pub stream: Option<String>,
}

/// Asks for a segment of the recording that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The content that is meant.
    pub id: RecordingId,
    /// Its number.
    pub segment: u64,
}

/// Stands before a segment's bytes, which are `Packet` messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// How many bytes of `Packet` messages follow, length prefixes included.
    pub bytes: u32,
    /// Of these bytes.
    pub digest: Digest,
}

/// A segment that was fetched cannot be had now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoSegment {
    /// Its number.
    pub number: u64,
    /// Whether asking again later can help.
    pub later: bool,
    /// Why, for people.
    pub reason: String,
}

/// Asks for the picture that stands for a stream in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosterWanted {
    /// The stream's name.
    pub stream: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poster {
    /// The stream's name.
    pub stream: String,
    /// A JPEG; empty where there is none.
    pub jpeg: serde_bytes::ByteBuf,
}

impl RecordingId {
    /// In the catalogue: not known before somebody opens the recording.
    pub const UNKNOWN: Self = Self([0; 16]);
}

impl Digest {
    /// Of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }
}

impl Digester {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(&self) -> Digest {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        Digest(half)
    }
}

impl From<Digest> for RecordingId {
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

/// The packets among messages as they are on the wire: of a segment, all there is. What cannot be
/// read ends them.
#[must_use]
pub fn packets(messages: &[u8]) -> Vec<Packet> {
    let mut buffer = BytesMut::from(messages);
    let mut decoder = Decoder::new();
    decoder.set_limit(limits::MESSAGE);
    let mut packets = Vec::new();
    while let Ok(Next::Body(body)) = decoder.next(&mut buffer) {
        match Message::decode(body) {
            Ok(Message::Packet(packet)) => packets.push(packet),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    packets
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Thirty-two hexadecimal digits: fit for a file's name.
impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

/// Thirty-two hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

impl std::str::FromStr for RecordingId {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let mut id = [0; 16];
        check("a recording's number", text.len() == 32 && text.is_ascii())?;
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16)
                .map_err(|_| OutOfBounds { field: "a recording's number" })?;
        }
        Ok(Self(id))
    }
}

impl Index {
    /// Every field within its bounds, and the segments one after the other.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        self.description.validate()?;
        let count = self.segments.len();
        check("the number of segments", count <= limits::SEGMENTS)?;
        let last = self.first.checked_add(count as u64);
        check("a segment's number", last.is_some_and(|last| last <= limits::SEGMENT_NUMBER))?;
        check("a segment's number", self.oldest <= limits::SEGMENT_NUMBER)?;
        check("a segment's length", self.segments.iter().all(|s| fits(s.bytes)))?;
        let time = -limits::RECORDING_US..=limits::RECORDING_US;
        check("a segment's time", self.segments.iter().all(|s| time.contains(&s.start_us)))?;
        let ordered = self.segments.is_sorted_by_key(|segment| segment.start_us);
        check("the order of segments", ordered)
    }
}

impl Segment {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a segment's number", self.number <= limits::SEGMENT_NUMBER)?;
        check("a segment's length", fits(self.bytes))
    }
}

impl NoSegment {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a reason", is_valid_text(&self.reason))
    }
}

fn fits(bytes: u32) -> bool {
    bytes as usize <= limits::SEGMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_first_half_of_blake3() {
        // The hash of nothing, as the authors give it (BLAKE3 test vectors).
        assert_eq!(Digest::of(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc949");
        let mut pieces = Digester::default();
        pieces.update(b"one ");
        pieces.update(b"two");
        assert_eq!(pieces.finish(), Digest::of(b"one two"));
    }

    #[test]
    fn packets_are_found_among_messages() {
        let packet = |sequence| {
            let mut packet = Packet { payload: vec![7; 9].into(), ..Packet::default() };
            packet.header.sequence = sequence;
            packet
        };
        let mut bytes = BytesMut::new();
        for message in [Message::Packet(packet(1)), Message::Resumed, Message::Packet(packet(2))] {
            message.encode_into(&mut bytes);
        }
        assert_eq!(packets(&bytes), [packet(1), packet(2)]);
        assert_eq!(packets(&bytes[..bytes.len() - 1]), [packet(1)]);
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let id = RecordingId(std::array::from_fn(|i| (i * 17) as u8));
        assert_eq!(id.to_string().parse::<RecordingId>().expect("parses"), id);
        for bad in ["", "00", &"g".repeat(32), &"0".repeat(33), "üüüüüüüüüüüüüüüü"]
        {
            assert!(bad.parse::<RecordingId>().is_err(), "{bad}");
        }
    }
}
