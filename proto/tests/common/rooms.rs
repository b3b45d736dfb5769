//! What is said in rooms: golden examples, and a strategy for all of it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proto::room::*;
use proto::time::Stamp;
use proto::{Message, limits};

use super::{ID, NOON, name, stamp, text};

fn code() -> RoomCode {
    "K7QM2XWP4A".parse().expect("a code")
}

fn timeline() -> Timeline {
    Timeline {
        epoch: 12,
        anchor_us: Stamp(NOON + 100_000),
        position_us: 723_000_000,
        speed_permille: 1000,
        going: Going::Playing,
        delay_us: 0,
    }
}

fn sealed() -> Sealed {
    Sealed { nonce: *b"012345678901234567890123", bytes: vec![0xc0, 0xde].into() }
}

fn report() -> Report {
    Report {
        epoch: 12,
        ready: true,
        buffered_us: 30_000_000,
        off_us: -700,
        round_trip_us: 900,
        needs_us: 250_000,
    }
}

fn member(id: u32, name: &str, report: Option<Report>) -> Member {
    let copy = if id == 1 { OwnCopy::Stream } else { OwnCopy::OtherCut };
    Member {
        id,
        name: name.into(),
        here: report.is_some(),
        asks: id == 2,
        awaited: false,
        copy,
        report,
    }
}

fn line(number: u64, what: What) -> Line {
    Line { number, position_us: 723_000_000, at_us: Stamp(NOON), who: "Ana".into(), what }
}

pub(super) fn golden() -> Vec<(&'static str, Message)> {
    let secret = Secret { salt: *b"0123456789abcdef", check: sealed() };
    let settings =
        RoomSettings { control: Control::Host, approve: true, private: true, secret: Some(secret) };
    let film = Film { id: ID, duration_us: 5_400_000_000 };
    let token = RoomToken(*b"fedcba9876543210");
    let room = RoomLine {
        code: code(),
        stream: "movie".into(),
        pin: true,
        approve: false,
        members: vec!["Ana".into(), "Ben".into()],
        timeline: timeline(),
    };
    vec![
        ("25-list-rooms", Message::ListRooms),
        ("26-rooms", Message::Rooms(vec![room])),
        (
            "27-create-room",
            Message::CreateRoom(CreateRoom {
                stream: Some("movie".into()),
                name: "Ana".into(),
                pin: Some("4711".into()),
                settings: settings.clone(),
                film: None,
            }),
        ),
        (
            "27-create-room-plain",
            Message::CreateRoom(CreateRoom {
                stream: None,
                name: "Ana".into(),
                pin: None,
                settings: RoomSettings::default(),
                film: Some(film),
            }),
        ),
        (
            "28-enter-room",
            Message::EnterRoom(EnterRoom {
                code: code(),
                name: "Ben".into(),
                pin: Some("4711".into()),
                token: None,
                film: Some(film),
            }),
        ),
        (
            "28-enter-room-again",
            Message::EnterRoom(EnterRoom {
                code: code(),
                name: "Ben".into(),
                pin: None,
                token: Some(token),
                film: None,
            }),
        ),
        ("29-leave-room", Message::LeaveRoom),
        ("30-knocking", Message::Knocking),
        (
            "31-entered",
            Message::Entered(Entered {
                code: code(),
                stream: "movie".into(),
                settings,
                pin: true,
                you: 2,
                token,
                timeline: timeline(),
                copy: OwnCopy::Same,
            }),
        ),
        (
            "32-refused",
            Message::Refused(Refused {
                why: Refusal::WrongPin,
                reason: "that is not the PIN".into(),
            }),
        ),
        ("33-timeline", Message::Timeline(timeline())),
        (
            "34-members",
            Message::Members(Members {
                host: 1,
                owner: 1,
                members: vec![member(1, "Ana", Some(report())), member(2, "Ben", None)],
            }),
        ),
        (
            "35-lines",
            Message::Lines(vec![
                line(1, What::Said(Words::Plain("look at that".into()))),
                line(2, What::Said(Words::Sealed(sealed()))),
                line(3, What::Said(Words::Reaction(Reaction::Laugh))),
                line(4, What::Sought(60_000_000)),
                line(5, What::Removed),
            ]),
        ),
        ("36-remote", Message::Remote(Remote::Seek(60_000_000))),
        ("37-report", Message::Report(report())),
        (
            "38-say",
            Message::Say(Say {
                position_us: 723_000_000,
                words: Words::Plain("look at that".into()),
            }),
        ),
        ("39-room-act", Message::RoomAct(RoomAct::Hand(2))),
        ("40-knocks", Message::Knocks(vec![Knock { id: 1, name: "Eve".into() }])),
        (
            "41-left-room",
            Message::LeftRoom(LeftRoom { for_good: true, reason: "Ana closed the room".into() }),
        ),
    ]
}

