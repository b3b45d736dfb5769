//! What a body says. One enum: its variants' order is their number on the wire, so new ones go to
//! the end and a retired one leaves a placeholder.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::frame::LENGTH_PREFIX;
use crate::recording::{Fetch, Index, NoSegment, Open, Poster, PosterWanted, Segment};
use crate::room::{
    self, CreateRoom, EnterRoom, Entered, Knock, LeftRoom, Line, Members, Refused, Remote, Report,
    RoomAct, RoomLine, Say, Timeline,
};
use crate::stream::{OutOfBounds, check, fitting_text, is_valid_text};
use crate::subtitle::{Subtitle, SubtitleWanted, Subtitles, SubtitlesWanted};
use crate::time::Stamp;
use crate::{CloseCode, MAGIC, Packet, StreamDescription, StreamInfo, VERSIONS, limits};

/// Everything a peer can say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// First message of whoever dialled.
    Hello(Hello),
    /// The answer to it.
    Welcome(Welcome),
    /// Last message of whoever ends the connection.
    Close(Close),
    /// Control: asks for the peer's clock.
    Ping(Ping),
    /// Control: the answer to a ping.
    Pong(Pong),
    /// Control: asks for the catalogue.
    List(List),
    /// Control: all streams, now and (when followed) after each change.
    Catalog(Catalog),
    /// View: from here on, this stream.
    Subscribe(Subscribe),
    /// View: no more of it; the connection may subscribe again. Answered by [`Message::End`].
    Unsubscribe,
    /// What the packets that follow are.
    Describe(StreamDescription),
    /// One coded frame.
    Packet(Packet),
    /// Packets were left out because this viewer was too far behind.
    Gap(Gap),
    /// The source is away; the last picture is held.
    Held(Held),
    /// The source is back.
    Resumed,
    /// The stream is over.
    End,
    /// View: a picture that can be decoded from scratch is wanted soon.
    KeyFrameWanted,
    /// Publish: offers a stream; the other side subscribes to it on this very connection.
    Publish(StreamInfo),
    /// Publish: what to add to this connection's stamps to be on the receiver's clock.
    ClockOffset(ClockOffset),
    /// View: opens a recording; answered by its index.
    Open(Open),
    /// View: which segments there are, and again what is new.
    Index(Index),
    /// View: asks for a segment.
    Fetch(Fetch),
    /// View: stands before a segment's packets.
    Segment(Segment),
    /// View: a segment cannot be had.
    NoSegment(NoSegment),
    /// Control: asks for a stream's poster picture.
    PosterWanted(PosterWanted),
    /// Control: the answer to it.
    Poster(Poster),
    /// Control: asks which rooms there are.
    ListRooms,
    /// Control: the rooms that are not private.
    Rooms(Vec<RoomLine>),
    /// Control: makes a room.
    CreateRoom(CreateRoom),
    /// Control: enters a room.
    EnterRoom(EnterRoom),
    /// Control: leaves it. Answered by [`Message::LeftRoom`].
    LeaveRoom,
    /// Control: the host was asked to open.
    Knocking,
    /// Control: one is in a room.
    Entered(Entered),
    /// Control: what was asked for is not done.
    Refused(Refused),
    /// Control: the room's timeline changes.
    Timeline(Timeline),
    /// Control: who is in the room, whenever that changes, and how it goes for them.
    Members(Members),
    /// Control: what was said or happened.
    Lines(Vec<Line>),
    /// Control: uses the room's remote control.
    Remote(Remote),
    /// Control: how it goes.
    Report(Report),
    /// Control: says something to the others.
    Say(Say),
    /// Control: what concerns the host.
    RoomAct(RoomAct),
    /// Control: all who stand before the door, to the host.
    Knocks(Vec<Knock>),
    /// Control: one is no longer in the room.
    LeftRoom(LeftRoom),
    /// Control: asks which subtitles a recording has.
    SubtitlesWanted(SubtitlesWanted),
    /// Control: the answer to it.
    Subtitles(Subtitles),
    /// Control: asks for the text of subtitles.
    SubtitleWanted(SubtitleWanted),
    /// Control: the answer to it.
    Subtitle(Subtitle),
}

