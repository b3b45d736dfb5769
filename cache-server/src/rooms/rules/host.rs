//! What a host does, and who is host next.

use proto::Message;
use proto::room::{Refusal, RoomAct, What};
use proto::time::Stamp;

use super::door::fold;
use super::pace::Rate;
use super::{Ban, Member, Output, Room, SeatId, words};

/// A host that is away so long is host no more, microseconds; counted while somebody is here.
const GRACE_US: i64 = 30_000_000;
/// How often members may act.
const ACT: Rate = Rate { burst: 10, every_us: 500_000 };
/// Most who are kept out; the first who were may try again then.
const BANS: usize = 200;

impl Room {
    pub(super) fn act(&mut self, index: usize, act: RoomAct, now: Stamp) {
        let member = &mut self.members[index];
        let Some(seat) = member.seat else { return };
        let id = member.id;
        if !member.acted.take(ACT, now) {
            return self.tell(seat, words::too_fast());
        }
        match act {
            RoomAct::Ask => return self.ask(index, now),
            RoomAct::TakeBack => return self.take_back(seat, id, now),
            _ if id != self.host => {
                return self.tell(seat, self.not_host());
            }
            RoomAct::Kick(whom) | RoomAct::Ban(whom) if whom == id => {
                let reason = "that is you; leave with /leave, or close the room with /close";
                return self.tell(seat, words::refused(Refusal::NotThere, reason));
            }
            _ => {}
        }
        let done = match act {
            RoomAct::Hand(to) => self.hand(to, now),
            RoomAct::Deny(whom) => self.deny(whom),
            RoomAct::Admit(knock) => self.open(knock, now),
            RoomAct::TurnAway(knock) => self.turn_away(knock),
            RoomAct::Kick(whom) => self.send_out(index, whom, false, now),
            RoomAct::Ban(whom) => self.send_out(index, whom, true, now),
            RoomAct::Close => {
                let reason = format!("{} closed the room", self.members[index].name);
                self.end(&reason);
                true
            }
            RoomAct::Ask | RoomAct::TakeBack => true,
        };
        if !done {
            self.tell(seat, words::not_there("nobody of that number is there (any more)"));
        }
    }

    pub(super) fn host_name(&self) -> String {
        let host = self.members.iter().find(|member| member.id == self.host);
        host.map_or_else(String::new, |host| host.name.clone())
    }

    /// What is said to who is not host and acts like one.
    pub(super) fn not_host(&self) -> Message {
        let is_host = |member: &&Member| member.id == self.host;
        let away = self.members.iter().find(is_host).is_some_and(|host| host.seat.is_none());
        words::not_host(&self.host_name(), away)
    }

    fn ask(&mut self, index: usize, now: Stamp) {
        let host = self.host;
        let member = &mut self.members[index];
        if member.id == host || member.asks {
            return;
        }
        member.asks = true;
        let who = member.name.clone();
        self.members_changed(0);
        self.happened(who, What::Asks, now);
    }

    fn take_back(&mut self, seat: SeatId, id: u32, now: Stamp) {
        if id != self.owner {
            let reason = "only who made the room may take it back; ask to be host with /ask";
            return self.tell(seat, words::refused(Refusal::NotHost, reason));
        }
        if self.host != id {
            self.make_host(id, now);
        }
    }

    fn hand(&mut self, to: u32, now: Stamp) -> bool {
        let there = self.members.iter().any(|member| member.id == to && member.seat.is_some());
        if there && to != self.host {
            self.make_host(to, now);
        }
        there
    }

    fn deny(&mut self, whom: u32) -> bool {
        self.members_changed(0);
        let asking = self.members.iter_mut().find(|member| member.id == whom && member.asks);
        let Some(member) = asking else { return false };
        member.asks = false;
        if let Some(seat) = member.seat {
            self.tell(seat, words::denied(&self.host_name()));
        }
        true
    }

    fn open(&mut self, knock: u32, now: Stamp) -> bool {
        let Some(index) = self.knocks.iter().position(|other| other.id == knock) else {
            return false;
        };
        let who = self.knocks.remove(index).who;
        if self.members.len() >= self.size {
            self.out.push(Output::Dismiss(who.seat, words::full(self.size)));
        } else {
            self.admit(who, now);
        }
        self.tell_knocks();
        true
    }

    fn turn_away(&mut self, knock: u32) -> bool {
        let Some(index) = self.knocks.iter().position(|other| other.id == knock) else {
            return false;
        };
        let seat = self.knocks.remove(index).who.seat;
        let reason = "the host did not let you in; ask who invited you";
        self.out.push(Output::Dismiss(seat, words::refused(Refusal::NotLetIn, reason)));
        self.tell_knocks();
        true
    }

    /// Kick and ban; a host does not do that to itself.
    fn send_out(&mut self, by: usize, whom: u32, for_good: bool, now: Stamp) -> bool {
        let Some(index) = self.members.iter().position(|member| member.id == whom) else {
            return false;
        };
        if index == by {
            return false;
        }
        if for_good {
            self.ban(index);
        }
        let host = &self.members[by].name;
        let reason = if for_good {
            format!("{host} banned you from the room")
        } else {
            format!("{host} sent you out of the room")
        };
        if let Some(seat) = self.members[index].seat {
            self.out.push(Output::Dismiss(seat, words::left(for_good, &reason)));
        }
        self.remove(index, What::Removed, now);
        true
    }

    /// The name stays out, and the address, unless it is shared with others who are welcome.
    fn ban(&mut self, index: usize) {
        let banned = &self.members[index];
        let others = self.members.iter().filter(|member| member.id != banned.id);
        let shared = others.map(|member| member.address).any(|other| other == banned.address);
        let known = !banned.address.is_unspecified();
        let address = (!shared && known).then_some(banned.address);
        self.bans.push(Ban { name: fold(&banned.name), address });
        if self.bans.len() > BANS {
            self.bans.remove(0);
        }
        self.changes.room = true;
    }

    /// All leave, and nobody comes back.
    pub(super) fn end(&mut self, reason: &str) {
        for seat in self.here() {
            self.out.push(Output::Dismiss(seat, words::left(true, reason)));
        }
        let knocking: Vec<SeatId> = self.knocks.drain(..).map(|knock| knock.who.seat).collect();
        for seat in knocking {
            let refused = words::refused(Refusal::UnknownRoom, reason);
            self.out.push(Output::Dismiss(seat, refused));
        }
        self.members.clear();
        self.out.push(Output::Over);
    }

    /// The host was away too long.
    pub(super) fn succession_due(&self) -> Option<Stamp> {
        let host = self.members.iter().find(|member| member.id == self.host)?;
        let away = host.seat.is_none() && self.is_anyone_here();
        away.then(|| host.since.max(self.since).plus_us(GRACE_US))
    }

    /// Who has been here for longest is host.
    pub(super) fn succeed(&mut self, now: Stamp) {
        let here = self.members.iter().find(|member| member.seat.is_some());
        if let Some(id) = here.or(self.members.first()).map(|member| member.id) {
            self.make_host(id, now);
        }
    }

    fn make_host(&mut self, id: u32, now: Stamp) {
        let old = self.members.iter().find(|member| member.id == self.host);
        let old_seat = old.and_then(|old| old.seat);
        self.host = id;
        self.changes.room = true;
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return };
        member.asks = false;
        let who = member.name.clone();
        self.members_changed(0);
        self.happened(who, What::Hosts, now);
        if !self.knocks.is_empty() {
            if let Some(seat) = old_seat {
                self.tell(seat, Message::Knocks(Vec::new()));
            }
            self.tell_knocks();
        }
    }
}
