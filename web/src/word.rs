//! What a page says through its WebSocket, as JSON. Described in docs/HTTP.md.

use proto::Message;
use proto::frame::LENGTH_PREFIX;
use proto::message::DecodeError;
use proto::recording::RecordingId;
use proto::room::{
    self, CreateRoom, EnterRoom, Reaction, Remote, RoomAct, RoomCode, RoomSettings, RoomToken, Say,
    Words,
};
use serde::Deserialize;

use crate::form::Sound;
use crate::sealed::{SealedWord, SecretWord};

/// What a page says.
#[derive(Debug, Deserialize)]
#[serde(tag = "say", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Word {
    /// Show me this, and nothing else.
    Watch {
        stream: String,
        #[serde(default)]
        sound: Sound,
    },
    /// What time is it?
    Ping { sent: f64 },
    /// Makes a room.
    Create {
        stream: String,
        name: String,
        pin: Option<String>,
        #[serde(default)]
        control: Control,
        #[serde(default)]
        approve: bool,
        #[serde(default)]
        private: bool,
        secret: Option<SecretWord>,
        film_us: Option<u64>,
    },
    /// Enters one.
    Enter {
        code: String,
        name: String,
        pin: Option<String>,
        token: Option<String>,
        film_us: Option<u64>,
    },
    /// Leaves it.
    Leave,
    /// How it goes.
    Report {
        epoch: u64,
        ready: bool,
        buffered_us: u32,
        off_us: i32,
        round_trip_us: u32,
        #[serde(default)]
        needs_us: u32,
    },
    /// Uses the remote control.
    Remote { deed: Deed, to: Option<i64> },
    /// Says a line.
    Line { position_us: i64, text: String },
    /// Says one that nobody on the way reads.
    Sealed { position_us: i64, sealed: SealedWord },
    /// Sends a sign.
    React { position_us: i64, sign: Sign },
    /// What concerns the host.
    Act { deed: Act, whom: Option<u32> },
}

/// Who may use the remote control.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Control {
    #[default]
    Everyone,
    Host,
}

/// A key of the remote control; the last two say where `to`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deed {
    Play,
    Pause,
    Seek,
    Speed,
}

/// See [`Reaction`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sign {
    Like,
    Love,
    Laugh,
    Wow,
    Sad,
    Clap,
}

/// See [`RoomAct`]; all but three say `whom`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    Ask,
    TakeBack,
    Close,
    Hand,
    Deny,
    Admit,
    TurnAway,
    Kick,
    Ban,
}

