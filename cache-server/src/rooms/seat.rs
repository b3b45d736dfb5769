//! One control connection among rooms: finds its room, passes on what it says and what it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::Message;
use proto::conn::now;
use proto::room::{CreateRoom, EnterRoom, Refusal, RoomCode, RoomToken};
use relay::Node;
use relay::guard::subscriber;
use tokio::sync::{mpsc, oneshot};

use super::lobby::Lobby;
use super::rules::{Enter, Input, SeatId, words};
use super::shown::Shown;
use super::task::{Call, Handle, Told, UNREAD};

/// So many messages are passed on at once, each of which is at most 64 KiB and mostly a few bytes.
const TOGETHER: usize = 64;

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
    /// Said, and not yet in the room's queue.
    pub(super) waiting: Option<Message>,
}

/// A room, and what it tells.
pub(super) struct Inside {
    room: Handle,
    code: RoomCode,
    told: mpsc::Receiver<Told>,
}

impl Inside {
    async fn say(&self, input: Input) {
        // A room that is over needs not know.
        let _ = self.room.calls.send(Call::Input(input, None)).await;
    }
}

/// The session is gone.
struct Gone;

/// What comes next to a seat.
enum Next {
    /// By its session; `None`: it is gone.
    Said(Option<Message>),
    /// Into the room's queue.
    Taken,
    /// By its room; nothing: it let go.
    Told(Vec<Told>),
}

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
        let Some(inside) = self.room.take() else { return };
        // Its last words count: they may be that it leaves.
        let mut last = self.waiting.take().or_else(|| self.said.try_recv().ok());
        while let Some(message) = last {
            inside.say(Input::Said(self.id, message)).await;
            last = self.said.try_recv().ok();
        }
        inside.say(Input::Gone(self.id)).await;
    }

    async fn turn(&mut self) -> Result<(), Gone> {
        match self.next().await {
            Next::Said(said) => self.hear(said.ok_or(Gone)?).await,
            Next::Taken => Ok(()),
            Next::Told(told) if told.is_empty() => self.lost().await,
            Next::Told(told) => {
                if told.last().is_some_and(|told| told.last) {
                    self.leave();
                }
                self.pass_on(together(told)).await
            }
        }
    }

    /// What the room tells is read while something waits for its place in the room's queue: where all
    /// speak at once, that is much.
    async fn next(&mut self) -> Next {
        let (told, calls) = match &mut self.room {
            Some(inside) => (Some(&mut inside.told), Some(&inside.room.calls)),
            None => (None, None),
        };
        tokio::select! {
            said = self.said.recv(), if self.waiting.is_none() => Next::Said(said),
            place = place(calls), if self.waiting.is_some() => {
                if let (Some(place), Some(message)) = (place, self.waiting.take()) {
                    place.send(Call::Input(Input::Said(self.id, message), None));
                }
                Next::Taken
            }
            told = heard(told) => Next::Told(told),
        }
    }

    fn leave(&mut self) {
        self.room = None;
        self.waiting = None;
    }

    /// The room let go of this connection without a word.
    async fn lost(&mut self) -> Result<(), Gone> {
        self.waiting = None;
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
        match (message, self.room.is_some()) {
            (Message::CreateRoom(_) | Message::EnterRoom(_), true) => {
                let reason = "this connection is in a room already; leave it first";
                self.answer(words::refused(Refusal::NotThere, reason)).await
            }
            (Message::CreateRoom(create), false) => self.create(create).await,
            (Message::EnterRoom(enter), false) => self.enter(enter).await,
            (message, true) => {
                self.waiting = Some(message);
                Ok(())
            }
            (_, false) => Ok(()),
        }
    }

    async fn create(&mut self, create: CreateRoom) -> Result<(), Gone> {
        let Some(stream) = Shown::find(&self.node, create.stream.as_deref()) else {
            let reason = match &create.stream {
                Some(name) => format!("there is no stream '{name}' here; --list shows what is"),
                None => "there is not exactly one stream here; say which with --stream".to_owned(),
            };
            return self.answer(words::refused(Refusal::NoSuchStream, &reason)).await;
        };
        match self.lobby.create(stream, create.settings, create.pin).await {
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
        self.lobby.guard().hears(&subscriber(self.address), now())
    }

    /// How late that is to be answered.
    fn guessed_wrong(&self) -> Duration {
        self.lobby.guard().wrong(subscriber(self.address), now())
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

/// A place for something said, in the queue of a room; `None` if the room is over.
async fn place(calls: Option<&mpsc::Sender<Call>>) -> Option<mpsc::Permit<'_, Call>> {
    calls?.reserve().await.ok()
}

/// What the room told meanwhile; nothing if it let go.
async fn heard(told: Option<&mut mpsc::Receiver<Told>>) -> Vec<Told> {
    let Some(told) = told else { return std::future::pending().await };
    let mut heard = Vec::new();
    told.recv_many(&mut heard, TOGETHER).await;
    heard
}

/// One write instead of many: when all speak at once, that is what keeps up.
fn together(told: Vec<Told>) -> Bytes {
    let mut all = told.into_iter().map(|told| told.bytes);
    match (all.next(), all.len()) {
        (Some(only), 0) => only,
        (first, _) => first.into_iter().chain(all).collect::<Vec<Bytes>>().concat().into(),
    }
}
