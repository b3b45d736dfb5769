//! A viewer's place in a room: what is known of it, and the way to say something there.
//!
//! The control connection speaks for it; the session, the terminal and the window look at it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use proto::Message;
use proto::room::{CreateRoom, EnterRoom, Knock, Line, Report, RoomAct, What, Words};
use proto::time::Stamp;
use tokio::sync::{mpsc, watch};

use super::secret::{self, Key};
use super::{Room, words};

/// Most messages that wait to be said: nobody types faster.
const OUTBOX: usize = 64;
/// Most sentences that wait to be shown.
const WORDS: usize = 64;

/// How one gets into a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// One makes it.
    Create(CreateRoom),
    /// One knows its code.
    Enter(EnterRoom),
}

/// Whether one is in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet.
    Outside,
    /// The host was asked.
    Knocking,
    /// One is, also while the connection is lost.
    Inside,
    /// One is not any more, or never got in; with the reason, if one did not leave.
    Gone(Option<String>),
}

/// See the module.
#[derive(Debug)]
pub struct Seat {
    errand: Errand,
    passphrase: Option<String>,
    key: OnceLock<Key>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    say: mpsc::Sender<Message>,
    outbox: tokio::sync::Mutex<mpsc::Receiver<Message>>,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// Entering was asked for, and the answer is not here.
    entering: bool,
    /// One has asked to close the room.
    closes: bool,
    room: Option<Room>,
    /// What is to be shown, wherever the film is.
    words: VecDeque<String>,
    /// What was said last of how it goes.
    report: Option<Report>,
}

impl Seat {
    /// One wants this.
    #[must_use]
    pub fn new(errand: Errand) -> Self {
        Self::sealing(errand, None, None)
    }

    /// As [`Seat::new`]; what is said is sealed with this key, or with one that is made of this
    /// passphrase when one is in.
    #[must_use]
    pub fn sealing(errand: Errand, key: Option<Key>, passphrase: Option<String>) -> Self {
        let (say, outbox) = mpsc::channel(OUTBOX);
        let (standing, room, words) = (Standing::Outside, None, VecDeque::new());
        Self {
            errand,
            passphrase,
            key: key.map_or_else(OnceLock::new, OnceLock::from),
            state: Mutex::new(State {
                standing,
                entering: false,
                closes: false,
                room,
                words,
                report: None,
            }),
            changed: watch::Sender::new(0),
            say,
            outbox: tokio::sync::Mutex::new(outbox),
        }
    }

    /// What was wanted.
    #[must_use]
    pub fn errand(&self) -> &Errand {
        &self.errand
    }

    /// What is said first on a connection. What waited to be said on the last one is void.
    pub(crate) async fn hello(&self) -> Message {
        let mut outbox = self.outbox.lock().await;
        let stale: Vec<Message> = std::iter::from_fn(|| outbox.try_recv().ok()).collect();
        if stale.iter().any(|message| matches!(message, Message::Say(_))) {
            let words = "what you said while the connection was lost did not arrive: say it again";
            self.lock().say(words.to_owned());
        }
        let mut state = self.lock();
        state.entering = true;
        match (&state.room, &self.errand) {
            (Some(room), errand) => {
                let name = self.name().to_owned();
                let film = match errand {
                    Errand::Create(create) => create.film,
                    Errand::Enter(enter) => enter.film,
                };
                let (code, token) = (room.code, Some(room.token));
                Message::EnterRoom(EnterRoom { code, name, pin: None, token, film })
            }
            (None, Errand::Create(create)) => Message::CreateRoom(create.clone()),
            (None, Errand::Enter(enter)) => Message::EnterRoom(enter.clone()),
        }
    }