/// See [`Message::Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::MAGIC`].
    pub magic: [u8; 8],
    /// Oldest version the dialler speaks.
    pub min_version: u16,
    /// Newest version the dialler speaks.
    pub max_version: u16,
    /// What the connection is for.
    pub role: Role,
    /// Where the other side asks for one.
    pub token: Option<String>,
    /// Program and version, for logs.
    pub agent: String,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Clock and catalogue: small messages that must not wait behind media.
    Control,
    /// Receives one stream at a time.
    View,
    /// As [`Role::View`], for a node that passes the stream on.
    Relay,
    /// Offers one stream to the node it dialled.
    Publish,
}

/// See [`Message::Welcome`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both will speak.
    pub version: u16,
    /// The node's number, chosen at random when it started.
    pub node: u64,
    /// Program and version, for logs.
    pub agent: String,
}

/// See [`Message::Close`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// [`CloseCode`], or a number a newer peer knows.
    pub code: u16,
    /// What happened and what to do about it.
    pub reason: String,
}

/// See [`Message::Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The asker's clock when it was sent.
    pub sent_us: Stamp,
}

/// See [`Message::Pong`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// Copied from the ping.
    pub ping_sent_us: Stamp,
    /// The answerer's clock when the ping arrived.
    pub received_us: Stamp,
    /// The answerer's clock when this was sent.
    pub sent_us: Stamp,
}

/// See [`Message::List`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Whether to send the catalogue again after every change.
    pub follow: bool,
}

/// See [`Message::Catalog`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Sorted by name.
    pub streams: Vec<StreamInfo>,
}

/// See [`Message::Subscribe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Its name; `None` for the only one there is.
    pub stream: Option<String>,
    /// How much the viewer buffers, microseconds: packets may be sent in bunches of up to a quarter
    /// of it. 0 asks for each at once.
    pub buffer_us: u32,
}

/// See [`Message::Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Packets left out.
    pub packets: u64,
    /// Stream time left out, microseconds.
    pub length_us: i64,
}

/// See [`Message::Held`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Why, for people.
    pub reason: String,
}

/// See [`Message::ClockOffset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// Add this to the sender's stamps.
    pub offset_us: crate::time::Offset,
}

/// A body that is not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The header does not parse.
    #[error("a message that cannot be read ({0})")]
    Header(#[from] bincode::error::DecodeError),
    /// Bytes after the end of a message that has no payload.
    #[error("{0} bytes left over behind a message")]
    LeftOver(usize),
    /// A field outside its bounds.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// Larger than messages of its kind may be.
    #[error("a message of {length} bytes, {limit} are allowed")]
    TooLarge {
        /// Bytes of the body.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

impl DecodeError {
    /// The code to close the connection with.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::TooLarge { .. } => CloseCode::TooLarge,
            _ => CloseCode::Malformed,
        }
    }
}

