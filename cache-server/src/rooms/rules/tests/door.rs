use proto::room::{LeftRoom, RoomAct};

use super::*;

fn act(stage: &mut Stage, seat: SeatId, act: RoomAct) {
    stage.wait_us(S);
    stage.says(seat, Message::RoomAct(act));
}

#[test]
fn the_maker_is_host_and_names_are_taken_once() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    assert_eq!((stage.room.host, stage.room.owner), (stage.id(ana), stage.id(ana)));
    let other = stage.enter("ANA");
    assert_eq!(stage.refused(other), Some(Refusal::NameTaken));
    let ben = stage.enter("Ben");
    assert_eq!(stage.room.members.len(), 2);
    assert_eq!(stage.lines(ana).iter().filter(|line| line.what == What::Joined).count(), 2);
    assert_eq!(stage.lines(ben).len(), 2, "history and the own joining, once");
}

#[test]
fn no_more_come_in_than_there_is_room_for() {
    let mut stage = Stage::of(about(RoomSettings::default()), 2);
    let (_, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    let eva = stage.enter("Eva");
    assert_eq!(stage.refused(eva), Some(Refusal::Full));
    stage.says(ben, Message::LeaveRoom);
    let left = Message::LeftRoom(LeftRoom { for_good: false, reason: String::new() });
    assert_eq!(stage.dismissed[&ben], left);
    let eva = stage.enter("Eva");
    assert_eq!(stage.id(eva), 3, "numbers are not given twice");
}

#[test]
fn nobody_comes_and_goes_without_end() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    stage.words(ana, "hello");
    let comes = |stage: &mut Stage| {
        let seat = stage.enter_as(|enter| {
            enter.ask.name = "Ben".to_owned();
            enter.address = std::net::Ipv4Addr::new(192, 0, 2, 200).into();
        });
        let came = stage.refused(seat).is_none();
        if came {
            stage.says(seat, Message::LeaveRoom);
        } else {
            assert_eq!(stage.refused(seat), Some(Refusal::TooFast));
        }
        came
    };
    assert_eq!((0..200).filter(|_| comes(&mut stage)).count(), 60);
    let eva = stage.enter("Eva");
    assert!(stage.refused(eva).is_none(), "others come in");
    stage.wait_us(5 * S);
    assert!(comes(&mut stage) && !comes(&mut stage));
}

#[test]
fn without_the_pin_only_a_token_helps() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    let ben = stage.enter_as(|enter| enter.proven = false);
    assert_eq!(stage.refused(ben), Some(Refusal::WrongPin));
    let token = stage.entered(ana).token;
    assert!(stage.room.knows(token) && !stage.room.knows(RoomToken([99; 16])));
    // The same member from elsewhere takes its place; the old connection is told.
    let again = stage.enter_as(|enter| {
        enter.proven = false;
        enter.ask.token = Some(token);
    });
    assert_eq!(stage.id(again), stage.id(ana));
    assert!(matches!(&stage.dismissed[&ana], Message::LeftRoom(left) if left.for_good));
    assert_eq!(stage.room.members.len(), 1);
}

#[test]
fn who_is_away_comes_back_or_leaves_after_ten_minutes() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    let token = stage.entered(ben).token;
    stage.input(Input::Gone(ben));
    stage.wait_us(599 * S);
    let again = stage.enter_as(|enter| enter.ask.token = Some(token));
    assert_eq!(stage.id(again), stage.id(ben));
    stage.input(Input::Gone(again));
    stage.wait_us(600 * S);
    assert_eq!(stage.room.members.len(), 1);
    assert_eq!(stage.happened(&What::Left), 1);
    assert!(!stage.room.knows(token));
    // With nobody there, nobody leaves: all may come back when they can.
    let token = stage.entered(ana).token;
    stage.input(Input::Gone(ana));
    stage.wait_us(3_600 * S);
    assert!(stage.room.knows(token));
}

#[test]
fn the_role_of_the_host_goes_to_who_has_been_there_longest() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    stage.enter("Eva");
    let token = stage.entered(ana).token;
    stage.input(Input::Gone(ana));
    stage.wait_us(29 * S);
    assert_eq!(stage.host(), "Ana", "may come back");
    stage.wait_us(S);
    assert_eq!(stage.host(), "Ben");
    let ana = stage.enter_as(|enter| enter.ask.token = Some(token));
    act(&mut stage, ana, RoomAct::Kick(1));
    assert_eq!(stage.refused(ana), Some(Refusal::NotHost));
    act(&mut stage, ana, RoomAct::TakeBack);
    assert_eq!(stage.host(), "Ana", "made the room");
    stage.says(ana, Message::LeaveRoom);
    assert_eq!(stage.host(), "Ben");
    act(&mut stage, ben, RoomAct::TakeBack);
    stage.says(ben, Message::LeaveRoom);
    assert_eq!(stage.host(), "Eva");
}

#[test]
fn the_host_hands_over_to_who_asks() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    act(&mut stage, ben, RoomAct::Ask);
    assert!(stage.room.whos_there().members[1].asks);
    let ben_id = stage.id(ben);
    act(&mut stage, ana, RoomAct::Deny(ben_id));
    assert_eq!(stage.refused(ben), Some(Refusal::NotHost), "who asked hears of it");
    assert!(!stage.room.whos_there().members[1].asks);
    act(&mut stage, ana, RoomAct::Deny(ben_id));
    assert_eq!(stage.refused(ana), Some(Refusal::NotThere), "does not ask any more");
    act(&mut stage, ben, RoomAct::Ask);
    act(&mut stage, ana, RoomAct::Hand(ben_id));
    assert_eq!(stage.host(), "Ben");
    assert!(!stage.room.whos_there().members[1].asks);
    act(&mut stage, ben, RoomAct::TakeBack);
    assert_eq!(stage.refused(ben), Some(Refusal::NotHost), "did not make the room");
}

