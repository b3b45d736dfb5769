//! `--stats FILE`: what the viewer knows of how well it is in step, a line a second.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use proto::conn::now;
use proto::room::Going;
use serde::Serialize;

use crate::output::remark;
use crate::room::Seat;
use crate::shared::Shared;

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// A line; see `docs/STATS.md`.
#[derive(Debug, Default, Serialize)]
struct Line {
    at_us: i64,
    stream: String,
    position_us: Option<i64>,
    rate: Option<f64>,
    delay_us: i64,
    sound_lag_us: i64,
    clock_error_us: Option<f64>,
    room: Option<String>,
    epoch: Option<u64>,
    going: Option<&'static str>,
    ready: Option<bool>,
    off_us: Option<i32>,
    buffered_us: Option<u32>,
    round_trip_us: Option<u32>,
    needs_us: Option<u32>,
    members: Vec<Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    name: String,
    here: bool,
    awaited: bool,
    off_us: Option<i32>,
    buffered_us: Option<u32>,
}

/// Writes lines until all is over, or the file takes no more.
pub fn run(shared: &Shared, seat: Option<&Arc<Seat>>, mut file: File) {
    while !shared.desk.is_closed() {
        let line = serde_json::to_string(&look(shared, seat)).unwrap_or_default();
        if let Err(error) = writeln!(file, "{line}") {
            remark(format_args!("statistics cannot be written any more: {error}"));
            return;
        }
        std::thread::sleep(INTERVAL);
    }
}

fn look(shared: &Shared, seat: Option<&Arc<Seat>>) -> Line {
    let progress = shared.progress();
    let (now, delay_us) = (now(), shared.schedule.delay_us());
    let all = shared.summary();
    let line = Line {
        at_us: now.0,
        stream: all.stream,
        position_us: progress.map(|progress| progress.cue.position_us(now, delay_us)),
        rate: progress.map(|progress| progress.cue.rate),
        delay_us,
        sound_lag_us: shared.schedule.sound_lag_us(),
        clock_error_us: all.clock_error_us,
        ..Line::default()
    };
    seat.and_then(|seat| in_room(seat, &line)).unwrap_or(line)
}

fn in_room(seat: &Seat, line: &Line) -> Option<Line> {
    let report = seat.report();
    seat.with_room(|room| {
        let timeline = room.timelines.newest();
        let going = match timeline.going {
            Going::Playing => "playing",
            Going::Paused => "paused",
            Going::Waiting => "waiting",
        };
        let member = |member: &proto::room::Member| Member {
            name: member.name.clone(),
            here: member.here,
            awaited: member.awaited,
            off_us: member.report.map(|report| report.off_us),
            buffered_us: member.report.map(|report| report.buffered_us),
        };
        Line {
            stream: line.stream.clone(),
            room: Some(room.code.to_string()),
            epoch: Some(timeline.epoch),
            going: Some(going),
            ready: report.map(|report| report.ready),
            off_us: report.map(|report| report.off_us),
            buffered_us: report.map(|report| report.buffered_us),
            round_trip_us: report.map(|report| report.round_trip_us),
            needs_us: report.map(|report| report.needs_us),
            members: room.members.members.iter().map(member).collect(),
            ..*line
        }
    })
}