fn any_code() -> impl Strategy<Value = RoomCode> {
    any::<[u8; 10]>().prop_map(RoomCode::from_random)
}

fn time() -> impl Strategy<Value = i64> {
    -limits::RECORDING_US..=limits::RECORDING_US
}

fn who() -> impl Strategy<Value = String> {
    name().prop_filter("a member's name", |name| is_valid_member(name))
}

fn pin() -> impl Strategy<Value = Option<String>> {
    option::of("[0-9a-z]{4,64}")
}

fn any_sealed() -> impl Strategy<Value = Sealed> {
    (any::<[u8; 24]>(), vec(any::<u8>(), 0..=limits::SEALED))
        .prop_map(|(nonce, bytes)| Sealed { nonce, bytes: bytes.into() })
}

fn any_settings() -> impl Strategy<Value = RoomSettings> {
    let secret = (any::<[u8; 16]>(), any_sealed()).prop_map(|(salt, check)| Secret { salt, check });
    let control = prop_oneof![Just(Control::Everyone), Just(Control::Host)];
    (control, any::<bool>(), any::<bool>(), option::of(secret)).prop_map(
        |(control, approve, private, secret)| RoomSettings { control, approve, private, secret },
    )
}

fn any_film() -> impl Strategy<Value = Option<Film>> {
    option::of(
        (super::any_id(), any::<u64>()).prop_map(|(id, duration_us)| Film { id, duration_us }),
    )
}

fn any_token() -> impl Strategy<Value = RoomToken> {
    any::<[u8; 16]>().prop_map(RoomToken)
}

fn any_copy() -> impl Strategy<Value = OwnCopy> {
    prop_oneof![
        Just(OwnCopy::Stream),
        Just(OwnCopy::Same),
        Just(OwnCopy::Other),
        Just(OwnCopy::OtherCut)
    ]
}

fn any_timeline() -> impl Strategy<Value = Timeline> {
    let going = prop_oneof![Just(Going::Playing), Just(Going::Paused), Just(Going::Waiting)];
    let delay = 0..=limits::ROOM_DELAY_US as u32;
    (any::<u64>(), stamp(), time(), limits::SPEED, going, delay).prop_map(
        |(epoch, anchor_us, position_us, speed_permille, going, delay_us)| Timeline {
            epoch,
            anchor_us,
            position_us,
            speed_permille,
            going,
            delay_us,
        },
    )
}

fn any_report() -> impl Strategy<Value = Report> {
    (any::<u64>(), any::<bool>(), any::<u32>(), any::<i32>(), any::<u32>(), any::<u32>()).prop_map(
        |(epoch, ready, buffered_us, off_us, round_trip_us, needs_us)| Report {
            epoch,
            ready,
            buffered_us,
            off_us,
            round_trip_us,
            needs_us,
        },
    )
}

fn any_member() -> impl Strategy<Value = Member> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (any::<u32>(), who(), flags, any_copy(), option::of(any_report())).prop_map(
        |(id, name, (here, asks, awaited), copy, report)| Member {
            id,
            name,
            here,
            asks,
            awaited,
            copy,
            report,
        },
    )
}

fn any_words() -> impl Strategy<Value = Words> {
    let reaction = prop_oneof![
        Just(Reaction::Like),
        Just(Reaction::Love),
        Just(Reaction::Laugh),
        Just(Reaction::Wow),
        Just(Reaction::Sad),
        Just(Reaction::Clap)
    ];
    prop_oneof![
        "\\PC{1,120}".prop_map(Words::Plain),
        any_sealed().prop_map(Words::Sealed),
        reaction.prop_map(Words::Reaction)
    ]
}

