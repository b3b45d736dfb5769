//! One control connection among rooms: finds its room, passes on what it says and what it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::Message;
use proto::conn::now;
use proto::room::{CreateRoom, EnterRoom, Refusal, RoomCode, RoomToken};
use relay::Node;
use tokio::sync::{mpsc, oneshot};

use super::lobby::Lobby;
use super::rules::{Enter, Input, SeatId, words};
use super::task::{Call, Handle, Told, UNREAD};

/// A connection; its session is at the other ends.
pub(super) struct Seat {
    pub(super) lobby: Arc<Lobby>,
    pub(super) node: Node,
    pub(super) id: SeatId,
    pub(super) address: IpAddr,
    pub(super) said: mpsc::Receiver<Message>,
    pub(super) tell: mpsc::Sender<Bytes>,
    /// The room it is in, or before the door of.
    pub(super) room: Option<Inside>,
}

/// A room, and what it tells.
pub(super) struct Inside {
    room: Handle,
    code: RoomCode,
    told: mpsc::Receiver<Told>,
}

/// The session is gone.
struct Gone;

/// What a PIN proves.
enum Proof {
    Right,
    /// To be answered so late.
    Wrong(Duration),
    /// None was given, or none is needed to come back.
    None,
    /// There were too many wrong ones.
    NotHeard,
}

/// The address of a peer as sessions name it.
pub(super) fn address_of(peer: &str) -> IpAddr {
    let address = peer.parse::<SocketAddr>().map(|address| address.ip().to_canonical());
    address.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

impl Seat {
    /// Serves the connection to its end.
    pub(super) async fn run(mut self) {
        while self.turn().await.is_ok() {}
        if let Some(inside) = self.room.take() {
            // A room that is over needs not know.
            let _ = inside.room.calls.send(Call::Input(Input::Gone(self.id), None)).await;
        }
    }

    async fn turn(&mut self) -> Result<(), Gone> {
        tokio::select! {
            said = self.said.recv() => self.hear(said.ok_or(Gone)?).await,
            told = told(&mut self.room) => match told {
                Some(Told::Word(bytes)) => self.pass_on(bytes).await,
                Some(Told::Last(bytes)) => {
                    self.room = None;
                    self.pass_on(bytes).await
                }
                None => self.lost().await,
            },
        }
    }

    /// The room let go of this connection without a word.
    async fn lost(&mut self) -> Result<(), Gone> {
        match self.room.take() {
            // It ended while we were at its door.
            Some(Inside { room, code, .. }) if room.calls.is_closed() => {
                self.answer(words::unknown_room(&code.to_string())).await
            }
            // What it told was not read for too long.
            _ => Err(Gone),
        }
    }

    async fn pass_on(&self, bytes: Bytes) -> Result<(), Gone> {
        self.tell.send(bytes).await.map_err(|_| Gone)
    }

    async fn answer(&self, message: Message) -> Result<(), Gone> {
        self.pass_on(message.encode()).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), Gone> {
        let inside = self.room.as_ref().map(|inside| inside.room.clone());
        match (message, inside) {
            (Message::CreateRoom(_) | Message::EnterRoom(_), Some(_)) => {
                let reason = "this connection is in a room already; leave it first";
                self.answer(words::refused(Refusal::NotThere, reason)).await
            }
            (Message::CreateRoom(create), None) => self.create(create).await,
            (Message::EnterRoom(enter), None) => self.enter(enter).await,
            (message, Some(room)) => {
                let call = Call::Input(Input::Said(self.id, message), None);
                // The room is over: its last word is on the way.
                let _ = room.calls.send(call).await;
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    async fn create(&mut self, create: CreateRoom) -> Result<(), Gone> {
        let Some(stream) = self.node.stream_info(create.stream.as_deref()) else {
            let reason = match &create.stream {
                Some(name) => format!("there is no stream '{name}' here; --list shows what is"),
                None => "there is not exactly one stream here; say which with --stream".to_owned(),
            };
            return self.answer(words::refused(Refusal::NoSuchStream, &reason)).await;
        };
        match self.lobby.create(&stream, create.settings, create.pin).await {
            Ok(room) => {
                let code = room.face().line.code;
                let CreateRoom { name, film, .. } = create;
                let ask = EnterRoom { code, name, pin: None, token: None, film };
                self.go_in(room, ask, true).await
            }
            Err(refused) => self.answer(Message::Refused(refused)).await,
        }
    }

    async fn enter(&mut self, ask: EnterRoom) -> Result<(), Gone> {
        if !self.is_heard() {
            return self.answer(words::too_many_tries()).await;
        }
        let Some(room) = self.lobby.room(ask.code) else {
            let late = self.guessed_wrong();
            return self.answer_late(words::unknown_room(&ask.code.to_string()), late).await;
        };
        let proof = self.proof(&room, &ask).await;
        match proof {
            Proof::None => self.go_in(room, ask, false).await,
            Proof::Right => self.go_in(room, ask, true).await,
            Proof::Wrong(late) => self.answer_late(words::wrong_pin(true), late).await,
            Proof::NotHeard => self.answer(words::too_many_tries()).await,
        }
    }

    fn is_heard(&self) -> bool {
        self.lobby.guard().hears(self.address, now())
    }

    /// How late that is to be answered.
    fn guessed_wrong(&self) -> Duration {
        self.lobby.guard().wrong(self.address, now())
    }

    async fn answer_late(&self, refused: Message, late: Duration) -> Result<(), Gone> {
        tokio::time::sleep(late).await;
        self.answer(refused).await
    }

    /// Whether the PIN is right, where one is needed.
    async fn proof(&self, room: &Handle, ask: &EnterRoom) -> Proof {
        let Some(kept) = &room.pin else { return Proof::Right };
        let Some(pin) = &ask.pin else { return Proof::None };
        if let Some(token) = ask.token
            && knows(room, token).await
        {
            // The room lets it in by that alone.
            return Proof::None;
        }
        let turn = self.lobby.pins().turn().await;
        // Many may guess at once on many connections: while this one waited, others were wrong.
        if !self.is_heard() {
            Proof::NotHeard
        } else if turn.is_right(pin.clone(), kept.clone()).await {
            Proof::Right
        } else {
            // Counted before the next one has its turn.
            Proof::Wrong(self.guessed_wrong())
        }
    }

    async fn go_in(&mut self, room: Handle, ask: EnterRoom, proven: bool) -> Result<(), Gone> {
        let (seat, told) = mpsc::channel(UNREAD);
        let code = ask.code;
        let enter = Enter {
            seat: self.id,
            address: self.address,
            ask,
            proven,
            token: RoomToken(rand::random()),
        };
        let call = Call::Input(Input::Enter(Box::new(enter)), Some(seat));
        if room.calls.send(call).await.is_err() {
            return self.answer(words::unknown_room(&code.to_string())).await;
        }
        self.room = Some(Inside { room, code, told });
        Ok(())
    }
}

async fn knows(room: &Handle, token: RoomToken) -> bool {
    let (answer, answered) = oneshot::channel();
    let asked = room.calls.send(Call::Knows(token, answer)).await;
    asked.is_ok() && answered.await.unwrap_or(false)
}

async fn told(inside: &mut Option<Inside>) -> Option<Told> {
    match inside {
        Some(inside) => inside.told.recv().await,
        None => std::future::pending().await,
    }
}
