//! A relay with rooms in this process, and members of rooms.

#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cache_server::rooms::{Lobby, Options};
use proto::dial::{Dialled, dial};
use proto::message::{List, Message, Ping};
use proto::recording::{Index, RecordingId, RecordingInfo};
use proto::room::{
    CreateRoom, EnterRoom, Entered, Line, Members, Refused, Report, RoomCode, RoomLine,
    RoomSettings, Say, Timeline, Words,
};
use proto::{Role, conn};
use relay::recording::Answer;
use relay::rooms::Rooms;
use relay::{Config, Missing, Node, Recording, Source, listen};
use tokio::sync::watch;

/// A member that waits longer for something waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// A film of ten minutes that nobody plays.
pub(crate) struct Film(watch::Sender<Option<Arc<Index>>>);

impl Default for Film {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Recording for Film {
    fn info(&self) -> Option<RecordingInfo> {
        Some(RecordingInfo {
            id: RecordingId([1; 16]),
            duration_us: 600_000_000,
            bytes: 1_000_000,
            growing: false,
            poster: false,
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.0.subscribe()
    }

    fn segment(&self, _number: u64) -> Answer<'_> {
        Box::pin(std::future::ready(Err(Missing::Gone("nothing is in it".to_owned()))))
    }
}

/// Offers a film.
pub(crate) fn offer(node: &Node) -> Source {
    node.add_recording("film", "A film", "", Arc::new(Film::default())).expect("a new name")
}

/// A node that keeps rooms and has one film.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    node: Node,
    _film: Source,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let lobby = Lobby::open(Options::default()).await.expect("a lobby");
        Self::with(Some(lobby)).await
    }

    pub(crate) async fn without_rooms() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with(lobby: Option<Arc<Lobby>>) -> Self {
        let rooms = lobby.map(|lobby| lobby as Arc<dyn Rooms>);
        let node = Node::new(Config { rooms, ..Config::default() });
        let film = offer(&node);
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = listen::bind(any).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let serving = node.clone();
        tokio::spawn(async move { serving.serve(vec![listener]).await });
        Self { address, node, _film: film }
    }

    /// Serves browsers as well; where.
    pub(crate) fn page(&self) -> SocketAddr {
        self.page_with(web::Options::default())
    }

    pub(crate) fn page_with(&self, options: web::Options) -> SocketAddr {
        let listeners = web::bind(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
        let address = listeners[0].local_addr().expect("bound");
        tokio::spawn(web::serve(self.node.clone(), listeners, options));
        address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.node.shut_down();
    }
}

/// Asks for a room as it is when nothing is said of how.
pub(crate) fn create(name: &str) -> CreateRoom {
    CreateRoom {
        stream: None,
        name: name.to_owned(),
        pin: None,
        settings: RoomSettings::default(),
        film: None,
    }
}

pub(crate) fn enter(code: RoomCode, name: &str) -> EnterRoom {
    EnterRoom { code, name: name.to_owned(), pin: None, token: None, film: None }
}

pub(crate) fn say(text: &str) -> Message {
    Message::Say(Say { position_us: 0, words: Words::Plain(text.to_owned()) })
}

/// A control connection of somebody who wants to be in a room.
pub(crate) struct Member {
    connection: Dialled,
    epoch: u64,
}

impl Member {
    pub(crate) async fn dial(relay: &Relay) -> Self {
        Self::dial_to(&relay.address.to_string()).await
    }

    pub(crate) async fn dial_to(address: &str) -> Self {
        let connection = dial(address, Role::Control, None, "test").await.expect("a relay");
        Self { connection, epoch: 0 }
    }

    pub(crate) async fn write(&mut self, message: Message) {
        self.connection.writer.write(&message).await.expect("a connection");
    }

    /// Waits until there is something to watch.
    pub(crate) async fn sees_film(&mut self) {
        self.write(Message::List(List { follow: true })).await;
        let has = |message| matches!(message, Message::Catalog(all) if !all.streams.is_empty());
        self.hears(|message| has(message).then_some(())).await;
    }

    /// The first message of which `wanted` makes something; others are passed over.
    pub(crate) async fn hears<T>(&mut self, wanted: impl Fn(Message) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let reading = self.connection.reader.read_within(Duration::from_secs(5));
                match reading.await {
                    Ok(message) => {
                        if let Message::Timeline(timeline) = &message {
                            self.epoch = timeline.epoch;
                        }
                        if let Message::Entered(entered) = &message {
                            self.epoch = entered.timeline.epoch;
                        }
                        if let Some(found) = wanted(message) {
                            return found;
                        }
                    }
                    Err(conn::ConnError::Timeout(_)) => {
                        self.write(Message::Ping(Ping { sent_us: conn::now() })).await;
                    }
                    Err(error) => panic!("the connection ended: {error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("heard in time")
    }

    pub(crate) async fn enters(&mut self, ask: Message) -> Entered {
        self.write(ask).await;
        self.hears(|message| match message {
            Message::Entered(entered) => Some(entered),
            Message::Refused(refused) => panic!("refused: {}", refused.reason),
            _ => None,
        })
        .await
    }

    pub(crate) async fn refused(&mut self, ask: Message) -> Refused {
        self.write(ask).await;
        self.hears(|message| match message {
            Message::Refused(refused) => Some(refused),
            Message::Entered(_) => panic!("entered"),
            _ => None,
        })
        .await
    }

    pub(crate) async fn timeline(&mut self, wanted: impl Fn(&Timeline) -> bool) -> Timeline {
        self.hears(|message| match message {
            Message::Timeline(timeline) if wanted(&timeline) => Some(timeline),
            _ => None,
        })
        .await
    }

    pub(crate) async fn members(&mut self, wanted: impl Fn(&Members) -> bool) -> Members {
        self.hears(|message| match message {
            Message::Members(members) if wanted(&members) => Some(members),
            _ => None,
        })
        .await
    }

    /// The next `count` lines.
    pub(crate) async fn lines(&mut self, count: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(
                self.hears(|message| match message {
                    Message::Lines(lines) => Some(lines),
                    _ => None,
                })
                .await,
            );
        }
        lines
    }

    pub(crate) async fn report(&mut self, ready: bool) {
        let report = Report {
            epoch: self.epoch,
            ready,
            buffered_us: 5_000_000,
            off_us: 0,
            round_trip_us: 1_000,
            needs_us: 0,
        };
        self.write(Message::Report(report)).await;
    }

    pub(crate) async fn list(&mut self) -> Vec<RoomLine> {
        self.write(Message::ListRooms).await;
        self.hears(|message| match message {
            Message::Rooms(rooms) => Some(rooms),
            _ => None,
        })
        .await
    }
}
