//! The rooms a node has, for people and for programs.

use proto::room::{Going, RoomLine};
use proto::time::Stamp;
use serde::Serialize;

use super::words::position;

/// A room as `--rooms --json` says it, one object a line.
#[derive(Debug, Serialize)]
struct Json<'a> {
    room: String,
    stream: &'a str,
    pin: bool,
    approve: bool,
    members: &'a [String],
    position_s: f64,
    playing: bool,
}

/// As a table; `now` is the node's.
#[must_use]
pub fn lines(rooms: &[RoomLine], now: Stamp) -> Vec<String> {
    rooms.iter().map(|room| line(room, now)).collect()
}

fn line(room: &RoomLine, now: Stamp) -> String {
    let timeline = &room.timeline;
    let place = match timeline.going {
        _ if timeline.delay_us > 0 => "live".to_owned(),
        Going::Playing => format!("at {}", position(timeline.position_us(now))),
        Going::Paused | Going::Waiting => format!("stands at {}", position(timeline.position_us)),
    };
    let door = match (room.pin, room.approve) {
        (true, true) => ", with a PIN, the host opens",
        (true, false) => ", with a PIN",
        (false, true) => ", the host opens",
        (false, false) => "",
    };
    let members = room.members.join(", ");
    format!("{}  {} {place}{door}: {members}", room.code, room.stream)
}

/// One JSON object each.
#[must_use]
pub fn json_lines(rooms: &[RoomLine], now: Stamp) -> Vec<String> {
    rooms.iter().filter_map(|room| serde_json::to_string(&json(room, now)).ok()).collect()
}

fn json(room: &RoomLine, now: Stamp) -> Json<'_> {
    Json {
        room: room.code.to_string(),
        stream: &room.stream,
        pin: room.pin,
        approve: room.approve,
        members: &room.members,
        position_s: room.timeline.position_us(now) as f64 / 1e6,
        playing: room.timeline.going == Going::Playing,
    }
}

#[cfg(test)]
mod tests {
    use proto::room::RoomCode;

    use super::*;
    use crate::room::tests::timeline;

    #[test]
    fn a_room_is_a_line() {
        let room = RoomLine {
            code: RoomCode::from_random([0; 10]),
            stream: "film".into(),
            pin: true,
            approve: false,
            members: vec!["Ana".into(), "Ben".into()],
            timeline: timeline(1, 0, Going::Playing),
        };
        let rooms = [room];
        let now = Stamp(61_000_000);
        assert_eq!(lines(&rooms, now), ["2222222222  film at 1:01, with a PIN: Ana, Ben"]);
        let json = json_lines(&rooms, now).remove(0);
        assert!(
            json.contains("\"position_s\":61.0") && json.contains("\"playing\":true"),
            "{json}"
        );
    }
}
