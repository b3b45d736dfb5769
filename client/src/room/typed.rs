//! What a person in a room types: chat, or a command for the room.

use proto::limits;
use proto::room::{Reaction, Remote, RoomAct};

use super::Room;
use crate::progress::parse_clock;

/// What was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Something for the others.
    Say(String),
    /// A sign for the others.
    React(Reaction),
    /// A command for the room.
    Act(RoomAct),
    /// The remote control.
    Remote(Remote),
    /// Who is there?
    Members,
    /// To leave.
    Leave,
    /// What can be typed?
    Help,
}

/// What can be typed.
pub const HELP: [&str; 7] = [
    "a line is said to the others where the film is; // begins one with a slash",
    "/like /love /laugh /wow /sad /clap: a sign for the others",
    "/play, /pause, /seek TIME, /speed 0.5 to 2: the remote control, for all",
    "/members: who is there; /leave: leave the room",
    "/ask: ask to be host; /takeback: the maker of the room is host again",
    "host: /hand NAME, /deny NAME (who asks to be host); /admit NAME, /refuse NAME (who knocks)",
    "host: /kick NAME, /ban NAME, /close (the room, for all)",
];

/// Understands a line in this room; the error is a sentence.
pub fn parse(text: &str, room: &Room) -> Result<Option<Typed>, String> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    let Some(command) = text.strip_prefix('/') else { return say(text) };
    if command.starts_with('/') {
        return say(command);
    }
    let (word, name) = command.split_once(' ').unwrap_or((command, ""));
    let name = name.trim();
    let member = || {
        let found = room.member(name).map(|member| member.id);
        found.ok_or_else(|| nobody(word, name, "in the room"))
    };
    let knock = || {
        let found = room.knock(name).map(|knock| knock.id);
        found.ok_or_else(|| nobody(word, name, "before the door"))
    };
    Ok(Some(match word {
        "like" => Typed::React(Reaction::Like),
        "love" => Typed::React(Reaction::Love),
        "laugh" => Typed::React(Reaction::Laugh),
        "wow" => Typed::React(Reaction::Wow),
        "sad" => Typed::React(Reaction::Sad),
        "clap" => Typed::React(Reaction::Clap),
        "play" => Typed::Remote(Remote::Play),
        "pause" => Typed::Remote(Remote::Pause),
        "seek" => Typed::Remote(Remote::Seek(parse_clock(name)?)),
        "speed" => Typed::Remote(Remote::Speed(speed(name)?)),
        "members" => Typed::Members,
        "leave" => Typed::Leave,
        "help" => Typed::Help,
        "ask" => Typed::Act(RoomAct::Ask),
        "takeback" => Typed::Act(RoomAct::TakeBack),
        "close" => Typed::Act(RoomAct::Close),
        "hand" => Typed::Act(RoomAct::Hand(member()?)),
        "deny" => Typed::Act(RoomAct::Deny(member()?)),
        "kick" => Typed::Act(RoomAct::Kick(member()?)),
        "ban" => Typed::Act(RoomAct::Ban(member()?)),
        "admit" => Typed::Act(RoomAct::Admit(knock()?)),
        "refuse" => Typed::Act(RoomAct::TurnAway(knock()?)),
        _ => return Err(format!("there is no command /{word}: /help says which there are")),
    }))
}

fn speed(text: &str) -> Result<u16, String> {
    let permille =
        text.trim_end_matches('x').parse::<f64>().map_or(0, |speed| (speed * 1e3) as u16);
    let fits = limits::SPEED.contains(&permille);
    fits.then_some(permille).ok_or_else(|| "a speed is 0.5 to 2".to_owned())
}

fn say(text: &str) -> Result<Option<Typed>, String> {
    if text.len() > limits::TEXT {
        return Err(format!("a line has at most {} bytes", limits::TEXT));
    }
    Ok((!text.is_empty()).then(|| Typed::Say(text.to_owned())))
}

fn nobody(word: &str, name: &str, place: &str) -> String {
    if name.is_empty() {
        format!("say who: /{word} NAME")
    } else {
        format!("nobody {place} is called '{name}'")
    }
}

#[cfg(test)]
mod tests {
    use proto::room::Knock;

    use super::*;
    use crate::room::tests::room;

    #[test]
    fn lines_are_said_and_commands_understood() {
        let mut room = room();
        room.knocks = vec![Knock { id: 9, name: "Dora Maar".into() }];
        let typed = |text: &str| parse(text, &room).expect(text);
        assert_eq!(typed("  hello\tyou\u{7} "), Some(Typed::Say("hello you".into())));
        assert_eq!(typed("//slash"), Some(Typed::Say("/slash".into())));
        assert_eq!(typed("   "), None);
        assert_eq!(typed("/kick ana"), Some(Typed::Act(RoomAct::Kick(1))));
        assert_eq!(typed("/admit dora maar"), Some(Typed::Act(RoomAct::Admit(9))));
        assert_eq!(typed("/clap"), Some(Typed::React(Reaction::Clap)));
        assert_eq!(typed("/seek 1:30"), Some(Typed::Remote(Remote::Seek(90_000_000))));
        assert_eq!(typed("/speed 1.25x"), Some(Typed::Remote(Remote::Speed(1250))));
        for wrong in ["/seek", "/speed 3", "/speed -1", "/speed NaN"] {
            assert!(parse(wrong, &room).is_err(), "{wrong}");
        }
        for wrong in ["/kick", "/kick Carl", "/admit Ana", "/dance", "/", &"x".repeat(513)] {
            assert!(parse(wrong, &room).is_err(), "{wrong}");
        }
    }
}