    /// The next message to say.
    pub(crate) async fn next(&self) -> Message {
        match self.outbox.lock().await.recv().await {
            Some(message) => message,
            // Cannot be: the sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    /// Takes in what the node says, at `now` on its clock.
    pub(crate) fn hear(&self, message: Message, now: Stamp) {
        let mut state = self.lock();
        state.hear(message, now);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// The connection failed before one was ever in: one will not be.
    pub(crate) fn lost(&self, reason: &str) {
        let mut state = self.lock();
        if state.room.is_none() && !matches!(state.standing, Standing::Gone(_)) {
            state.standing = Standing::Gone(Some(reason.to_owned()));
        }
        drop(state);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Says something to the node; false where there is no connection to say it on.
    pub fn say(&self, message: Message) -> bool {
        self.lock().closes |= matches!(message, Message::RoomAct(RoomAct::Close));
        self.say.try_send(message).is_ok()
    }

    /// Says how it goes; while nothing can be said, nobody needs to know.
    pub(crate) fn reports(&self, report: Report) {
        self.lock().report = Some(report);
        let _ = self.say(Message::Report(report));
    }

    /// What was said last of how it goes.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.lock().report
    }

    /// Says a text to the others, sealed where the room is.
    pub fn say_text(&self, text: String, position_us: i64) -> bool {
        let words = match self.key.get() {
            Some(key) => key.seal(&text, self.name()).map(Words::Sealed),
            None => Some(Words::Plain(text)),
        };
        words.is_some_and(|words| self.say(Message::Say(proto::room::Say { position_us, words })))
    }

    /// Makes the key of the room one is in, where it is sealed. Takes a moment.
    ///
    /// # Errors
    /// A sentence: there is no passphrase, or it is another.
    pub fn unlock(&self) -> Result<(), String> {
        let secret = self.with_room(|room| room.settings.secret.clone()).flatten();
        let Some(secret) = secret.filter(|_| self.key.get().is_none()) else { return Ok(()) };
        let Some(passphrase) = &self.passphrase else {
            return Err("this room is sealed: give its passphrase with --secret".to_owned());
        };
        let key = secret::unlock(passphrase, &secret).map_err(|error| error.to_string())?;
        let _ = self.key.set(key);
        Ok(())
    }

    /// What the others call one.
    fn name(&self) -> &str {
        match &self.errand {
            Errand::Create(create) => &create.name,
            Errand::Enter(enter) => &enter.name,
        }
    }

    fn words(&self, line: &Line) -> String {
        let opened = match (&line.what, self.key.get()) {
            (What::Said(Words::Sealed(sealed)), Some(key)) => key.open(sealed, &line.who),
            _ => None,
        };
        words::line(line, opened.as_deref())
    }

    /// Looks at the room; `None` before one was in.
    pub fn with_room<T>(&self, look: impl FnOnce(&Room) -> T) -> Option<T> {
        self.lock().room.as_ref().map(look)
    }

    /// Whether one is in.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.lock().standing.clone()
    }

    /// What is to be shown now, in words, to who is at this position (see [`super::lines::Lines::due`]).
    #[must_use]
    pub fn due(&self, position_us: Option<i64>) -> Vec<String> {
        let mut state = self.lock();
        let mut due: Vec<String> = state.words.drain(..).collect();
        let lines = state.room.as_mut().map(|room| room.lines.due(position_us));
        drop(state);
        due.extend(lines.unwrap_or_default().iter().map(|line| self.words(line)));
        due
    }

    /// Changes with everything that is heard.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until one is not in any more.
    pub(crate) async fn gone(&self) {
        let mut changed = self.changed.subscribe();
        while !matches!(self.standing(), Standing::Gone(_)) {
            let _ = changed.changed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hear(&mut self, message: Message, now: Stamp) {
        match message {
            Message::Knocking => self.standing = Standing::Knocking,
            Message::Entered(entered) => {
                self.entering = false;
                self.standing = Standing::Inside;
                self.room = Some(Room::new(entered, self.room.take()));
            }
            Message::Refused(refused) if std::mem::take(&mut self.entering) => {
                self.standing = Standing::Gone(Some(refused.reason));
            }
            Message::Refused(refused) => {
                self.closes = false;
                self.say(refused.reason);
            }
            Message::LeftRoom(left) => {
                // Who closes a room has what it wanted.
                let asked_for = self.closes || left.reason.is_empty();
                self.standing = Standing::Gone((!asked_for).then_some(left.reason));
            }
            other => self.hear_inside(other, now),
        }
    }

    fn hear_inside(&mut self, message: Message, now: Stamp) {
        let Some(room) = &mut self.room else { return };
        match message {
            Message::Timeline(timeline) => {
                room.timelines.take(timeline, now);
            }
            Message::Members(members) => room.members = members,
            Message::Lines(lines) => room.lines.take(lines, now),
            Message::Knocks(knocks) => {
                let known = std::mem::replace(&mut room.knocks, knocks);
                let new = |knock: &&Knock| known.iter().all(|known| known.id != knock.id);
                let names: Vec<String> =
                    room.knocks.iter().filter(new).map(|knock| knock.name.clone()).collect();
                for name in names {
                    self.say(format!("{name} wants to come in: /admit {name} or /refuse {name}"));
                }
            }
            other => tracing::debug!(kind = other.kind(), "unexpected on the control connection"),
        }
    }

    fn say(&mut self, words: String) {
        if self.words.len() == WORDS {
            self.words.pop_front();
        }
        self.words.push_back(words);
    }
}

#[cfg(test)]
mod tests {
    use proto::room::{LeftRoom, Refusal, Refused};

    use super::*;
    use crate::room::tests::room;

    fn enter() -> EnterRoom {
        let code = room().code;
        EnterRoom { code, name: "Ben".into(), pin: Some("4711".into()), token: None, film: None }
    }

    fn entered() -> Message {
        let room = room();
        Message::Entered(proto::room::Entered {
            code: room.code,
            stream: room.stream,
            settings: room.settings,
            pin: room.pin,
            you: room.you,
            token: room.token,
            timeline: room.timelines.newest(),
            copy: room.copy,
        })
    }

    fn refused(reason: &str) -> Message {
        Message::Refused(Refused { why: Refusal::NotHost, reason: reason.into() })
    }

    #[tokio::test]
    async fn one_gets_in_by_pin_and_back_by_token() {
        let seat = Seat::new(Errand::Enter(enter()));
        assert_eq!(seat.hello().await, Message::EnterRoom(enter()));
        seat.hear(Message::Knocking, Stamp(0));
        assert_eq!(seat.standing(), Standing::Knocking);
        seat.hear(entered(), Stamp(0));
        assert_eq!(seat.standing(), Standing::Inside);
        assert!(seat.say(Message::LeaveRoom));
        let again = EnterRoom { pin: None, token: Some(room().token), ..enter() };
        assert_eq!(seat.hello().await, Message::EnterRoom(again));
        assert!(seat.outbox.lock().await.is_empty(), "what was meant for the last connection");
        assert_eq!(seat.due(None), [""; 0], "nobody misses a goodbye");
        let words = Words::Plain("look at that".into());
        assert!(seat.say(Message::Say(proto::room::Say { position_us: 0, words })));
        seat.hello().await;
        assert!(seat.due(None).iter().any(|words| words.contains("did not arrive")));
    }

    #[tokio::test]
    async fn who_is_refused_at_the_door_is_out_and_within_it_is_a_word() {
        let seat = Seat::new(Errand::Enter(enter()));
        seat.hello().await;
        seat.hear(entered(), Stamp(0));
        seat.hear(refused("only the host may do that"), Stamp(0));
        assert_eq!(seat.due(None), ["only the host may do that"]);
        seat.hear(
            Message::LeftRoom(LeftRoom { for_good: true, reason: "kicked".into() }),
            Stamp(0),
        );
        assert_eq!(seat.standing(), Standing::Gone(Some("kicked".into())));

        // Who closes a room is not told that it failed.
        let seat = Seat::new(Errand::Enter(enter()));
        assert!(seat.say(Message::RoomAct(RoomAct::Close)));
        seat.hear(
            Message::LeftRoom(LeftRoom { for_good: true, reason: "Ben closed the room".into() }),
            Stamp(0),
        );
        assert_eq!(seat.standing(), Standing::Gone(None));

        let seat = Seat::new(Errand::Enter(enter()));
        seat.hello().await;
        seat.hear(refused("the PIN is wrong"), Stamp(0));
        seat.gone().await;
        assert_eq!(seat.standing(), Standing::Gone(Some("the PIN is wrong".into())));
    }

    #[test]
    fn each_knock_is_said_once() {
        let seat = Seat::new(Errand::Enter(enter()));
        seat.hear(entered(), Stamp(0));
        let knock = |id: u32| Knock { id, name: format!("n{id}") };
        seat.hear(Message::Knocks(vec![knock(1)]), Stamp(0));
        seat.hear(Message::Knocks(vec![knock(1), knock(2)]), Stamp(0));
        let said = seat.due(None);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[1].contains("/admit n2"), "{said:?}");
    }
}
