//! Rooms outlive their relay: it is killed in the middle of it all and started anew.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use common::process::Process;
use common::{Member, Relay, create, enter, say};
use proto::Message;
use proto::room::{Going, Refusal, Remote, RoomAct};

/// Waits until `text` is on the disk, and with it all that was before.
async fn written(file: &Path, text: &str) {
    let log = file.with_extension("sqlite-wal");
    let patience = Instant::now();
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|some| some == text.as_bytes());
    while !std::fs::read(&log).is_ok_and(|bytes| has(&bytes)) {
        assert!(patience.elapsed() < Duration::from_secs(20), "'{text}' was never written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(origin: SocketAddr, file: &Path) -> Process {
    Process::start(origin, &["--rooms-file".as_ref(), file.as_os_str()])
}

#[tokio::test]
async fn a_relay_that_was_killed_has_its_rooms_again() {
    let origin = Relay::without_rooms().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rooms.sqlite");
    let mut relay = start(origin.address, &file);
    let mut ana = Member::dial_to(&relay.address).await;
    ana.sees_film().await;
    let mut with_pin = create("Ana");
    with_pin.pin = Some("4711".to_owned());
    with_pin.settings.private = true;
    let of_ana = ana.enters(Message::CreateRoom(with_pin)).await;
    let mut ask = enter(of_ana.code, "Ben");
    ask.pin = Some("4711".to_owned());
    let mut ben = Member::dial_to(&relay.address).await;
    let of_ben = ben.enters(Message::EnterRoom(ask)).await;
    ana.report(true).await;
    ben.report(true).await;
    let playing = ana.timeline(|timeline| timeline.going == Going::Playing).await;
    ana.write(Message::Remote(Remote::Speed(1250))).await;
    let playing = ana.timeline(|timeline| timeline.epoch > playing.epoch).await;
    ana.write(say("at the first scene")).await;
    // Ana and Ben came, one set the speed, one said something.
    let before = ben.lines(4).await;
    written(&file, "at the first scene").await;
    relay.kill();

    let relay = start(origin.address, &file);
    let mut ben = Member::dial_to(&relay.address).await;
    let stranger = ben.refused(Message::EnterRoom(enter(of_ana.code, "Eva"))).await;
    assert_eq!(stranger.why, Refusal::WrongPin, "the PIN is asked for again");
    let mut ask = enter(of_ana.code, "Ben");
    ask.token = Some(of_ben.token);
    let again = ben.enters(Message::EnterRoom(ask)).await;
    assert_eq!(
        (again.you, again.token, &again.settings),
        (of_ben.you, of_ben.token, &of_ana.settings)
    );
    assert!(again.timeline.epoch > playing.epoch);
    let now = proto::conn::now();
    assert_eq!(again.timeline.position_us(now), playing.position_us(now), "it played on");
    assert_eq!(ben.lines(4).await, before);
    let mut eva = Member::dial_to(&relay.address).await;
    let mut ask = enter(of_ana.code, "Eva");
    ask.pin = Some("4711".to_owned());
    let eva_entered = eva.enters(Message::EnterRoom(ask)).await;
    assert!(eva_entered.you > of_ben.you, "numbers are not given twice");
    let mut ana = Member::dial_to(&relay.address).await;
    let mut ask = enter(of_ana.code, "Ana");
    ask.token = Some(of_ana.token);
    ana.enters(Message::EnterRoom(ask)).await;
    ana.write(Message::RoomAct(RoomAct::Close)).await;
    ben.hears(|message| matches!(message, Message::LeftRoom(_)).then_some(())).await;
}

#[tokio::test]
async fn a_room_that_was_closed_does_not_come_back() {
    let origin = Relay::without_rooms().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rooms.sqlite");
    let mut relay = start(origin.address, &file);
    let mut ana = Member::dial_to(&relay.address).await;
    ana.sees_film().await;
    let closed = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    ana.write(Message::RoomAct(RoomAct::Close)).await;
    ana.hears(|message| matches!(message, Message::LeftRoom(_)).then_some(())).await;
    let open = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    written(&file, &open.to_string()).await;
    relay.kill();

    let relay = start(origin.address, &file);
    let mut ben = Member::dial_to(&relay.address).await;
    ben.enters(Message::EnterRoom(enter(open, "Ben"))).await;
    let mut eva = Member::dial_to(&relay.address).await;
    let refused = eva.refused(Message::EnterRoom(enter(closed, "Eva"))).await;
    assert_eq!(refused.why, Refusal::UnknownRoom);
}
