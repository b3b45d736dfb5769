//! The rules of a room, pure: what comes in at which moment, and what comes out of it.
//!
//! ```text
//! door     entering, knocking, coming back, leaving; names, places, bans
//! host     what a host does, and who is host next
//! remote   the remote control and the timeline it moves
//! waiting  who is ready, who is waited for, who is left behind
//! live     the delay at which a live stream is shown
//! lines    what was said and what happened
//! pace     how often somebody may do something
//! words    refusals, for people
//! ```
//!
//! No clock and no task is in here: [`Room::handle`] is given the moment, and [`Room::due`] says when it
//! wants to be asked again.

mod door;
mod host;
mod lines;
mod live;
mod pace;
mod remote;
mod state;
#[cfg(test)]
mod tests;
mod waiting;
pub mod words;

use std::net::IpAddr;

use proto::Message;
use proto::room::{
    EnterRoom, Film, Knock, Members, RoomCode, RoomLine, RoomSettings, RoomToken, Timeline,
};
use proto::time::Stamp;

pub(super) use lines::KEPT as LINES_KEPT;
use lines::Lines;
use pace::Pace;
pub use state::{Ban, Changes, Kept, KeptMember};
use waiting::Wait;

/// A connection, as its lobby numbers them.
pub type SeatId = u64;

/// What members do is told to all at most so often, microseconds.
const MEMBERS_PAUSE_US: i64 = 100_000;
/// How it goes for them is told to all so often, microseconds.
const REPORTS_PAUSE_US: i64 = 1_000_000;
/// A room in which nobody is stands still after this, microseconds.
const ALONE_US: i64 = 60_000_000;
/// A room in which nobody is goes after this, microseconds.
const EMPTY_US: i64 = 24 * 3_600 * 1_000_000;

/// What a room is, fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its code.
    pub code: RoomCode,
    /// What is watched.
    pub stream: String,
    /// The film, to compare own copies with; `None` for live streams.
    pub film: Option<Film>,
    /// How it is run.
    pub settings: RoomSettings,
    /// Whether a PIN is needed.
    pub pin: bool,
}

/// Somebody who wants in.
#[derive(Clone, Debug)]
pub struct Enter {
    /// On which connection.
    pub seat: SeatId,
    /// From where.
    pub address: IpAddr,
    /// What was asked.
    pub ask: EnterRoom,
    /// The PIN was right, or none is needed.
    pub proven: bool,
    /// To come back with, chosen at random.
    pub token: RoomToken,
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody wants in.
    Enter(Box<Enter>),
    /// A connection that is in the room, or before its door, says this.
    Said(SeatId, Message),
    /// A connection is lost.
    Gone(SeatId),
    /// Time goes by.
    Tick,
    /// Whoever it belongs to closes it, for this reason.
    Close(String),
    /// The room makes way for others, if nobody is in it.
    End,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// These connections are told this.
    Tell(Vec<SeatId>, Message),
    /// This connection is told this and has to do with the room no more.
    Dismiss(SeatId, Message),
    /// Other programs may want to know.
    Happened(Event),
    /// The room is no more.
    Over,
}

/// What other programs may want to know, with the name of who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The room was made.
    Opened(String),
    /// Somebody came who was not a member.
    Joined(String),
}

/// A member.
#[derive(Clone, Debug)]
struct Member {
    id: u32,
    name: String,
    /// Hash of its token.
    token: [u8; 32],
    address: IpAddr,
    /// `None` while it is away.
    seat: Option<SeatId>,
    /// When it went away, or came.
    since: Stamp,
    asks: bool,
    copy: proto::room::OwnCopy,
    report: Option<proto::room::Report>,
    /// Not ready since then, as it says.
    unready_since: Option<Stamp>,
    /// Nobody waits for it: it catches up.
    behind: bool,
    /// When it was last said that it is.
    behind_said: Option<Stamp>,
    said: Pace,
    acted: Pace,
    remoted: Pace,
    reported: Pace,
}

