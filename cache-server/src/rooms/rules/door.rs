//! Entering, knocking, coming back, leaving.

use std::collections::VecDeque;
use std::net::IpAddr;

use proto::recording::RecordingId;
use proto::room::{Entered, Film, Going, OwnCopy, Refusal, RoomToken, What};
use proto::time::Stamp;
use proto::{Message, limits};
use relay::guard::subscriber;

use super::pace::{Pace, Rate};
use super::state::hash;
use super::{Enter, Event, Knocker, MEMBERS_PAUSE_US, Member, Output, Room, SeatId, words};

/// A member that is away so long leaves, microseconds; counted while somebody is here.
const AWAY_US: i64 = 600_000_000;
/// Who knocks so long is not let in, microseconds.
const KNOCK_US: i64 = 600_000_000;
/// Own copies whose lengths differ by less are of the same length, microseconds: containers round.
const SAME_LENGTH_US: u64 = 500_000;

/// How often who is of one address may be let in: it is told to all, and kept among what they say.
const ARRIVE: Rate = Rate { burst: 60, every_us: 5_000_000 };
/// Addresses of which it is known how often; then the one is forgotten that came the longest ago.
const ARRIVED_FROM: usize = 256;

/// From where people came, the last at the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(VecDeque<(IpAddr, Pace)>);

impl Arrivals {
    fn may(&mut self, address: IpAddr, now: Stamp) -> bool {
        let address = subscriber(address);
        let known = self.0.iter().position(|(of, _)| *of == address);
        let known = known.and_then(|index| self.0.remove(index));
        let mut pace = known.map(|(_, pace)| pace).unwrap_or_default();
        let may = pace.take(ARRIVE, now);
        self.0.push_back((address, pace));
        if self.0.len() > ARRIVED_FROM {
            self.0.pop_front();
        }
        may
    }
}

impl Room {
    pub(super) fn enter(&mut self, who: Enter, now: Stamp) {
        let token = who.ask.token.map(|token| (token, hash(token)));
        if let Some((token, hash)) = token
            && let Some(index) = self.members.iter().position(|member| member.token == hash)
        {
            return self.come_back(index, who, token, now);
        }
        let seat = who.seat;
        if let Some(refusal) = self.refusal(&who) {
            return self.out.push(Output::Dismiss(seat, refusal));
        }
        if !self.arrivals.may(who.address, now) {
            return self.out.push(Output::Dismiss(seat, words::too_fast()));
        }
        let is_first = self.members.is_empty();
        if self.about.settings.approve && !is_first {
            return self.knock(who, now);
        }
        self.admit(who, now);
    }

    /// Why somebody is not let in, before the host is asked.
    fn refusal(&self, who: &Enter) -> Option<Message> {
        if !who.proven {
            return Some(words::wrong_pin(who.ask.pin.is_some()));
        }
        let name = fold(&who.ask.name);
        if self.bans.iter().any(|ban| ban.name == name || ban.address == Some(who.address)) {
            let reason = "you were banned from this room; only its host could have let you in";
            return Some(words::refused(Refusal::NotLetIn, reason));
        }
        let knocking = self.knocks.iter().map(|knock| (&knock.who.ask.name, false));
        let members = self.members.iter().map(|member| (&member.name, member.seat.is_none()));
        if let Some((_, away)) = members.chain(knocking).find(|(taken, _)| fold(taken) == name) {
            return Some(words::name_taken(&who.ask.name, away));
        }
        (self.members.len() >= self.size).then(|| words::full(self.size))
    }

    fn knock(&mut self, who: Enter, now: Stamp) {
        let seat = who.seat;
        if self.knocks.len() >= limits::KNOCKS {
            let reason = "too many wait before this room's door; try again later";
            return self.out.push(Output::Dismiss(seat, words::refused(Refusal::Full, reason)));
        }
        self.knocks.push(Knocker { id: self.next_knock, since: now, who });
        self.next_knock += 1;
        self.tell(seat, Message::Knocking);
        self.tell_knocks();
    }

    /// Lets somebody in.
    pub(super) fn admit(&mut self, who: Enter, now: Stamp) {
        let Enter { seat, address, ask, token, .. } = who;
        let id = self.next_id;
        self.next_id += 1;
        if self.members.is_empty() {
            self.host = id;
        }
        if self.owner == 0 {
            self.owner = id;
        }
        let member = Member {
            id,
            name: ask.name.clone(),
            token: hash(token),
            address,
            seat: Some(seat),
            since: now,
            asks: false,
            copy: self.compare(ask.film),
            report: None,
            unready_since: None,
            // Who comes while it plays finds its own way there.
            behind: self.timeline.going == Going::Playing && !self.is_live(),
            behind_said: None,
            said: Pace::default(),
            acted: Pace::default(),
            remoted: Pace::default(),
            reported: Pace::default(),
        };
        self.members.push(member);
        (self.changes.room, self.changes.members) = (true, true);
        self.welcome(self.members.len() - 1, token);
        self.happened(ask.name.clone(), What::Joined, now);
        let event = if id == self.owner { Event::Opened } else { Event::Joined };
        self.out.push(Output::Happened(event(ask.name)));
    }

