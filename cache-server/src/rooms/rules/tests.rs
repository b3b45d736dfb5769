//! The rules, driven by hand with a clock of their own.

mod chaos;
mod door;
mod live;
mod play;
mod talk;

use std::collections::BTreeMap;

use proto::recording::RecordingId;
use proto::room::{Entered, Going, Refusal, Report, Say, What, Words};

use super::*;

const S: i64 = 1_000_000;
/// Of the film, seconds.
const FILM_S: i64 = 600;

/// A room, its moment, and what each connection was told.
struct Stage {
    room: Room,
    now: Stamp,
    told: BTreeMap<SeatId, Vec<Message>>,
    dismissed: BTreeMap<SeatId, Message>,
    over: bool,
    seats: SeatId,
}

fn about(settings: RoomSettings) -> About {
    let duration_us = (FILM_S * S) as u64;
    About {
        code: RoomCode::from_random([7; 10]),
        stream: "film".to_owned(),
        film: Some(Film { id: RecordingId([1; 16]), duration_us }),
        settings,
        pin: false,
    }
}

impl Stage {
    fn of(about: About, size: usize) -> Self {
        let now = Stamp(1_000 * S);
        Self {
            room: Room::new(about, size, now),
            now,
            told: BTreeMap::new(),
            dismissed: BTreeMap::new(),
            over: false,
            seats: 0,
        }
    }

    fn new() -> Self {
        Self::of(about(RoomSettings::default()), 50)
    }

    fn with(settings: RoomSettings) -> Self {
        Self::of(about(settings), 50)
    }

    fn input(&mut self, input: Input) {
        for output in self.room.handle(input, self.now) {
            match output {
                Output::Tell(seats, message) => {
                    for seat in seats {
                        assert!(!self.dismissed.contains_key(&seat), "told after its last word");
                        self.told.entry(seat).or_default().push(message.clone());
                    }
                }
                Output::Dismiss(seat, message) => {
                    assert!(self.dismissed.insert(seat, message).is_none(), "dismissed twice");
                }
                Output::Happened(_) => {}
                Output::Over => self.over = true,
            }
        }
        let due = self.room.due();
        assert!(self.over || due.is_none_or(|due| due > self.now), "due again at once: {due:?}");
    }

    /// Lets time go by, with everything that is due in it.
    fn wait_us(&mut self, us: i64) {
        let until = self.now.plus_us(us);
        while let Some(due) = self.room.due().filter(|due| *due <= until && !self.over) {
            self.now = due;
            self.input(Input::Tick);
        }
        self.now = until;
        self.input(Input::Tick);
    }

    fn enter_as(&mut self, change: impl FnOnce(&mut Enter)) -> SeatId {
        self.seats += 1;
        let seat = self.seats;
        let ask = EnterRoom {
            code: self.room.about.code,
            name: format!("member {seat}"),
            pin: None,
            token: None,
            film: None,
        };
        let address = std::net::Ipv4Addr::new(192, 0, 2, seat as u8).into();
        let token = RoomToken([seat as u8; 16]);
        let mut enter = Enter { seat, address, ask, proven: true, token };
        change(&mut enter);
        self.input(Input::Enter(Box::new(enter)));
        seat
    }

    fn enter(&mut self, name: &str) -> SeatId {
        self.enter_as(|enter| enter.ask.name = name.to_owned())
    }

    fn says(&mut self, seat: SeatId, message: Message) {
        self.input(Input::Said(seat, message));
    }

    fn words(&mut self, seat: SeatId, text: &str) {
        let words = Words::Plain(text.to_owned());
        self.says(seat, Message::Say(Say { position_us: 0, words }));
    }

    fn reports(&mut self, seat: SeatId, change: impl FnOnce(&mut Report)) {
        let mut report = Report {
            epoch: self.timeline().epoch,
            ready: true,
            buffered_us: 0,
            off_us: 0,
            round_trip_us: 20_000,
            needs_us: 0,
        };
        change(&mut report);
        self.says(seat, Message::Report(report));
    }

    fn ready(&mut self, seat: SeatId, ready: bool) {
        self.reports(seat, |report| report.ready = ready);
    }

    fn timeline(&self) -> Timeline {
        self.room.timeline
    }

    fn going(&self) -> Going {
        self.timeline().going
    }

    fn id(&self, seat: SeatId) -> u32 {
        self.entered(seat).you
    }

    fn entered(&self, seat: SeatId) -> Entered {
        let told = self.told.get(&seat).into_iter().flatten();
        let entered = told.filter_map(|message| match message {
            Message::Entered(entered) => Some(entered.clone()),
            _ => None,
        });
        entered.last().expect("entered")
    }

    /// What it was refused last.
    fn refused(&self, seat: SeatId) -> Option<Refusal> {
        let told = self.told.get(&seat).into_iter().flatten();
        let all = told.chain(self.dismissed.get(&seat));
        all.filter_map(|message| match message {
            Message::Refused(refused) => Some(refused.why),
            _ => None,
        })
        .last()
    }

    /// All lines a connection was told, in order.
    fn lines(&self, seat: SeatId) -> Vec<proto::room::Line> {
        let told = self.told.get(&seat).into_iter().flatten();
        let lines = told.filter_map(|message| match message {
            Message::Lines(lines) => Some(lines.clone()),
            _ => None,
        });
        lines.flatten().collect()
    }

    fn happened(&self, what: &What) -> usize {
        self.room.lines.kept.iter().filter(|line| line.what == *what).count()
    }

    fn host(&self) -> String {
        self.room.host_name()
    }
}