/// Somebody before the door.
#[derive(Clone, Debug)]
struct Knocker {
    id: u32,
    since: Stamp,
    who: Enter,
}

/// A room as a value. See the module.
#[derive(Clone, Debug)]
pub struct Room {
    about: About,
    /// Most members.
    size: usize,
    /// In the order they came.
    members: Vec<Member>,
    host: u32,
    owner: u32,
    next_id: u32,
    timeline: Timeline,
    /// Holds until `timeline` takes effect.
    before: Timeline,
    /// The epoch that last went elsewhere: readiness of before says nothing.
    jump: u64,
    wait: Wait,
    delay: live::Delay,
    lines: Lines,
    knocks: Vec<Knocker>,
    next_knock: u32,
    bans: Vec<Ban>,
    arrivals: door::Arrivals,
    /// Somebody or nobody is here since then.
    since: Stamp,
    members_told: Stamp,
    /// When all are to be told of the members.
    members_due: Option<Stamp>,
    changes: Changes,
    out: Vec<Output>,
}

impl Room {
    /// A room nobody is in yet; the first who enters is its owner.
    #[must_use]
    pub fn new(about: About, size: usize, now: Stamp) -> Self {
        let timeline = remote::first(&about, now);
        let mut wait = Wait::default();
        wait.begin(now);
        Self {
            about,
            size,
            members: Vec::new(),
            host: 0,
            owner: 0,
            next_id: 1,
            timeline,
            before: timeline,
            jump: timeline.epoch,
            wait,
            delay: live::Delay::default(),
            lines: Lines::default(),
            knocks: Vec::new(),
            next_knock: 1,
            bans: Vec::new(),
            arrivals: door::Arrivals::default(),
            since: now,
            members_told: now,
            members_due: None,
            changes: Changes { room: true, ..Changes::default() },
            out: Vec::new(),
        }
    }

    /// Takes in what comes at `now` and says what comes of it, in order.
    pub fn handle(&mut self, input: Input, now: Stamp) -> Vec<Output> {
        let was_anyone_here = self.is_anyone_here();
        match input {
            Input::Enter(enter) => self.enter(*enter, now),
            Input::Said(seat, message) => self.hear(seat, message, now),
            Input::Gone(seat) => self.gone(seat, now),
            Input::Tick => {}
            Input::Close(reason) => self.end(&reason),
            Input::End if was_anyone_here => {}
            Input::End => self.end("nobody was in the room, and it made way for others"),
        }
        if self.is_anyone_here() != was_anyone_here {
            self.since = now;
        }
        self.settle(now);
        std::mem::take(&mut self.out)
    }

    /// When [`Input::Tick`] is wanted at the latest; `None`: not as long as nothing comes in.
    #[must_use]
    pub fn due(&self) -> Option<Stamp> {
        let dues = [
            self.departure_due(),
            self.succession_due(),
            self.knocks_due(),
            self.end_due(),
            self.alone_due(),
            self.empty_due(),
            self.wait_due(),
            self.delay_due(),
            self.members_due,
        ];
        dues.into_iter().flatten().min()
    }

    /// What stands in the list of rooms.
    #[must_use]
    pub fn line(&self) -> RoomLine {
        let here = self.members.iter().filter(|member| member.seat.is_some());
        RoomLine {
            code: self.about.code,
            stream: self.about.stream.clone(),
            pin: self.about.pin,
            approve: self.about.settings.approve,
            members: here.map(|member| member.name.clone()).collect(),
            timeline: self.timeline,
        }
    }

    /// What it is.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether a member comes back with this token.
    #[must_use]
    pub fn knows(&self, token: RoomToken) -> bool {
        let hash = state::hash(token);
        self.members.iter().any(|member| member.token == hash)
    }

    /// Whether it ever had more than one member.
    #[must_use]
    pub fn had_company(&self) -> bool {
        self.next_id > 2
    }

