//! A viewer of recordings made of a socket: asks for segments and keeps what it gets.

use std::time::Duration;

use proto::conn::ConnError;
use proto::dial::{Dialled, dial};
use proto::recording::{Digest, Fetch, Index, Open, PosterWanted, packets};
use proto::{Message, Packet, Role};

use crate::PATIENCE;

/// A recording that is open.
#[derive(Debug)]
pub struct Watcher {
    connection: Dialled,
    /// Which segments there are.
    pub index: Index,
}

impl Watcher {
    /// Opens a recording; `Err` says why not.
    pub async fn open(address: &str, stream: &str) -> Result<Self, String> {
        let said = |error: ConnError| error.to_string();
        let mut connection =
            dial(address, Role::View, None, "test").await.map_err(|error| error.to_string())?;
        let open = Message::Open(Open { stream: Some(stream.to_owned()) });
        connection.writer.write(&open).await.map_err(said)?;
        match connection.reader.read_within(PATIENCE).await.map_err(said)? {
            Message::Index(index) => Ok(Self { connection, index }),
            other => Err(format!("{} instead of an index", other.kind())),
        }
    }

    /// Opens it as soon as it can be.
    ///
    /// # Panics
    /// When it never can.
    pub async fn open_soon(address: &str, stream: &str) -> Self {
        let started = std::time::Instant::now();
        loop {
            match Self::open(address, stream).await {
                Ok(watcher) => return watcher,
                Err(error) => assert!(started.elapsed() < PATIENCE, "never: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A segment's packets; `Err` says why they cannot be had.
    ///
    /// # Panics
    /// When they are not what their digest says.
    pub async fn segment(&mut self, number: u64) -> Result<Vec<Packet>, String> {
        let said = |error: ConnError| error.to_string();
        let fetch = Message::Fetch(Fetch { id: self.index.id, segment: number });
        self.connection.writer.write(&fetch).await.map_err(said)?;
        let reader = &mut self.connection.reader;
        loop {
            match reader.read_within(PATIENCE).await.map_err(said)? {
                Message::Segment(head) => {
                    assert_eq!(head.number, number);
                    let bytes = reader.segment(head, PATIENCE).await.map_err(said)?;
                    assert_eq!(Digest::of(&bytes), head.digest, "segment {number} came damaged");
                    return Ok(packets(&bytes));
                }
                Message::NoSegment(missing) => return Err(missing.reason),
                // It has grown, or is another one.
                Message::Index(news) => self.index = merged(&self.index, news),
                other => return Err(format!("{} instead of a segment", other.kind())),
            }
        }
    }

    /// All of it, one segment after the other.
    pub async fn all(&mut self) -> Result<Vec<Packet>, String> {
        let mut packets = Vec::new();
        for number in self.index.first..self.index.first + self.index.segments.len() as u64 {
            packets.extend(self.segment(number).await?);
        }
        Ok(packets)
    }
}

/// The picture that stands for a recording; empty where there is none.
///
/// # Panics
/// When the node does not answer.
pub async fn poster(address: &str, stream: &str) -> Vec<u8> {
    let mut line = dial(address, Role::Control, None, "test").await.expect("dial");
    let wanted = Message::PosterWanted(PosterWanted { stream: stream.to_owned() });
    line.writer.write(&wanted).await.expect("write");
    match line.reader.read_within(PATIENCE).await.expect("an answer") {
        Message::Poster(poster) => poster.jpeg.into_vec(),
        other => panic!("{} instead of a poster", other.kind()),
    }
}

/// An index with what is new: all of another recording, or what was added.
fn merged(known: &Index, news: Index) -> Index {
    if known.id != news.id || news.first < known.first {
        return news;
    }
    let mut segments = known.segments.clone();
    segments.truncate((news.first - known.first) as usize);
    segments.extend_from_slice(&news.segments);
    Index { first: known.first, segments, ..news }
}