/// What a page says of rooms cannot be said on the wire.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Code(#[from] room::BadCode),
    #[error("the token is none")]
    Token,
    #[error("it does not say {0}")]
    Missing(&'static str),
    #[error("what is sealed has to be hexadecimal digits: a nonce of 48, a salt of 32")]
    Sealed,
    #[error(transparent)]
    Bounds(#[from] DecodeError),
}

impl Word {
    /// As it is on the wire, with the wire's bounds; `None` for what is not about rooms.
    pub(crate) fn of_rooms(self) -> Result<Option<Message>, Unfit> {
        let message = match self {
            Self::Watch { .. } | Self::Ping { .. } => return Ok(None),
            Self::Create { stream, name, pin, control, approve, private, secret, film_us } => {
                let control = match control {
                    Control::Everyone => room::Control::Everyone,
                    Control::Host => room::Control::Host,
                };
                let secret =
                    secret.map(|secret| secret.secret().ok_or(Unfit::Sealed)).transpose()?;
                let settings = RoomSettings { control, approve, private, secret };
                let (stream, film) = (Some(stream), film_us.map(film));
                Message::CreateRoom(CreateRoom { stream, name, pin, settings, film })
            }
            Self::Enter { code, name, pin, token, film_us } => {
                let token = token.as_deref().map(parse_token).transpose()?;
                let (code, film) = (code.parse::<RoomCode>()?, film_us.map(film));
                Message::EnterRoom(EnterRoom { code, name, pin, token, film })
            }
            Self::Leave => Message::LeaveRoom,
            Self::Report { epoch, ready, buffered_us, off_us, round_trip_us, needs_us } => {
                Message::Report(room::Report {
                    epoch,
                    ready,
                    buffered_us,
                    off_us,
                    round_trip_us,
                    needs_us,
                })
            }
            Self::Remote { deed, to } => Message::Remote(remote(deed, to)?),
            Self::Line { position_us, text } => {
                Message::Say(Say { position_us, words: Words::Plain(text) })
            }
            Self::Sealed { position_us, sealed } => {
                let sealed = sealed.sealed().ok_or(Unfit::Sealed)?;
                Message::Say(Say { position_us, words: Words::Sealed(sealed) })
            }
            Self::React { position_us, sign } => {
                Message::Say(Say { position_us, words: Words::Reaction(reaction(sign)) })
            }
            Self::Act { deed, whom } => Message::RoomAct(act(deed, whom)?),
        };
        // The wire's bounds, by its own reader.
        Ok(Some(Message::decode(message.encode().slice(LENGTH_PREFIX..))?))
    }
}

/// What a browser can tell of a film: how long it is.
fn film(duration_us: u64) -> room::Film {
    room::Film { id: RecordingId::UNKNOWN, duration_us }
}

fn remote(deed: Deed, to: Option<i64>) -> Result<Remote, Unfit> {
    let whither = || to.ok_or(Unfit::Missing("where to"));
    Ok(match deed {
        Deed::Play => Remote::Play,
        Deed::Pause => Remote::Pause,
        Deed::Seek => Remote::Seek(whither()?),
        // What is no speed at all is refused as out of bounds.
        Deed::Speed => Remote::Speed(u16::try_from(whither()?).unwrap_or(0)),
    })
}

fn reaction(sign: Sign) -> Reaction {
    match sign {
        Sign::Like => Reaction::Like,
        Sign::Love => Reaction::Love,
        Sign::Laugh => Reaction::Laugh,
        Sign::Wow => Reaction::Wow,
        Sign::Sad => Reaction::Sad,
        Sign::Clap => Reaction::Clap,
    }
}

fn act(deed: Act, whom: Option<u32>) -> Result<RoomAct, Unfit> {
    let whom = || whom.ok_or(Unfit::Missing("whom"));
    Ok(match deed {
        Act::Ask => RoomAct::Ask,
        Act::TakeBack => RoomAct::TakeBack,
        Act::Close => RoomAct::Close,
        Act::Hand => RoomAct::Hand(whom()?),
        Act::Deny => RoomAct::Deny(whom()?),
        Act::Admit => RoomAct::Admit(whom()?),
        Act::TurnAway => RoomAct::TurnAway(whom()?),
        Act::Kick => RoomAct::Kick(whom()?),
        Act::Ban => RoomAct::Ban(whom()?),
    })
}

/// Thirty-two hexadecimal digits.
pub(crate) fn token(token: RoomToken) -> String {
    format!("{:032x}", u128::from_be_bytes(token.0))
}

fn parse_token(text: &str) -> Result<RoomToken, Unfit> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    number.map(|number| RoomToken(number.to_be_bytes())).ok_or(Unfit::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> Result<Option<Message>, Unfit> {
        serde_json::from_str::<Word>(json).expect(json).of_rooms()
    }

    #[test]
    fn what_a_page_says_is_what_a_viewer_says() {
        let said = message(
            r#"{"say":"enter","code":"k7xw2-m9qpd","name":"Ana","pin":"4711","film_us":5000000}"#,
        );
        let Ok(Some(Message::EnterRoom(enter))) = said else { panic!("{said:?}") };
        assert_eq!(enter.code.to_string(), "K7XW2M9QPD");
        assert_eq!(enter.film.map(|film| film.duration_us), Some(5_000_000));
        let said = message(r#"{"say":"remote","deed":"seek","to":90000000}"#);
        assert!(matches!(said, Ok(Some(Message::Remote(Remote::Seek(90_000_000))))));
        let said = message(r#"{"say":"act","deed":"turnaway","whom":3}"#);
        assert!(matches!(said, Ok(Some(Message::RoomAct(RoomAct::TurnAway(3))))));
        assert!(matches!(message(r#"{"say":"ping","sent":1}"#), Ok(None)));
    }

    #[test]
    fn what_does_not_fit_is_a_sentence() {
        let long = "x".repeat(600);
        for (said, expected) in [
            (r#"{"say":"enter","code":"O","name":"Ana"}"#.to_owned(), "a room code has 10"),
            (r#"{"say":"create","stream":"f","name":""}"#.into(), "a member's name"),
            (r#"{"say":"create","stream":"f","name":"A","pin":"1"}"#.into(), "a PIN"),
            (r#"{"say":"remote","deed":"seek"}"#.into(), "where to"),
            (r#"{"say":"remote","deed":"speed","to":-5}"#.into(), "a speed"),
            (r#"{"say":"act","deed":"kick"}"#.into(), "whom"),
            (format!(r#"{{"say":"line","position_us":0,"text":"{long}"}}"#), "a line"),
            (r#"{"say":"enter","code":"K7XW2M9QPD","name":"A","token":"+f"}"#.into(), "token"),
            (
                r#"{"say":"sealed","position_us":0,"sealed":{"nonce":"00","bytes":""}}"#.into(),
                "digits",
            ),
        ] {
            let error = message(&said).expect_err(&said).to_string();
            assert!(error.contains(expected), "{said}: {error}");
        }
    }

    #[test]
    fn a_token_comes_back_as_it_was() {
        let proof = RoomToken([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        assert_eq!(parse_token(&token(proof)).expect("a token"), proof);
    }
}
