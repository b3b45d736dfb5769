//! Whatever members do, in whatever order: what always holds.

use proptest::prelude::*;
use proto::room::{Remote, RoomAct};

use super::*;

#[derive(Clone, Debug)]
enum Deed {
    Enter,
    /// With a token of somebody who was in.
    Return(usize),
    Gone(usize),
    Leave(usize),
    Report(usize, bool, bool, u32),
    Remote(usize, Remote),
    Say(usize),
    Act(usize, RoomAct),
    Wait(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let who = 0..8usize;
    let id = 0..12u32;
    let remote = prop_oneof![
        Just(Remote::Play),
        Just(Remote::Pause),
        (-1..FILM_S * 2).prop_map(|s| Remote::Seek(s * S)),
        (500..=2000u16).prop_map(Remote::Speed),
    ];
    let act = prop_oneof![
        Just(RoomAct::Ask),
        Just(RoomAct::TakeBack),
        id.clone().prop_map(RoomAct::Hand),
        id.clone().prop_map(RoomAct::Deny),
        id.clone().prop_map(RoomAct::Admit),
        id.clone().prop_map(RoomAct::TurnAway),
        id.clone().prop_map(RoomAct::Kick),
        id.prop_map(RoomAct::Ban),
    ];
    prop_oneof![
        3 => Just(Deed::Enter),
        1 => who.clone().prop_map(Deed::Return),
        1 => who.clone().prop_map(Deed::Gone),
        1 => who.clone().prop_map(Deed::Leave),
        8 => (who.clone(), any::<bool>(), any::<bool>(), any::<u32>())
            .prop_map(|(who, ready, current, number)| Deed::Report(who, ready, current, number)),
        4 => (who.clone(), remote).prop_map(|(who, remote)| Deed::Remote(who, remote)),
        2 => who.clone().prop_map(Deed::Say),
        3 => (who, act).prop_map(|(who, act)| Deed::Act(who, act)),
        4 => prop_oneof![0..5 * S, 0..700 * S].prop_map(Deed::Wait),
    ]
}

fn does(stage: &mut Stage, deed: Deed) {
    let seat = |who: usize, stage: &Stage| stage.seats.saturating_sub(who as u64);
    match deed {
        Deed::Enter => drop(stage.enter_as(|_| {})),
        Deed::Return(who) => {
            let token = RoomToken([seat(who, stage) as u8; 16]);
            stage.enter_as(|enter| (enter.proven, enter.ask.token) = (false, Some(token)));
        }
        Deed::Gone(who) => stage.input(Input::Gone(seat(who, stage))),
        Deed::Leave(who) => stage.says(seat(who, stage), Message::LeaveRoom),
        Deed::Report(who, ready, current, number) => {
            let epoch = stage.timeline().epoch - u64::from(!current);
            stage.reports(seat(who, stage), |report| {
                (report.ready, report.epoch) = (ready, epoch);
                (report.needs_us, report.round_trip_us) = (number, number / 1_000);
            });
        }
        Deed::Remote(who, remote) => stage.says(seat(who, stage), Message::Remote(remote)),
        Deed::Say(who) => stage.words(seat(who, stage), "words"),
        Deed::Act(who, act) => stage.says(seat(who, stage), Message::RoomAct(act)),
        Deed::Wait(us) => stage.wait_us(us),
    }
}

/// What holds after every deed. That nothing is due at once again, that nobody is told anything after
/// its last word, and that there is one last word, the stage itself asserts.
fn holds(stage: &Stage, before: Timeline) {
    let room = &stage.room;
    let timeline = room.timeline;
    assert!(timeline.epoch >= before.epoch && timeline.anchor_us >= before.anchor_us);
    assert!((0..=FILM_S * S).contains(&timeline.position_us));
    if timeline != before {
        assert!(timeline.epoch > before.epoch);
        let latest = stage.now.plus_us(S).max(before.anchor_us);
        assert!(timeline.anchor_us <= latest, "bounded");
    }
    assert!(room.members.len() <= 5);
    let ids: Vec<u32> = room.members.iter().map(|member| member.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "in the order they came, each once");
    assert!(ids.is_empty() || ids.contains(&room.host), "somebody is host");
    let lines = &room.lines.kept;
    assert!(lines.iter().zip(1..).all(|(line, number)| line.number == number));
    // What goes over the wire is within its bounds.
    for message in stage.told.values().flatten().chain(stage.dismissed.values()) {
        let bytes = message.encode().slice(proto::frame::LENGTH_PREFIX..);
        assert!(Message::decode(bytes).is_ok(), "{message:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_always_holds(
        live in any::<bool>(),
        approve in any::<bool>(),
        deeds in prop::collection::vec(deed(), 1..120),
    ) {
        let settings = RoomSettings { approve, ..RoomSettings::default() };
        let film = about(settings.clone()).film.filter(|_| !live);
        let mut stage = Stage::of(About { film, ..about(settings) }, 5);
        for deed in deeds {
            let before = stage.timeline();
            stage.told.clear();
            does(&mut stage, deed);
            holds(&stage, before);
            if stage.over {
                break;
            }
        }
        // What is kept is all of it.
        let kept = stage.room.kept();
        let again = Room::restore(kept.clone(), 5, stage.now).kept();
        assert_eq!((again.members, again.lines, again.bans), (kept.members, kept.lines, kept.bans));
    }
}