#[test]
fn the_host_opens_or_does_not() {
    let settings = RoomSettings { approve: true, ..RoomSettings::default() };
    let mut stage = Stage::with(settings);
    let ana = stage.enter("Ana");
    let (ben, eva) = (stage.enter("Ben"), stage.enter("Eva"));
    assert_eq!(stage.told[&ben], [Message::Knocking]);
    let knocks = |stage: &Stage| {
        let told = stage.told[&ana].iter().filter_map(|message| match message {
            Message::Knocks(knocks) => Some(knocks.clone()),
            _ => None,
        });
        told.last().expect("told")
    };
    let there = knocks(&stage);
    assert_eq!(there.iter().map(|knock| knock.name.as_str()).collect::<Vec<_>>(), ["Ben", "Eva"]);
    stage.words(ben, "let me in");
    assert_eq!(stage.happened(&What::Said(Words::Plain("let me in".into()))), 0);
    act(&mut stage, ana, RoomAct::Admit(there[0].id));
    assert_eq!(stage.room.members.len(), 2);
    act(&mut stage, ben, RoomAct::Admit(there[1].id));
    assert_eq!(stage.refused(ben), Some(Refusal::NotHost));
    act(&mut stage, ana, RoomAct::TurnAway(there[1].id));
    assert_eq!(stage.refused(eva), Some(Refusal::NotLetIn));
    assert!(knocks(&stage).is_empty());
    // Who knocks in vain is told so, and who goes away is gone.
    let (max, kim) = (stage.enter("Max"), stage.enter("Kim"));
    stage.input(Input::Gone(kim));
    assert_eq!(knocks(&stage).len(), 1);
    stage.wait_us(600 * S);
    assert_eq!(stage.refused(max), Some(Refusal::NotLetIn));
    // The next host hears of those who knock.
    let eva = stage.enter("Eva");
    stage.says(ana, Message::LeaveRoom);
    let hears = |message: &Message| matches!(message, Message::Knocks(all) if all.len() == 1);
    assert!(stage.told[&ben].iter().any(hears));
    // When all have left, nobody can open.
    stage.says(ben, Message::LeaveRoom);
    assert!(stage.over);
    assert_eq!(stage.refused(eva), Some(Refusal::UnknownRoom));
}

#[test]
fn who_was_kicked_may_come_back_and_who_was_banned_may_not() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    let (token, id) = (stage.entered(ben).token, stage.id(ben));
    act(&mut stage, ben, RoomAct::Kick(1));
    assert_eq!(stage.refused(ben), Some(Refusal::NotHost));
    act(&mut stage, ana, RoomAct::Kick(id));
    assert!(matches!(&stage.dismissed[&ben], Message::LeftRoom(left) if !left.for_good));
    assert!(!stage.room.knows(token));
    let ben = stage.enter("Ben");
    let id = stage.id(ben);
    act(&mut stage, ana, RoomAct::Ban(id));
    assert!(matches!(&stage.dismissed[&ben], Message::LeftRoom(left) if left.for_good));
    let address = std::net::Ipv4Addr::new(192, 0, 2, ben as u8).into();
    let again = stage.enter("ben");
    assert_eq!(stage.refused(again), Some(Refusal::NotLetIn));
    let again = stage.enter_as(|enter| enter.address = address);
    assert_eq!(stage.refused(again), Some(Refusal::NotLetIn), "another name, the same address");
    let kept = stage.room.kept();
    stage.room = Room::restore(kept, 50, stage.now);
    let again = stage.enter("Ben");
    assert_eq!(stage.refused(again), Some(Refusal::NotLetIn), "also after a restart");
}

#[test]
fn an_address_that_others_share_is_not_banned() {
    let mut stage = Stage::new();
    let home = std::net::Ipv4Addr::LOCALHOST.into();
    let ana = stage.enter_as(|enter| enter.address = home);
    let ben = stage.enter_as(|enter| enter.address = home);
    let id = stage.id(ben);
    act(&mut stage, ana, RoomAct::Ban(id));
    let eva = stage.enter_as(|enter| enter.address = home);
    assert_eq!(stage.refused(eva), None);
}

#[test]
fn the_host_closes_the_room_for_all() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    act(&mut stage, ana, RoomAct::Close);
    assert!(stage.over);
    for seat in [ana, ben] {
        assert!(matches!(&stage.dismissed[&seat],
            Message::LeftRoom(left) if left.for_good && left.reason.contains("Ana")));
    }
}

#[test]
fn an_empty_room_is_kept_for_a_day() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    stage.says(ana, Message::LeaveRoom);
    stage.wait_us(24 * 3_600 * S - 1);
    assert!(!stage.over);
    let ben = stage.enter("Ben");
    assert_eq!(stage.host(), "Ben", "somebody has to be");
    stage.says(ben, Message::LeaveRoom);
    stage.wait_us(24 * 3_600 * S);
    assert!(stage.over);
}

#[test]
fn own_copies_are_compared() {
    use proto::room::OwnCopy;
    let mut stage = Stage::new();
    let duration_us = (FILM_S * S) as u64;
    let same = Film { id: RecordingId([1; 16]), duration_us };
    for (film, copy) in [
        (None, OwnCopy::Stream),
        (Some(same), OwnCopy::Same),
        (Some(Film { id: RecordingId([2; 16]), ..same }), OwnCopy::Other),
        (Some(Film { id: RecordingId([2; 16]), duration_us: 1 }), OwnCopy::OtherCut),
    ] {
        let seat = stage.enter_as(|enter| enter.ask.film = film);
        assert_eq!(stage.entered(seat).copy, copy);
    }
}
