//! Rooms for pages: what they are told as JSON, the list of rooms, and codes to be photographed.
//! Described in docs/HTTP.md.

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use proto::Message;
use proto::conn::now;
use proto::frame::{Decoder, Next};
use proto::limits::MESSAGE;
use proto::room::{
    Control, Entered, Going, Line, Member, OwnCopy, Reaction, Refusal, RoomLine, Timeline, What,
    Words,
};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{Shared, limits, sealed, word};

/// What one is told of rooms, message by message.
pub(crate) fn told(messages: &[u8]) -> impl Iterator<Item = Value> {
    let mut buffer = BytesMut::from(messages);
    let mut decoder = Decoder::new();
    decoder.set_limit(MESSAGE);
    let bodies = std::iter::from_fn(move || match decoder.next(&mut buffer) {
        Ok(Next::Body(body)) => Some(body),
        _ => None,
    });
    bodies.filter_map(|body: Bytes| json_of(Message::decode(body).ok()?))
}

fn json_of(message: Message) -> Option<Value> {
    Some(match message {
        Message::Knocking => json!({"say": "knocking"}),
        Message::Entered(entered) => self::entered(&entered),
        Message::Refused(refused) => refusal(name_of_refusal(refused.why), &refused.reason),
        Message::Timeline(timeline) => {
            json!({"say": "timeline", "timeline": self::timeline(&timeline)})
        }
        Message::Members(all) => json!({
            "say": "members", "host": all.host, "owner": all.owner,
            "members": all.members.iter().map(member).collect::<Vec<_>>(),
        }),
        Message::Lines(lines) => {
            json!({"say": "lines", "lines": lines.iter().map(line).collect::<Vec<_>>()})
        }
        Message::Knocks(knocks) => {
            let knock = |knock: &proto::room::Knock| json!({"id": knock.id, "name": knock.name});
            json!({"say": "knocks", "knocks": knocks.iter().map(knock).collect::<Vec<_>>()})
        }
        Message::LeftRoom(left) => {
            json!({"say": "left", "for_good": left.for_good, "reason": left.reason})
        }
        _ => return None,
    })
}

/// What was asked for is not done.
pub(crate) fn refusal(why: &str, reason: &str) -> Value {
    json!({"say": "refused", "why": why, "reason": reason})
}

/// The code of a room that one enters as its first member: who made it, now or before.
pub(crate) fn made(told: &Value) -> Option<&str> {
    let is_first = told["say"] == "entered" && told["you"] == 1;
    told["code"].as_str().filter(|_| is_first)
}

fn entered(entered: &Entered) -> Value {
    let settings = &entered.settings;
    json!({
        "say": "entered",
        "code": entered.code.to_string(),
        "stream": entered.stream,
        "control": match settings.control { Control::Everyone => "everyone", Control::Host => "host" },
        "approve": settings.approve,
        "private": settings.private,
        "secret": settings.secret.as_ref().map(sealed::secret),
        "pin": entered.pin,
        "you": entered.you,
        "token": word::token(entered.token),
        "timeline": timeline(&entered.timeline),
        "copy": copy(entered.copy),
    })
}

fn timeline(timeline: &Timeline) -> Value {
    json!({
        "epoch": timeline.epoch,
        "anchor_us": timeline.anchor_us.0,
        "position_us": timeline.position_us,
        "speed_permille": timeline.speed_permille,
        "going": match timeline.going {
            Going::Playing => "playing",
            Going::Paused => "paused",
            Going::Waiting => "waiting",
        },
        "delay_us": timeline.delay_us,
    })
}

fn member(member: &Member) -> Value {
    let report = member.report.map(|report| {
        json!({
            "ready": report.ready, "buffered_us": report.buffered_us, "off_us": report.off_us,
            "round_trip_us": report.round_trip_us,
        })
    });
    json!({
        "id": member.id, "name": member.name, "here": member.here, "asks": member.asks,
        "awaited": member.awaited, "copy": copy(member.copy), "report": report,
    })
}

fn copy(copy: OwnCopy) -> &'static str {
    match copy {
        OwnCopy::Stream => "stream",
        OwnCopy::Same => "same",
        OwnCopy::Other => "other",
        OwnCopy::OtherCut => "other_cut",
    }
}

