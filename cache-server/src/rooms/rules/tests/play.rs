use proto::room::{Control, Remote};

use super::*;

/// Two members, and it plays.
fn playing() -> (Stage, SeatId, SeatId) {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.ready(ana, true);
    stage.ready(ben, true);
    assert_eq!(stage.going(), Going::Playing);
    stage.wait_us(S);
    (stage, ana, ben)
}

#[test]
fn all_start_together_when_all_are_ready() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    assert_eq!(stage.going(), Going::Waiting);
    stage.ready(ana, true);
    assert_eq!(stage.going(), Going::Waiting, "one is not ready");
    let members = stage.room.whos_there();
    let awaited: Vec<bool> = members.members.iter().map(|member| member.awaited).collect();
    assert_eq!(awaited, [false, true]);
    stage.ready(ben, true);
    let timeline = stage.timeline();
    assert_eq!(timeline.going, Going::Playing);
    assert!(timeline.anchor_us >= stage.now.plus_us(100_000), "in time for all");
    for seat in [ana, ben] {
        assert!(stage.told[&seat].contains(&Message::Timeline(timeline)));
    }
}

#[test]
fn who_is_not_ready_in_three_seconds_is_left_behind() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.ready(ana, true);
    stage.ready(ben, false);
    stage.wait_us(2_999_999);
    assert_eq!(stage.going(), Going::Waiting);
    stage.wait_us(1);
    assert_eq!(stage.going(), Going::Playing);
    let last = stage.lines(ana).pop().expect("a line");
    assert_eq!((last.who.as_str(), last.what), ("Ben", What::LeftBehind));
    // It is not waited for until it has caught up.
    stage.wait_us(S);
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Playing);
    // A seek gives it another chance.
    stage.says(ana, Message::Remote(Remote::Seek(60 * S)));
    stage.ready(ana, true);
    assert_eq!(stage.going(), Going::Waiting);
    stage.ready(ben, true);
    assert_eq!(stage.going(), Going::Playing);
}

#[test]
fn nothing_starts_as_long_as_nobody_is_ready() {
    let mut stage = Stage::new();
    let (ana, _ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.wait_us(10 * S);
    assert_eq!(stage.going(), Going::Waiting);
    stage.ready(ana, true);
    assert_eq!(stage.going(), Going::Waiting, "Ben may be as far");
    stage.wait_us(S);
    assert_eq!(stage.going(), Going::Playing);
}

#[test]
fn pause_and_play_are_where_the_film_is_at_the_anchor() {
    let (mut stage, ana, ben) = playing();
    let before = stage.timeline();
    stage.says(ana, Message::Remote(Remote::Pause));
    let paused = stage.timeline();
    assert_eq!(paused.going, Going::Paused);
    assert_eq!(paused.epoch, before.epoch + 1);
    assert_eq!(paused.position_us, before.position_us(paused.anchor_us), "nobody jumps");
    stage.wait_us(10 * S);
    stage.says(ben, Message::Remote(Remote::Play));
    let timeline = stage.timeline();
    assert_eq!((timeline.going, timeline.position_us), (Going::Playing, paused.position_us));
    assert!(timeline.anchor_us > stage.now, "without waiting: all were ready");
    stage.says(ben, Message::Remote(Remote::Play));
    assert_eq!(stage.timeline(), timeline, "it plays already");
}

#[test]
fn speed_changes_without_a_jump() {
    let (mut stage, ana, _) = playing();
    let before = stage.timeline();
    stage.says(ana, Message::Remote(Remote::Speed(1500)));
    let timeline = stage.timeline();
    assert_eq!(timeline.position_us, before.position_us(timeline.anchor_us));
    assert_eq!((timeline.going, timeline.speed_permille), (Going::Playing, 1500));
    stage.wait_us(2 * S);
    let at = stage.timeline().anchor_us.plus_us(S);
    assert_eq!(stage.room.shown(at), timeline.position_us + 1_500_000);
}

#[test]
fn a_seek_waits_for_those_who_were_ready_elsewhere() {
    let (mut stage, ana, ben) = playing();
    let old = stage.timeline().epoch;
    stage.says(ana, Message::Remote(Remote::Seek(FILM_S * S * 2)));
    let timeline = stage.timeline();
    assert_eq!((timeline.going, timeline.position_us), (Going::Waiting, FILM_S * S));
    stage.ready(ana, true);
    stage.reports(ben, |report| report.epoch = old);
    assert_eq!(stage.going(), Going::Waiting, "that was before the seek");
    // While it is paused, it stays so.
    stage.says(ana, Message::Remote(Remote::Pause));
    stage.says(ana, Message::Remote(Remote::Seek(5 * S)));
    assert_eq!(stage.going(), Going::Paused);
    stage.wait_us(S);
    stage.says(ana, Message::Remote(Remote::Play));
    assert_eq!(stage.going(), Going::Waiting, "nobody said to be ready there");
    stage.ready(ana, true);
    stage.ready(ben, true);
    assert_eq!((stage.going(), stage.timeline().position_us), (Going::Playing, 5 * S));
}

#[test]
fn a_stall_stops_the_room_once_a_minute() {
    let (mut stage, ana, ben) = playing();
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Waiting);
    assert_eq!(stage.happened(&What::Awaited), 1);
    stage.wait_us(S);
    stage.ready(ben, true);
    assert_eq!(stage.going(), Going::Playing);
    stage.wait_us(S);
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Playing, "that was less than a minute ago");
    assert_eq!(stage.happened(&What::LeftBehind), 1);
    stage.ready(ben, true);
    for _ in 0..60 {
        stage.wait_us(S);
        stage.ready(ana, true);
        stage.ready(ben, true);
    }
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Waiting);
}

