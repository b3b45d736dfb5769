//! Rooms in words for people.

use proto::room::{Going, Line, Member, OwnCopy, Reaction, What, Words};

use super::Room;
use crate::progress::clock;

/// A position as a clock shows it.
#[must_use]
pub fn position(us: i64) -> String {
    clock(us as f64 / 1e6)
}

/// A line; `opened` is what a sealed one says, where it could be opened.
#[must_use]
pub fn line(line: &Line, opened: Option<&str>) -> String {
    let who = &line.who;
    match &line.what {
        What::Said(Words::Plain(text)) => format!("{who}: {text}"),
        What::Said(Words::Sealed(_)) => {
            format!("{who}: {}", opened.unwrap_or("(sealed with another passphrase)"))
        }
        What::Said(Words::Reaction(reaction)) => format!("{who} {}", reacts(*reaction)),
        What::Joined => format!("{who} joined"),
        What::Left => format!("{who} left"),
        What::Played => format!("{who} let it play"),
        What::Paused => format!("{who} paused at {}", position(line.position_us)),
        What::Sought(us) => format!("{who} went to {}", position(*us)),
        What::Speed(permille) => format!("{who} set the speed to {}x", speed(*permille)),
        What::Awaited => format!("waiting for {who}"),
        What::LeftBehind => format!("going on without {who}, who catches up"),
        What::Asks => format!("{who} asks to be host (the host: /hand {who} or /deny {who})"),
        What::Hosts => format!("{who} is host now"),
        What::Removed => format!("{who} was sent out"),
    }
}

fn reacts(reaction: Reaction) -> &'static str {
    match reaction {
        Reaction::Like => "likes it",
        Reaction::Love => "loves it",
        Reaction::Laugh => "laughs",
        Reaction::Wow => "is amazed",
        Reaction::Sad => "is sad",
        Reaction::Clap => "applauds",
    }
}

/// A speed as people write it.
#[must_use]
pub fn speed(permille: u16) -> f64 {
    f64::from(permille) / 1000.0
}

/// What is said when one is in.
#[must_use]
pub fn welcome(room: &Room) -> String {
    format!("you are in room {}, watching '{}'", room.code, room.stream)
}

/// What others type to come in.
#[must_use]
pub fn invitation(room: &Room, address: &str) -> String {
    let pin = if room.pin { " --pin PIN" } else { "" };
    let secret = if room.settings.secret.is_some() { " --secret PASSPHRASE" } else { "" };
    format!("client --connect {address} --room {}{pin}{secret} --name NAME", room.code)
}

/// What is said of one's own copy of the film.
#[must_use]
pub fn copy(copy: OwnCopy) -> Option<&'static str> {
    match copy {
        OwnCopy::Stream | OwnCopy::Same => None,
        OwnCopy::Other => Some(
            "your copy has the same length as the room's, but other content: it may be another encoding",
        ),
        OwnCopy::OtherCut => Some(
            "your copy has another length than the room's: it is another cut, scenes will not match",
        ),
    }
}

/// Who is there and how it goes for them, one a line.
#[must_use]
pub fn members(room: &Room) -> Vec<String> {
    room.members.members.iter().map(|one| member(room, one)).collect()
}

fn member(room: &Room, member: &Member) -> String {
    let mut words = member.name.clone();
    if member.id == room.you {
        words += " (you)";
    }
    if member.id == room.members.host {
        words += ", host";
    }
    if !member.here {
        return words + ", away";
    }
    if let Some(report) = member.report {
        let ms = f64::from(report.off_us) / 1000.0;
        words += &format!(", {ms:+.1} ms, buffer {} s", report.buffered_us / 1_000_000);
    }
    if member.awaited {
        words += if room.timelines.newest().going == Going::Waiting {
            ", waited for"
        } else {
            ", catching up"
        };
    }
    if member.asks {
        words += ", asks to be host";
    }
    words
}

#[cfg(test)]
mod tests {
    use proto::room::Report;
    use proto::time::Stamp;

    use super::*;
    use crate::room::tests::room;

    #[test]
    fn what_was_done_is_a_sentence() {
        let say = |what| {
            let (number, position_us, at_us) = (1, 723_000_000, Stamp(0));
            line(&Line { number, position_us, at_us, who: "Ana".into(), what }, None)
        };
        assert_eq!(say(What::Paused), "Ana paused at 12:03");
        assert_eq!(say(What::Sought(3_600_000_000)), "Ana went to 1:00:00");
        assert_eq!(say(What::Speed(1250)), "Ana set the speed to 1.25x");
        assert_eq!(say(What::Said(Words::Plain("hi".into()))), "Ana: hi");
        assert_eq!(say(What::Said(Words::Reaction(Reaction::Clap))), "Ana applauds");
    }

    #[test]
    fn members_are_told_with_how_it_goes() {
        let mut room = room();
        let (epoch, ready, round_trip_us, needs_us) = (1, true, 900, 0);
        let (buffered_us, off_us) = (30_500_000, -1_234);
        let report = Report { epoch, ready, buffered_us, off_us, round_trip_us, needs_us };
        room.members.members[0].report = Some(report);
        room.members.members[1].awaited = true;
        room.members.members[2].here = false;
        assert_eq!(
            members(&room),
            ["Ana (you), host, -1.2 ms, buffer 30 s", "Ben, waited for", "ben, away"]
        );
        assert_eq!(room.awaited(), ["Ben"]);
    }
}