fn line(line: &Line) -> Value {
    // `text`, `sealed`, `sign` or `to` go with what has one.
    let (what, more, value) = match &line.what {
        What::Said(Words::Plain(text)) => ("said", "text", json!(text)),
        What::Said(Words::Sealed(text)) => ("sealed", "sealed", sealed::sealed(text)),
        What::Said(Words::Reaction(reaction)) => ("reacted", "sign", json!(sign(*reaction))),
        What::Joined => ("joined", "", Value::Null),
        What::Left => ("left", "", Value::Null),
        What::Played => ("played", "", Value::Null),
        What::Paused => ("paused", "", Value::Null),
        What::Sought(us) => ("sought", "to", json!(us)),
        What::Speed(permille) => ("speed", "to", json!(permille)),
        What::Awaited => ("awaited", "", Value::Null),
        What::LeftBehind => ("left_behind", "", Value::Null),
        What::Asks => ("asks", "", Value::Null),
        What::Hosts => ("hosts", "", Value::Null),
        What::Removed => ("removed", "", Value::Null),
    };
    let mut said = json!({
        "number": line.number, "position_us": line.position_us, "at_us": line.at_us.0,
        "who": line.who, "what": what,
    });
    if !more.is_empty() {
        said[more] = value;
    }
    said
}

fn sign(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Like => "like",
        Reaction::Love => "love",
        Reaction::Laugh => "laugh",
        Reaction::Wow => "wow",
        Reaction::Sad => "sad",
        Reaction::Clap => "clap",
    }
}

fn name_of_refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::NoRooms => "no_rooms",
        Refusal::UnknownRoom => "unknown_room",
        Refusal::WrongPin => "wrong_pin",
        Refusal::TooManyTries => "too_many_tries",
        Refusal::Full => "full",
        Refusal::NameTaken => "name_taken",
        Refusal::NotLetIn => "not_let_in",
        Refusal::NoSuchStream => "no_such_stream",
        Refusal::TooManyRooms => "too_many_rooms",
        Refusal::NotHost => "not_host",
        Refusal::TooFast => "too_fast",
        Refusal::Live => "live",
        Refusal::NotThere => "not_there",
    }
}

/// `/rooms.json`: the rooms that are not private; `null` where none are kept.
pub(crate) async fn list(State(shared): State<Shared>) -> Response {
    let rooms = shared.node.rooms().map(|rooms| rooms.list());
    let lines: Option<Vec<Value>> = rooms.map(|rooms| rooms.iter().map(listed).collect());
    let mut response = axum::Json(lines).into_response();
    let never = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    response
}

fn listed(room: &RoomLine) -> Value {
    let timeline = &room.timeline;
    json!({
        "code": room.code.to_string(),
        "stream": room.stream,
        "pin": room.pin,
        "approve": room.approve,
        "members": room.members,
        "live": timeline.delay_us > 0,
        "playing": timeline.going == Going::Playing,
        "position_s": timeline.position_us(now()) as f64 / 1e6,
    })
}

/// What a code to be photographed says.
#[derive(Debug, Deserialize)]
pub(crate) struct Photographed {
    text: String,
}

/// `/qr.svg?text=...`: a QR code (ISO/IEC 18004) with the quiet zone of four modules it asks for.
pub(crate) async fn qr(Query(wanted): Query<Photographed>) -> Result<Response, Error> {
    if wanted.text.len() > limits::QR {
        return Err(Error::Wrong(format!("a QR code here has at most {} bytes", limits::QR)));
    }
    let code = QrCode::with_error_correction_level(&wanted.text, EcLevel::M)
        .map_err(|error| Error::Wrong(format!("no QR code can be made of that: {error}")))?;
    let (width, side) = (code.width(), code.width() + 8);
    let mut dark = String::new();
    for (at, _) in code.to_colors().iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        dark.push_str(&format!("M{} {}h1v1h-1z", at % width + 4, at / width + 4));
    }
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
         <path d=\"{dark}\"/></svg>"
    );
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, svg).into_response())
}

#[cfg(test)]
mod tests {
    use proto::room::{Knock, Refused};
    use proto::time::Stamp;

    use super::*;

    #[test]
    fn several_messages_in_one_piece_are_told_one_by_one() {
        let line = |number, what| Line {
            number,
            position_us: 5,
            at_us: Stamp(7),
            who: "Ana".to_owned(),
            what,
        };
        let lines = vec![
            line(1, What::Said(Words::Plain("<b>hi</b>".to_owned()))),
            line(2, What::Sought(9)),
            line(3, What::Joined),
        ];
        let knocks = vec![Knock { id: 4, name: "Ben".to_owned() }];
        let why = Refusal::NotHost;
        let refused = Message::Refused(Refused { why, reason: "no".to_owned() });
        let all = [Message::Lines(lines), Message::Knocks(knocks), refused].map(|m| m.encode());
        let told: Vec<Value> = told(&all.concat()).collect();
        assert_eq!(told.len(), 3);
        assert_eq!(told[0]["lines"][0]["text"], "<b>hi</b>");
        assert_eq!(told[0]["lines"][1]["to"], 9);
        assert_eq!(told[0]["lines"][2]["what"], "joined");
        assert_eq!(told[1]["knocks"][0], json!({"id": 4, "name": "Ben"}));
        assert_eq!(told[2], json!({"say": "refused", "why": "not_host", "reason": "no"}));
    }
}