fn any_line() -> impl Strategy<Value = Line> {
    let what = prop_oneof![
        any_words().prop_map(What::Said),
        Just(What::Joined),
        Just(What::Left),
        Just(What::Played),
        Just(What::Paused),
        time().prop_map(What::Sought),
        limits::SPEED.prop_map(What::Speed),
        Just(What::Awaited),
        Just(What::LeftBehind),
        Just(What::Asks),
        Just(What::Hosts),
        Just(What::Removed),
    ];
    (any::<u64>(), time(), stamp(), who(), what).prop_map(
        |(number, position_us, at_us, who, what)| Line { number, position_us, at_us, who, what },
    )
}

fn any_room() -> impl Strategy<Value = RoomLine> {
    let door = (any::<bool>(), any::<bool>());
    (any_code(), name(), door, vec(who(), 0..8), any_timeline()).prop_map(
        |(code, stream, (pin, approve), members, timeline)| RoomLine {
            code,
            stream,
            pin,
            approve,
            members,
            timeline,
        },
    )
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::NoRooms),
        Just(Refusal::UnknownRoom),
        Just(Refusal::WrongPin),
        Just(Refusal::TooManyTries),
        Just(Refusal::Full),
        Just(Refusal::NameTaken),
        Just(Refusal::NotLetIn),
        Just(Refusal::NoSuchStream),
        Just(Refusal::TooManyRooms),
        Just(Refusal::NotHost),
        Just(Refusal::TooFast),
        Just(Refusal::Live),
        Just(Refusal::NotThere),
    ]
}

fn any_act() -> impl Strategy<Value = RoomAct> {
    prop_oneof![
        Just(RoomAct::Ask),
        Just(RoomAct::TakeBack),
        any::<u32>().prop_map(RoomAct::Hand),
        any::<u32>().prop_map(RoomAct::Deny),
        any::<u32>().prop_map(RoomAct::Admit),
        any::<u32>().prop_map(RoomAct::TurnAway),
        any::<u32>().prop_map(RoomAct::Kick),
        any::<u32>().prop_map(RoomAct::Ban),
        Just(RoomAct::Close),
    ]
}

/// Everything that may be said about rooms and in them.
pub(super) fn any_message() -> BoxedStrategy<Message> {
    let remote = prop_oneof![
        Just(Remote::Play),
        Just(Remote::Pause),
        time().prop_map(Remote::Seek),
        limits::SPEED.prop_map(Remote::Speed)
    ];
    prop_oneof![
        Just(Message::ListRooms),
        vec(any_room(), 0..8).prop_map(Message::Rooms),
        (option::of(text()), who(), pin(), any_settings(), any_film()).prop_map(
            |(stream, name, pin, settings, film)| {
                Message::CreateRoom(CreateRoom { stream, name, pin, settings, film })
            }
        ),
        (any_code(), who(), pin(), option::of(any_token()), any_film()).prop_map(
            |(code, name, pin, token, film)| {
                Message::EnterRoom(EnterRoom { code, name, pin, token, film })
            }
        ),
        Just(Message::LeaveRoom),
        Just(Message::Knocking),
        (
            (any_code(), name(), any_settings(), any::<bool>()),
            (any::<u32>(), any_token(), any_timeline(), any_copy())
        )
            .prop_map(|((code, stream, settings, pin), (you, token, timeline, copy))| {
                let entered = Entered { code, stream, settings, pin, you, token, timeline, copy };
                Message::Entered(entered)
            }),
        (any_refusal(), text()).prop_map(|(why, reason)| Message::Refused(Refused { why, reason })),
        any_timeline().prop_map(Message::Timeline),
        (any::<u32>(), any::<u32>(), vec(any_member(), 0..8))
            .prop_map(|(host, owner, members)| Message::Members(Members { host, owner, members })),
        vec(any_line(), 0..8).prop_map(Message::Lines),
        remote.prop_map(Message::Remote),
        any_report().prop_map(Message::Report),
        (time(), any_words())
            .prop_map(|(position_us, words)| Message::Say(Say { position_us, words })),
        any_act().prop_map(Message::RoomAct),
        vec((any::<u32>(), who()).prop_map(|(id, name)| Knock { id, name }), 0..8)
            .prop_map(Message::Knocks),
        (any::<bool>(), text())
            .prop_map(|(for_good, reason)| Message::LeftRoom(LeftRoom { for_good, reason })),
    ]
    .boxed()
}
