//! One member under load: does what a viewer does on its control connection, and counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proto::message::{Message, Ping};
use proto::room::{Line, Report, What, Words};
use proto::{Role, conn, dial};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::common::{create, enter, say};
use crate::room::{Commands, Room};
use crate::{Load, Stage};

/// A member says a line this often; a room of ten hears one every two seconds.
const TALK: Duration = Duration::from_secs(20);
const REPORT: Duration = Duration::from_secs(1);

/// What a member heard, or all of them.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) members: usize,
    said: u64,
    lines: u64,
    timelines: u64,
    /// Lines, timelines and commands that never came.
    lost: u64,
    reordered: u64,
    refused: u64,
    broken: Vec<String>,
    each: Vec<Duration>,
    last: Vec<Duration>,
    commands: usize,
}

/// A member's ears.
struct Ears {
    tally: Tally,
    epoch: u64,
    line: u64,
    /// The number of the last line of each that was heard.
    heard: HashMap<String, u64>,
}

pub(crate) async fn run(
    load: Arc<Load>,
    room: Arc<Room>,
    index: usize,
    orders: mpsc::Receiver<Message>,
) -> Tally {
    let tally = Tally { members: 1, ..Tally::default() };
    let mut ears = Ears { tally, epoch: 0, line: 0, heard: HashMap::new() };
    if let Err(error) = live(&load, &room, index, orders, &mut ears).await {
        ears.tally.broken.push(error);
    }
    ears.tally
}

async fn live(
    load: &Load,
    room: &Room,
    index: usize,
    mut orders: mpsc::Receiver<Message>,
    ears: &mut Ears,
) -> Result<(), String> {
    let text = |error: conn::ConnError| error.to_string();
    let mut line = {
        let _turn = load.dialling.acquire().await.map_err(|error| error.to_string())?;
        let dialled = dial::dial(&load.address, Role::Control, None, "load").await;
        dialled.map_err(|error| error.to_string())?
    };
    let name = format!("member {index}");
    let ask = if index == 0 {
        Message::CreateRoom(create(&name))
    } else {
        let mut made = room.code.subscribe();
        let code = *made.wait_for(Option::is_some).await.map_err(|error| error.to_string())?;
        Message::EnterRoom(enter(code.ok_or("no room")?, &name))
    };
    line.writer.write(&ask).await.map_err(text)?;
    loop {
        match line.reader.read().await.map_err(text)? {
            Message::Entered(entered) => {
                room.code.send_replace(Some(entered.code));
                ears.epoch = entered.timeline.epoch;
                break;
            }
            Message::Refused(refused) => return Err(refused.reason),
            _ => {}
        }
    }
    // While the others come, pings keep the connection; what is told is read, too.
    let mut ready = std::pin::pin!(load.ready.wait());
    let mut stage = load.stage.clone();
    let (mut ping, mut report, mut talk) =
        (every(proto::clock::INTERVAL), every(REPORT), every(TALK));
    let (mut all_ready, mut draining) = (false, false);
    loop {
        let write = tokio::select! {
            message = line.reader.read() => ears.hear(room, index, message.map_err(text)?),
            _ = &mut ready, if !all_ready => {
                all_ready = true;
                None
            }
            changed = stage.changed() => {
                changed.map_err(|error| error.to_string())?;
                match *stage.borrow_and_update() {
                    Stage::Over => return Ok(()),
                    now => draining = now == Stage::Draining,
                }
                None
            }
            _ = ping.tick() => Some(Message::Ping(Ping { sent_us: conn::now() })),
            _ = report.tick() => Some(ears.report()),
            _ = talk.tick(), if all_ready && !draining => {
                ears.tally.said += 1;
                Some(say(&ears.tally.said.to_string()))
            }
            Some(order) = orders.recv() => Some(order),
        };
        if let Some(message) = write {
            line.writer.write(&message).await.map_err(text)?;
        }
    }
}

/// Regularly, each from another moment on.
fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period.mul_f64(rand::random()), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Ears {
    /// Takes in a message; what is to be answered.
    fn hear(&mut self, room: &Room, index: usize, message: Message) -> Option<Message> {
        match message {
            Message::Timeline(timeline) => {
                self.tally.timelines += 1;
                self.tally.count(&mut self.epoch, timeline.epoch);
                room.arrived(index, &timeline);
                return Some(self.report());
            }
            Message::Lines(lines) => lines.iter().for_each(|line| self.hear_line(line)),
            Message::Refused(_) => self.tally.refused += 1,
            Message::LeftRoom(left) => self.tally.broken.push(left.reason),
            _ => {}
        }
        None
    }

    fn hear_line(&mut self, line: &Line) {
        self.tally.lines += 1;
        self.tally.count(&mut self.line, line.number);
        if let What::Said(Words::Plain(text)) = &line.what {
            let last = self.heard.entry(line.who.clone()).or_default();
            self.tally.count(last, text.parse().unwrap_or(0));
        }
    }

    fn report(&self) -> Message {
        Message::Report(Report {
            epoch: self.epoch,
            ready: true,
            buffered_us: 10_000_000,
            off_us: 0,
            round_trip_us: 1_000,
            needs_us: 0,
        })
    }
}

impl Tally {
    /// What is numbered comes one by one.
    fn count(&mut self, last: &mut u64, number: u64) {
        if number <= *last {
            self.reordered += 1;
        } else {
            self.lost += number - *last - 1;
            *last = number;
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.members += other.members;
        self.said += other.said;
        self.lines += other.lines;
        self.timelines += other.timelines;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.refused += other.refused;
        self.broken.extend(other.broken);
    }

    pub(crate) fn add_commands(&mut self, commands: Commands) {
        self.commands += commands.last.len() + commands.lost;
        self.lost += commands.lost as u64;
        self.each.extend(commands.each);
        self.last.extend(commands.last);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.reordered + self.refused == 0 && self.broken.is_empty() && self.said > 0
    }

    pub(crate) fn print(mut self) {
        println!(
            "{} members said {} lines and used the remote {} times; they heard {} lines and {} timelines",
            self.members, self.said, self.commands, self.lines, self.timelines
        );
        println!(
            "lost {}, reordered {}, refused {}, broken connections {}",
            self.lost,
            self.reordered,
            self.refused,
            self.broken.len()
        );
        self.broken.iter().take(3).for_each(|reason| println!("  {reason}"));
        percentiles("a command at each member", &mut self.each);
        percentiles("a command at all members", &mut self.last);
    }
}

fn percentiles(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        let time = times.get(index.min(times.len().saturating_sub(1))).copied();
        time.unwrap_or_default().as_secs_f64() * 1e3
    };
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(0.5), at(0.99), at(1.0));
}