#[test]
fn who_is_not_ready_when_it_begins_is_waited_for_as_well() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.ready(ana, true);
    stage.ready(ben, true);
    // Before the anchor.
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Playing);
    stage.wait_us(S);
    stage.ready(ben, false);
    assert_eq!(stage.going(), Going::Waiting);
}

#[test]
fn who_comes_late_does_not_stop_the_others() {
    let (mut stage, _, _) = playing();
    let eva = stage.enter("Eva");
    stage.ready(eva, false);
    assert_eq!(stage.going(), Going::Playing);
    stage.ready(eva, true);
    stage.wait_us(S);
    stage.ready(eva, false);
    assert_eq!(stage.going(), Going::Waiting, "now it is one of them");
}

#[test]
fn the_worst_round_trip_decides_when_it_takes_effect() {
    let (mut stage, ana, ben) = playing();
    stage.reports(ben, |report| report.round_trip_us = 200_000);
    stage.says(ana, Message::Remote(Remote::Pause));
    assert_eq!(stage.timeline().anchor_us, stage.now.plus_us(300_000));
    stage.reports(ben, |report| report.round_trip_us = 10_000);
    stage.says(ana, Message::Remote(Remote::Play));
    assert_eq!(stage.timeline().anchor_us, stage.now.plus_us(300_000), "never before the last");
    stage.wait_us(S);
    stage.reports(ben, |report| report.round_trip_us = u32::MAX);
    stage.says(ana, Message::Remote(Remote::Pause));
    assert_eq!(stage.timeline().anchor_us, stage.now.plus_us(S), "bounded");
}

#[test]
fn the_remote_is_for_hosts_where_that_is_agreed_and_not_for_hammering() {
    let mut stage = Stage::with(RoomSettings { control: Control::Host, ..RoomSettings::default() });
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.says(ben, Message::Remote(Remote::Pause));
    assert_eq!(stage.refused(ben), Some(Refusal::NotHost));
    assert_eq!(stage.going(), Going::Waiting);
    stage.says(ana, Message::Remote(Remote::Pause));
    assert_eq!(stage.going(), Going::Paused);
    for n in 0..100 {
        stage.says(ana, Message::Remote(Remote::Seek(n * S)));
    }
    assert_eq!(stage.refused(ana), Some(Refusal::TooFast));
    assert!(stage.timeline().position_us < 25 * S);
}

#[test]
fn the_film_ends_and_begins_anew() {
    let (mut stage, ana, _) = playing();
    stage.wait_us(FILM_S * S);
    let timeline = stage.timeline();
    assert_eq!((timeline.going, timeline.position_us), (Going::Paused, FILM_S * S));
    stage.says(ana, Message::Remote(Remote::Play));
    assert_eq!((stage.going(), stage.timeline().position_us), (Going::Waiting, 0));
}

#[test]
fn a_film_nobody_watches_stands_still() {
    let (mut stage, ana, ben) = playing();
    stage.input(Input::Gone(ana));
    stage.input(Input::Gone(ben));
    stage.wait_us(59 * S);
    assert_eq!(stage.going(), Going::Playing, "they may come back");
    stage.wait_us(2 * S);
    assert_eq!(stage.going(), Going::Paused);
}

#[test]
fn a_room_that_comes_back_goes_on() {
    let (mut stage, ana, ben) = playing();
    stage.words(ana, "hello");
    let token = stage.entered(ben).token;
    let old = stage.timeline();
    let kept = stage.room.kept();
    assert_eq!(kept.lines.len(), stage.room.lines.kept.len());
    stage.wait_us(20 * S);
    let at = stage.now;
    stage.room = Room::restore(kept.clone(), 50, at);
    assert_eq!(stage.room.kept().lines, kept.lines);
    assert!(stage.timeline().epoch > old.epoch);
    assert_eq!(stage.room.shown(at), old.position_us(at), "it played on");
    let again = stage.enter_as(|enter| {
        enter.proven = false;
        enter.ask.token = Some(token);
    });
    assert_eq!(stage.id(again), stage.id(ben));
    let lines = stage.lines(again);
    assert!(lines.iter().zip(1..).all(|(line, number)| line.number == number));
    stage.words(again, "back");
    assert_eq!(stage.lines(again).pop().map(|line| line.number), Some(lines.len() as u64 + 1));
}