/// Integers in their full width, little-endian: a few bytes more, but any language reads a header
/// with one `struct.unpack`, and a packet's header has a fixed size.
fn config<const LIMIT: usize>() -> impl bincode::config::Config {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Reads a header and says how many bytes it took. A length inside it can claim no more than its
/// body's class of size: a stranger's hello of 60 bytes must not make us allocate 16 MiB.
fn read_header(body: &[u8]) -> Result<(Message, usize), bincode::error::DecodeError> {
    use bincode::serde::decode_from_slice;
    let length = body.len();
    if length <= limits::HELLO {
        decode_from_slice(body, config::<{ limits::HELLO }>())
    } else if length <= limits::CONTROL {
        decode_from_slice(body, config::<{ limits::CONTROL }>())
    } else {
        decode_from_slice(body, config::<{ limits::MESSAGE }>())
    }
}

impl Message {
    /// Reads a body. The payload of a packet is a slice of `body`, not a copy.
    pub fn decode(body: Bytes) -> Result<Self, DecodeError> {
        let (mut message, used) = read_header(&body)?;
        if let Self::Packet(packet) = &mut message {
            packet.payload = body.slice(used..);
        } else if used < body.len() {
            return Err(DecodeError::LeftOver(body.len() - used));
        }
        let limit = message.limit();
        if body.len() > limit {
            return Err(DecodeError::TooLarge { length: body.len(), limit });
        }
        message.validate()?;
        Ok(message)
    }

    /// Appends length prefix, header and payload to `to`.
    ///
    /// # Panics
    /// Never for messages whose fields are within [`limits`]; encoding into memory cannot fail.
    pub fn encode_into(&self, to: &mut BytesMut) {
        let start = to.len();
        to.extend_from_slice(&[0; LENGTH_PREFIX]);
        let mut sink = Sink(to);
        #[allow(clippy::expect_used, reason = "writing to memory; every type here serialises")]
        bincode::serde::encode_into_writer(self, &mut sink, config::<{ limits::MESSAGE }>())
            .expect("encodes to memory");
        if let Self::Packet(packet) = self {
            to.extend_from_slice(&packet.payload);
        }
        let length = (to.len() - start - LENGTH_PREFIX) as u64;
        to[start..start + LENGTH_PREFIX].copy_from_slice(&length.to_le_bytes());
    }

    /// Length prefix, header and payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let payload = if let Self::Packet(packet) = self { packet.payload.len() } else { 0 };
        let mut to = BytesMut::with_capacity(LENGTH_PREFIX + 128 + payload);
        self.encode_into(&mut to);
        to.freeze()
    }

    /// A hello of this version of the wire.
    #[must_use]
    pub fn hello(role: Role, token: Option<String>, agent: &str) -> Self {
        Self::Hello(Hello {
            magic: MAGIC,
            min_version: *VERSIONS.start(),
            max_version: *VERSIONS.end(),
            role,
            token,
            agent: agent.to_owned(),
        })
    }

    /// A close with its code and a sentence, cut to its bound.
    #[must_use]
    pub fn close(code: CloseCode, reason: &str) -> Self {
        let reason = fitting_text(reason);
        Self::Close(Close { code: code.number(), reason })
    }

    /// The name of the variant, for errors and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Welcome(_) => "Welcome",
            Self::Close(_) => "Close",
            Self::Ping(_) => "Ping",
            Self::Pong(_) => "Pong",
            Self::List(_) => "List",
            Self::Catalog(_) => "Catalog",
            Self::Subscribe(_) => "Subscribe",
            Self::Unsubscribe => "Unsubscribe",
            Self::Describe(_) => "Describe",
            Self::Packet(_) => "Packet",
            Self::Gap(_) => "Gap",
            Self::Held(_) => "Held",
            Self::Resumed => "Resumed",
            Self::End => "End",
            Self::KeyFrameWanted => "KeyFrameWanted",
            Self::Publish(_) => "Publish",
            Self::ClockOffset(_) => "ClockOffset",
            Self::Open(_) => "Open",
            Self::Index(_) => "Index",
            Self::Fetch(_) => "Fetch",
            Self::Segment(_) => "Segment",
            Self::NoSegment(_) => "NoSegment",
            Self::PosterWanted(_) => "PosterWanted",
            Self::Poster(_) => "Poster",
            Self::ListRooms => "ListRooms",
            Self::Rooms(_) => "Rooms",
            Self::CreateRoom(_) => "CreateRoom",
            Self::EnterRoom(_) => "EnterRoom",
            Self::LeaveRoom => "LeaveRoom",
            Self::Knocking => "Knocking",
            Self::Entered(_) => "Entered",
            Self::Refused(_) => "Refused",
            Self::Timeline(_) => "Timeline",
            Self::Members(_) => "Members",
            Self::Lines(_) => "Lines",
            Self::Remote(_) => "Remote",
            Self::Report(_) => "Report",
            Self::Say(_) => "Say",
            Self::RoomAct(_) => "RoomAct",
            Self::Knocks(_) => "Knocks",
            Self::LeftRoom(_) => "LeftRoom",
            Self::SubtitlesWanted(_) => "SubtitlesWanted",
            Self::Subtitles(_) => "Subtitles",
            Self::SubtitleWanted(_) => "SubtitleWanted",
            Self::Subtitle(_) => "Subtitle",
        }
    }

    fn limit(&self) -> usize {
        match self {
            Self::Packet(_)
            | Self::Describe(_)
            | Self::Catalog(_)
            | Self::Index(_)
            | Self::Rooms(_)
            | Self::Subtitle(_) => limits::MESSAGE,
            Self::Hello(_) => limits::HELLO,
            _ => limits::CONTROL,
        }
    }

    fn validate(&self) -> Result<(), OutOfBounds> {
        match self {
            Self::Hello(hello) => {
                check("the magic of the hello", hello.magic == MAGIC)?;
                check("the token", hello.token.as_deref().is_none_or(is_valid_text))?;
                check("the agent", is_valid_text(&hello.agent))
            }
            Self::Welcome(welcome) => check("the agent", is_valid_text(&welcome.agent)),
            Self::Close(close) => check("a reason", is_valid_text(&close.reason)),
            Self::Held(held) => check("a reason", is_valid_text(&held.reason)),
            Self::Catalog(catalog) => {
                check("the number of streams", catalog.streams.len() <= limits::STREAMS)?;
                catalog.streams.iter().try_for_each(StreamInfo::validate)
            }
            Self::Subscribe(subscribe) => {
                check("a stream's name", subscribe.stream.as_deref().is_none_or(is_valid_text))
            }
            Self::Describe(description) => description.validate(),
            Self::Publish(info) => info.validate(),
            Self::Open(open) => {
                check("a stream's name", open.stream.as_deref().is_none_or(is_valid_text))
            }
            Self::Index(index) => index.validate(),
            Self::Segment(segment) => segment.validate(),
            Self::NoSegment(missing) => missing.validate(),
            Self::PosterWanted(wanted) => check("a stream's name", is_valid_text(&wanted.stream)),
            Self::SubtitlesWanted(wanted) => {
                check("a stream's name", is_valid_text(&wanted.stream))
            }
            Self::Subtitles(subtitles) => subtitles.validate(),
            Self::SubtitleWanted(wanted) => check("a stream's name", is_valid_text(&wanted.stream)),
            Self::Subtitle(subtitle) => subtitle.validate(),
            Self::Poster(poster) => {
                check("a stream's name", is_valid_text(&poster.stream))?;
                check("a poster", poster.jpeg.len() <= limits::POSTER)
            }
            Self::Rooms(rooms) => room::validate_rooms(rooms),
            Self::CreateRoom(create) => create.validate(),
            Self::EnterRoom(enter) => enter.validate(),
            Self::Entered(entered) => entered.validate(),
            Self::Refused(refused) => refused.validate(),
            Self::Timeline(timeline) => timeline.validate(),
            Self::Members(members) => members.validate(),
            Self::Lines(lines) => room::validate_lines(lines),
            Self::Remote(remote) => remote.validate(),
            Self::Say(say) => say.validate(),
            Self::Knocks(knocks) => room::validate_knocks(knocks),
            Self::LeftRoom(left) => left.validate(),
            _ => Ok(()),
        }
    }
}

struct Sink<'a>(&'a mut BytesMut);

impl bincode::enc::write::Writer for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
