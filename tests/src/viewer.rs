//! A viewer made of a socket: keeps what it gets, decodes nothing.

use proto::conn::ConnError;
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::{Message, Packet, Role, StreamDescription};

use crate::PATIENCE;

/// A viewer that has subscribed.
#[derive(Debug)]
pub struct Viewer {
    connection: Dialled,
    /// The newest description.
    pub description: Option<StreamDescription>,
    /// Everything but packets and descriptions, by kind.
    pub words: Vec<&'static str>,
}

impl Viewer {
    /// Subscribes to a stream, or to the only one.
    ///
    /// # Panics
    /// When the address cannot be dialled.
    pub async fn watch(address: &str, stream: Option<&str>) -> Self {
        let mut connection =
            dial(address, Role::View, None, "test").await.unwrap_or_else(|e| panic!("{e}"));
        let stream = stream.map(str::to_owned);
        let subscribe = Message::Subscribe(Subscribe { stream, buffer_us: 0 });
        connection.writer.write(&subscribe).await.expect("subscribe");
        Self { connection, description: None, words: Vec::new() }
    }

    /// The next message.
    ///
    /// # Panics
    /// When none comes.
    pub async fn read(&mut self) -> Result<Message, ConnError> {
        tokio::time::timeout(PATIENCE, self.connection.reader.read()).await.expect("no message")
    }

    /// The next packet, or `None` at the end of the stream.
    ///
    /// # Panics
    /// When the connection is lost.
    pub async fn packet(&mut self) -> Option<Packet> {
        loop {
            match self.read().await.expect("a message") {
                Message::Packet(packet) => return Some(packet),
                Message::End => return None,
                Message::Describe(description) => self.description = Some(description),
                word => self.words.push(word.kind()),
            }
        }
    }

    /// Reads on until it is told this.
    ///
    /// # Panics
    /// When the connection is lost before.
    pub async fn until(&mut self, kind: &str) -> Message {
        loop {
            let message = self.read().await.unwrap_or_else(|e| panic!("{e}, not a {kind}"));
            if message.kind() == kind {
                return message;
            }
        }
    }

    /// All packets up to the end of the stream.
    pub async fn all(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(packet) = self.packet().await {
            packets.push(packet);
        }
        packets
    }
}
