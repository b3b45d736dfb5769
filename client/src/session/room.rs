//! Getting into a room, and out of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use proto::Message;
use proto::conn::now;
use proto::elsewhere::youtube;
use proto::room::{Report, Timeline};
use proto::time::Stamp;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::control::Peer;
use super::recorded::Entry;
use super::view::GOODBYE;
use super::{Command, Config, Event, SessionError, Sink, recorded, watch};
use crate::room::seat::{Errand, Standing};
use crate::room::{Seat, words};

/// How often to report, microseconds.
pub(super) const REPORT_US: i64 = 1_000_000;

/// Enters the room and watches there until it is over, one has to leave, or `quit` comes.
pub(super) async fn run(
    config: &Config,
    seat: &Arc<Seat>,
    peer: &Arc<Peer>,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    mut quit: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), SessionError> {
    let Some(stream) = enter(config, seat, sink, quit.as_mut()).await else { return gone(seat) };
    if let Some(video) = youtube(&stream) {
        leave(seat).await;
        return Err(SessionError::Room(format!(
            "this room watches a YouTube video ({video}), which plays in a browser alone: open the relay's page there and enter the same code"
        )));
    }
    if let Err(reason) = unlock(seat).await {
        leave(seat).await;
        return Err(SessionError::Room(reason));
    }
    let config = Config { stream: Some(stream), start_us: None, ..config.clone() };
    let over = async {
        tokio::select! {
            () = seat.gone() => {}
            () = quit => {}
        }
    };
    tokio::pin!(over);
    let result = match config.local.clone() {
        Some(local) => {
            recorded::run(&config, peer, sink, commands, Entry::own(local), over).await;
            Ok(())
        }
        None => watch(&config, peer, sink, commands, over).await,
    };
    leave(seat).await;
    gone(seat).and(result)
}

async fn leave(seat: &Seat) {
    if seat.standing() == Standing::Inside && seat.say(Message::LeaveRoom) {
        let _ = timeout(GOODBYE, seat.gone()).await;
    }
}

/// Makes the room's key aside: the clock goes on meanwhile.
async fn unlock(seat: &Arc<Seat>) -> Result<(), String> {
    let seat = seat.clone();
    let made = tokio::task::spawn_blocking(move || seat.unlock()).await;
    made.unwrap_or_else(|_| Err("no key could be made".to_owned()))
}

/// Waits until one is in; gives what is watched there.
async fn enter(
    config: &Config,
    seat: &Seat,
    sink: &mut impl Sink,
    mut quit: Pin<&mut impl Future<Output = ()>>,
) -> Option<String> {
    let mut knocking = false;
    let mut changes = seat.changes();
    loop {
        match seat.standing() {
            Standing::Outside => {}
            Standing::Knocking if knocking => {}
            Standing::Knocking => {
                knocking = true;
                sink.event(Event::Said("waiting for the host to let you in".to_owned()));
            }
            Standing::Inside | Standing::Gone(_) => break,
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = quit.as_mut() => return None,
        }
    }
    seat.with_room(|room| {
        sink.event(Event::Said(words::welcome(room)));
        if matches!(seat.errand(), Errand::Create(_)) {
            sink.event(Event::Invitation(words::invitation(room, &config.address)));
        }
        words::copy(room.copy).into_iter().for_each(|copy| sink.event(Event::Said(copy.into())));
        room.stream.clone()
    })
}

/// Why one is not in the room any more, where that is not as one wanted it.
fn gone(seat: &Seat) -> Result<(), SessionError> {
    match seat.standing() {
        Standing::Gone(Some(reason)) => Err(SessionError::Room(reason)),
        _ => Ok(()),
    }
}

/// Keeps a live stream in step with the room, and reports.
pub(super) struct LiveRoom {
    reported: Option<(Stamp, Report)>,
}

impl LiveRoom {
    pub(super) fn new() -> Self {
        Self { reported: None }
    }

    /// Looks at what the room wants; `ready`: the stream is there.
    pub(super) fn step(&mut self, config: &Config, peer: &Peer, ready: bool) {
        let Some(seat) = &config.seat else { return };
        let Some(clock) = peer.clock().filter(|clock| clock.settled) else { return };
        let now = now();
        let timeline = seat.with_room(|room| room.timelines.at(now + clock.offset));
        let Some(Timeline { epoch, delay_us, .. }) = timeline else { return };
        let schedule = &config.schedule;
        schedule.set_room_delay_us(i64::from(delay_us));
        let due = self.reported.is_none_or(|(at, last)| {
            now.us_since(at) >= REPORT_US || (last.epoch, last.ready) != (epoch, ready)
        });
        if !due {
            return;
        }
        let bounded = |us: i64| u32::try_from(us.max(0)).unwrap_or(u32::MAX);
        let behind_us = if delay_us > 0 { schedule.delay_us() - i64::from(delay_us) } else { 0 };
        let off_us = behind_us + schedule.sound_lag_us();
        let report = Report {
            epoch,
            ready,
            buffered_us: bounded(schedule.ahead_us()),
            off_us: off_us.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            round_trip_us: bounded(peer.round_trip_us().unwrap_or(0)),
            needs_us: bounded(schedule.needs_us()),
        };
        seat.reports(report);
        self.reported = Some((now, report));
    }
}

/// Shows what was said, to who is at this position; `None` in a live stream.
pub(super) fn tell(config: &Config, sink: &mut impl Sink, position_us: Option<i64>) {
    let Some(seat) = &config.seat else { return };
    seat.due(position_us).into_iter().for_each(|words| sink.event(Event::Said(words)));
}