    fn hear(&mut self, seat: SeatId, message: Message, now: Stamp) {
        if self.knocks.iter().any(|knock| knock.who.seat == seat) {
            if message == Message::LeaveRoom {
                self.stop_knocking(seat);
            }
            return;
        }
        let Some(index) = self.members.iter().position(|member| member.seat == Some(seat)) else {
            return;
        };
        match message {
            Message::LeaveRoom => self.leave(index, now),
            Message::Report(report) => self.report(index, report, now),
            Message::Remote(remote) => self.remote(index, remote, now),
            Message::Say(say) => self.say(index, say, now),
            Message::RoomAct(act) => self.act(index, act, now),
            _ => {}
        }
    }

    /// What time and others' coming and going bring with them.
    fn settle(&mut self, now: Stamp) {
        let is_due = |due: Option<Stamp>| due.is_some_and(|due| due <= now);
        while is_due(self.departure_due()) {
            self.depart(now);
        }
        if is_due(self.succession_due()) {
            self.succeed(now);
        }
        while is_due(self.knocks_due()) {
            self.nobody_opens();
        }
        if is_due(self.end_due()) || is_due(self.alone_due()) {
            self.stand(now);
        }
        self.settle_wait(now);
        self.settle_delay(now);
        if is_due(self.empty_due()) {
            self.out.push(Output::Over);
            self.since = now;
        }
        if is_due(self.members_due) {
            self.tell_members(now);
        }
    }

    fn is_live(&self) -> bool {
        self.about.film.is_none()
    }

    /// Connections of members.
    fn here(&self) -> Vec<SeatId> {
        self.members.iter().filter_map(|member| member.seat).collect()
    }

    fn is_anyone_here(&self) -> bool {
        self.members.iter().any(|member| member.seat.is_some())
    }

    fn tell(&mut self, seat: SeatId, message: Message) {
        self.out.push(Output::Tell(vec![seat], message));
    }

    fn tell_all(&mut self, message: Message) {
        let here = self.here();
        if !here.is_empty() {
            self.out.push(Output::Tell(here, message));
        }
    }

    /// All are told soon who is there, or how it goes for them.
    fn members_changed(&mut self, pause_us: i64) {
        let at = self.members_told.plus_us(pause_us);
        self.members_due = Some(self.members_due.map_or(at, |due| due.min(at)));
    }

    fn tell_members(&mut self, now: Stamp) {
        self.members_told = now;
        self.members_due = None;
        let members = self.whos_there();
        self.tell_all(Message::Members(members));
    }

    fn whos_there(&self) -> Members {
        let member = |member: &Member| proto::room::Member {
            id: member.id,
            name: member.name.clone(),
            here: member.seat.is_some(),
            asks: member.asks,
            awaited: self.is_awaited(member),
            copy: member.copy,
            report: member.report,
        };
        let members = self.members.iter().map(member).collect();
        Members { host: self.host, owner: self.owner, members }
    }

    fn knocks(&self) -> Message {
        let knock = |knock: &Knocker| Knock { id: knock.id, name: knock.who.ask.name.clone() };
        Message::Knocks(self.knocks.iter().map(knock).collect())
    }

    /// The host is told who stands before the door.
    fn tell_knocks(&mut self) {
        let host = self.members.iter().find(|member| member.id == self.host);
        if let Some(seat) = host.and_then(|host| host.seat) {
            let knocks = self.knocks();
            self.tell(seat, knocks);
        }
    }

    /// Nobody is here and it still plays.
    fn alone_due(&self) -> Option<Stamp> {
        let plays = self.timeline.going == proto::room::Going::Playing && !self.is_live();
        (plays && !self.is_anyone_here()).then(|| self.since.plus_us(ALONE_US))
    }

    fn empty_due(&self) -> Option<Stamp> {
        (!self.is_anyone_here()).then(|| self.since.plus_us(EMPTY_US))
    }
}
