//! A viewer of the node in its own process: what every viewer speaks, through a pipe.

use std::time::Duration;

use bytes::Bytes;
use proto::conn::{ConnError, Reader, Writer, greet};
use proto::message::Subscribe;
use proto::recording::{Fetch, Open, PosterWanted, RecordingId};
use proto::subtitle::{SubtitleTrack, SubtitleWanted, SubtitlesWanted};
use proto::{Message, Role};
use relay::Node;
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};

use crate::error::Error;
use crate::limits;

/// The node takes a word within this, or it is overloaded beyond help.
const WRITE: Duration = Duration::from_secs(10);

/// A connection past its hello. The stream is let go when it is dropped.
pub(crate) struct Viewer {
    pub(crate) reader: Reader<ReadHalf<DuplexStream>>,
    writer: Writer<WriteHalf<DuplexStream>>,
}

impl Viewer {
    async fn connect(node: &Node, role: Role) -> Result<Self, ConnError> {
        let (read, write) = tokio::io::split(node.dial_local("web"));
        let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, WRITE));
        greet(&mut reader, &mut writer, role, None, node.agent()).await?;
        Ok(Self { reader, writer })
    }

    /// Asks for a live stream.
    pub(crate) async fn subscribe(node: &Node, stream: &str) -> Result<Self, ConnError> {
        let mut viewer = Self::connect(node, Role::View).await?;
        let stream = Some(stream.to_owned());
        viewer.writer.write(&Message::Subscribe(Subscribe { stream, buffer_us: 0 })).await?;
        Ok(viewer)
    }

    /// Asks for a recording.
    pub(crate) async fn open(node: &Node, stream: &str) -> Result<Self, ConnError> {
        let mut viewer = Self::connect(node, Role::View).await?;
        viewer.writer.write(&Message::Open(Open { stream: Some(stream.to_owned()) })).await?;
        Ok(viewer)
    }

    /// Asks for a segment of the recording.
    pub(crate) async fn fetch(&mut self, id: RecordingId, segment: u64) -> Result<(), ConnError> {
        self.writer.write(&Message::Fetch(Fetch { id, segment })).await
    }

    /// The picture that stands for a stream, a JPEG; empty where there is none.
    pub(crate) async fn poster(node: &Node, stream: &str) -> Result<Vec<u8>, ConnError> {
        let mut viewer = Self::connect(node, Role::Control).await?;
        let stream = stream.to_owned();
        viewer.writer.write(&Message::PosterWanted(PosterWanted { stream })).await?;
        loop {
            if let Message::Poster(poster) = viewer.reader.read_within(WRITE).await? {
                return Ok(poster.jpeg.into_vec());
            }
        }
    }

    /// Which subtitles a recording has.
    pub(crate) async fn subtitles(node: &Node, stream: &str) -> Result<Vec<SubtitleTrack>, Error> {
        let mut viewer = Self::connect(node, Role::Control).await?;
        let stream = stream.to_owned();
        viewer.writer.write(&Message::SubtitlesWanted(SubtitlesWanted { stream })).await?;
        match viewer.reader.read_within(limits::SUBTITLES).await? {
            Message::Subtitles(told) if !told.later => Ok(told.tracks),
            _ => Err(Error::Unavailable("its subtitles are being looked for".to_owned())),
        }
    }

    /// The text of subtitles as WebVTT.
    pub(crate) async fn subtitle(node: &Node, stream: &str, key: u64) -> Result<Bytes, Error> {
        let mut viewer = Self::connect(node, Role::Control).await?;
        let stream = stream.to_owned();
        viewer.writer.write(&Message::SubtitleWanted(SubtitleWanted { stream, key })).await?;
        match viewer.reader.read_within(limits::SUBTITLES).await? {
            Message::Subtitle(told) if !told.vtt.is_empty() => Ok(told.vtt.into_vec().into()),
            Message::Subtitle(told) if !told.later => {
                Err(Error::Missing("there are no such subtitles".to_owned()))
            }
            _ => Err(Error::Unavailable("the subtitles are being read; ask again".to_owned())),
        }
    }
}