    fn come_back(&mut self, index: usize, who: Enter, token: RoomToken, now: Stamp) {
        let copy = self.compare(who.ask.film);
        let behind = self.timeline.going == Going::Playing && !self.is_live();
        let member = &mut self.members[index];
        if let Some(other) = member.seat.replace(who.seat) {
            // For good, or the two would take the place from each other for ever.
            let left = words::left(true, "you came back to this room on another connection");
            self.out.push(Output::Dismiss(other, left));
        }
        let member = &mut self.members[index];
        (member.address, member.since, member.copy) = (who.address, now, copy);
        (member.report, member.unready_since, member.behind) = (None, None, behind);
        self.welcome(index, token);
    }

    /// Tells a member who just came what there is to know.
    fn welcome(&mut self, index: usize, token: RoomToken) {
        let member = &self.members[index];
        let Some(seat) = member.seat else { return };
        let (id, is_host) = (member.id, member.id == self.host);
        let entered = Entered {
            code: self.about.code,
            stream: self.about.stream.clone(),
            settings: self.about.settings.clone(),
            pin: self.about.pin,
            you: id,
            token,
            timeline: self.timeline,
            copy: member.copy,
        };
        self.tell(seat, Message::Entered(entered));
        let members = self.whos_there();
        self.tell(seat, Message::Members(members));
        self.tell_history(seat);
        if is_host && !self.knocks.is_empty() {
            self.tell_knocks();
        }
        self.members_changed(MEMBERS_PAUSE_US);
    }

    fn compare(&self, own: Option<Film>) -> OwnCopy {
        match (self.about.film, own) {
            (None, _) | (_, None) => OwnCopy::Stream,
            (Some(film), Some(own)) if film.id == own.id && own.id != RecordingId::UNKNOWN => {
                OwnCopy::Same
            }
            (Some(film), Some(own))
                if film.duration_us.abs_diff(own.duration_us) <= SAME_LENGTH_US =>
            {
                OwnCopy::Other
            }
            _ => OwnCopy::OtherCut,
        }
    }

    /// A connection is lost: its member may come back.
    pub(super) fn gone(&mut self, seat: SeatId, now: Stamp) {
        if self.knocks.iter().any(|knock| knock.who.seat == seat) {
            self.knocks.retain(|knock| knock.who.seat != seat);
            return self.tell_knocks();
        }
        if let Some(member) = self.members.iter_mut().find(|member| member.seat == Some(seat)) {
            (member.seat, member.since, member.report) = (None, now, None);
            member.unready_since = None;
            self.members_changed(MEMBERS_PAUSE_US);
        }
    }

    pub(super) fn stop_knocking(&mut self, seat: SeatId) {
        self.knocks.retain(|knock| knock.who.seat != seat);
        self.out.push(Output::Dismiss(seat, words::left(false, "")));
        self.tell_knocks();
    }

    pub(super) fn knocks_due(&self) -> Option<Stamp> {
        self.knocks.first().map(|knock| knock.since.plus_us(KNOCK_US))
    }

    /// Who has knocked for longest gives up.
    pub(super) fn nobody_opens(&mut self) {
        let knock = self.knocks.remove(0);
        let reason = "the host did not open; try again when the host is there";
        let refused = words::refused(Refusal::NotLetIn, reason);
        self.out.push(Output::Dismiss(knock.who.seat, refused));
        self.tell_knocks();
    }

    pub(super) fn leave(&mut self, index: usize, now: Stamp) {
        if let Some(seat) = self.members[index].seat {
            self.out.push(Output::Dismiss(seat, words::left(false, "")));
        }
        self.remove(index, What::Left, now);
    }

    /// A member is one no more; somebody else is host if it was.
    pub(super) fn remove(&mut self, index: usize, what: What, now: Stamp) {
        let member = self.members.remove(index);
        self.changes.members = true;
        self.members_changed(MEMBERS_PAUSE_US);
        self.happened(member.name, what, now);
        if self.members.is_empty() {
            // Nobody is left who could let anybody in.
            if self.about.settings.approve {
                self.end("everybody has left the room");
            }
        } else if member.id == self.host {
            self.succeed(now);
        }
    }

    /// When the next member that is away has been so for too long.
    pub(super) fn departure_due(&self) -> Option<Stamp> {
        let away = self.members.iter().filter(|member| member.seat.is_none());
        let due = away.map(|member| member.since.max(self.since).plus_us(AWAY_US)).min();
        due.filter(|_| self.is_anyone_here())
    }

    /// That one leaves.
    pub(super) fn depart(&mut self, now: Stamp) {
        let away = self.members.iter().enumerate().filter(|(_, member)| member.seat.is_none());
        let longest = away.min_by_key(|(_, member)| member.since).map(|(index, _)| index);
        if let Some(index) = longest {
            self.remove(index, What::Left, now);
        }
    }
}

/// Names that look the same but for capitals are the same.
pub(super) fn fold(name: &str) -> String {
    name.to_lowercase()
}
