//! In a room, against a node that says what the test wants it to say.

mod common;

use std::sync::Arc;

use client::cue::Cue;
use client::room::Seat;
use client::room::seat::Errand;
use client::session::{Command, Event, SessionError};
use common::{Answer, Node, Viewer, index, watch_as};
use proto::Message;
use proto::conn::now;
use proto::room::{
    CreateRoom, EnterRoom, Entered, Going, LeftRoom, Line, OwnCopy, Refusal, Refused, Remote,
    Report, RoomCode, RoomSettings, RoomToken, Timeline, What, Words,
};

const TOKEN: RoomToken = RoomToken([9; 16]);

fn code() -> RoomCode {
    RoomCode::from_random([1; 10])
}

fn ben() -> EnterRoom {
    let pin = Some("4711".to_owned());
    EnterRoom { code: code(), name: "Ben".into(), pin, token: None, film: None }
}

/// A timeline that takes effect so long from now, microseconds.
fn timeline(epoch: u64, in_us: i64, position_us: i64, going: Going) -> Timeline {
    let anchor_us = now().plus_us(in_us);
    Timeline { epoch, anchor_us, position_us, speed_permille: 1000, going, delay_us: 0 }
}

fn entered(timeline: Timeline) -> Message {
    Message::Entered(Entered {
        code: code(),
        stream: "film".into(),
        settings: RoomSettings::default(),
        pin: true,
        you: 2,
        token: TOKEN,
        timeline,
        copy: OwnCopy::Stream,
    })
}

fn film() -> Arc<Node> {
    Node::new(index(1, 0, 500, true), |_, _| Answer::Whole)
}

/// A viewer in the room, which stands at this position.
async fn inside(node: &Arc<Node>, at_us: i64) -> (Viewer, Arc<Seat>) {
    let seat = Arc::new(Seat::new(Errand::Enter(ben())));
    let viewer = watch_as(node, None, Some(seat.clone())).await;
    assert_eq!(node.hears().await, Message::EnterRoom(ben()));
    node.tells(entered(timeline(1, 0, at_us, Going::Waiting)));
    (viewer, seat)
}

async fn said(viewer: &mut Viewer) -> String {
    match viewer.until(|event| matches!(event, Event::Said(_))).await {
        Event::Said(words) => words,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_makes_a_room_is_told_how_others_come_in() {
    let node = film();
    let create = CreateRoom {
        stream: None,
        name: "Ana".into(),
        pin: Some("4711".into()),
        settings: RoomSettings::default(),
        film: None,
    };
    let seat = Arc::new(Seat::new(Errand::Create(create.clone())));
    let mut viewer = watch_as(&node, None, Some(seat)).await;
    assert_eq!(node.hears().await, Message::CreateRoom(create));
    node.tells(entered(timeline(1, 0, 0, Going::Waiting)));
    assert!(said(&mut viewer).await.contains(&code().to_string()));
    let invitation = viewer.until(|event| matches!(event, Event::Invitation(_))).await;
    let Event::Invitation(invitation) = invitation else { panic!("{invitation:?}") };
    assert!(invitation.contains(&format!("--room {} --pin", code())), "{invitation}");
    viewer.until(|event| matches!(event, Event::Open(_))).await;
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let node = film();
    let seat = Arc::new(Seat::new(Errand::Enter(ben())));
    let mut viewer = watch_as(&node, None, Some(seat)).await;
    node.hears().await;
    node.tells(Message::Knocking);
    assert!(said(&mut viewer).await.contains("waiting for the host"));
    let reason = "the host did not let you in".to_owned();
    node.tells(Message::Refused(Refused { why: Refusal::NotLetIn, reason: reason.clone() }));
    let outcome = viewer.outcome.await.expect("does not panic");
    assert!(matches!(outcome, Err(SessionError::Room(why)) if why == reason));
}

#[tokio::test]
async fn a_room_that_plays_in_a_browser_alone_is_left_with_a_sentence() {
    let node = film();
    let seat = Arc::new(Seat::new(Errand::Enter(ben())));
    let viewer = watch_as(&node, None, Some(seat)).await;
    node.hears().await;
    let Message::Entered(mut entered) = entered(timeline(1, 0, 0, Going::Waiting)) else {
        unreachable!()
    };
    entered.stream = "youtube:a-b_c1234Z9".into();
    node.tells(Message::Entered(entered));
    assert_eq!(node.hears().await, Message::LeaveRoom);
    node.tells(Message::LeftRoom(LeftRoom { for_good: false, reason: String::new() }));
    let outcome = viewer.outcome.await.expect("does not panic");
    assert!(matches!(outcome, Err(SessionError::Room(why)) if why.contains("in a browser")));
}

#[tokio::test]
async fn what_is_said_is_heard_and_who_is_sent_out_leaves() {
    let node = film();
    let (mut viewer, seat) = inside(&node, 60_000_000).await;
    viewer.until(|event| matches!(event, Event::Open(_))).await;
    let line = |number, position_us, text: &str| Line {
        number,
        position_us,
        at_us: now(),
        who: "Ana".into(),
        what: What::Said(Words::Plain(text.into())),
    };
    node.tells(Message::Lines(vec![line(1, 90_000_000, "later"), line(2, 60_000_000, "now")]));
    assert_eq!(said(&mut viewer).await, "Ana: now");
    assert!(seat.say_text("hello".into(), 60_000_000));
    let heard = node.hears().await;
    assert!(matches!(&heard, Message::Say(say) if say.position_us == 60_000_000), "{heard:?}");
    let left = LeftRoom { for_good: true, reason: "the host sent you out".into() };
    node.tells(Message::LeftRoom(left));
    let outcome = viewer.outcome.await.expect("does not panic");
    assert!(matches!(outcome, Err(SessionError::Room(why)) if why.contains("sent you out")));
}

#[tokio::test]
async fn a_lost_control_connection_is_made_anew_and_the_place_taken_again() {
    let node = film();
    let (mut viewer, _) = inside(&node, 0).await;
    viewer.until(|event| matches!(event, Event::Open(_))).await;
    node.tells(Message::End);
    let again = EnterRoom { pin: None, token: Some(TOKEN), ..ben() };
    assert_eq!(node.hears().await, Message::EnterRoom(again));
}

/// What was captured on our clock when, as the room says it: a clock that is asked twice is right to
/// this, microseconds.
const CLOCK_US: i64 = 5_000;

async fn cue(viewer: &mut Viewer, wanted: impl Fn(&Cue) -> bool) -> Cue {
    match viewer.until(|event| matches!(event, Event::Cue(cue) if wanted(cue))).await {
        Event::Cue(cue) => cue,
        other => panic!("{other:?}"),
    }
}

async fn report(node: &Node, wanted: impl Fn(&Report) -> bool) -> Report {
    loop {
        match node.hears_all().await {
            Message::Report(report) if wanted(&report) => return report,
            _ => {}
        }
    }
}

/// How far a cue is from a timeline, microseconds.
fn off_us(cue: &Cue, timeline: &Timeline) -> i64 {
    let shown = timeline.anchor_us.plus_us(cue.position_us - timeline.position_us);
    cue.captured.us_since(shown)
}

#[tokio::test]
async fn who_is_ready_says_so_and_all_start_at_one_moment() {
    let node = film();
    let (mut viewer, _) = inside(&node, 60_000_000).await;
    let stands = cue(&mut viewer, |cue| cue.stands()).await;
    assert_eq!(stands.position_us, 60_000_000);
    let ready = report(&node, |report| report.ready).await;
    assert!(ready.epoch == 1 && ready.buffered_us >= 1_000_000, "{ready:?}");
    let start = timeline(2, 300_000, 60_000_000, Going::Playing);
    node.tells(Message::Timeline(start));
    let plays = cue(&mut viewer, |cue| !cue.stands()).await;
    assert_eq!(plays.position_us, 60_000_000);
    assert!(off_us(&plays, &start).abs() < CLOCK_US, "{}", off_us(&plays, &start));
    report(&node, |report| report.epoch == 2 && report.ready).await;

    // A pause is obeyed when it takes effect, and no sooner.
    let pause = timeline(3, 300_000, 60_300_000, Going::Paused);
    node.tells(Message::Timeline(pause));
    let paused = cue(&mut viewer, |cue| cue.stands()).await;
    assert_eq!(paused.position_us, 60_300_000);
    assert!(now().us_since(pause.anchor_us) > -CLOCK_US, "too early");
}

#[tokio::test]
async fn who_comes_late_is_where_the_others_are() {
    let node = film();
    let seat = Arc::new(Seat::new(Errand::Enter(ben())));
    let mut viewer = watch_as(&node, None, Some(seat)).await;
    node.hears().await;
    let mut since = timeline(7, -10_000_000, 60_000_000, Going::Playing);
    since.speed_permille = 1250;
    node.tells(entered(since));
    let plays = cue(&mut viewer, |cue| !cue.stands()).await;
    assert_eq!(plays.rate, 1.25);
    let room_us = since.position_us(plays.captured);
    assert!((plays.position_us - room_us).abs() < 2 * CLOCK_US, "{plays:?} {room_us}");
    let off = report(&node, |report| report.ready).await.off_us;
    assert!(i64::from(off).abs() < 2 * CLOCK_US, "{off}");
}

#[tokio::test]
async fn keys_are_for_all() {
    let node = film();
    let (mut viewer, _) = inside(&node, 60_000_000).await;
    report(&node, |report| report.ready).await;
    let says = async |command| {
        viewer.remote.send(command).await.expect("listens");
        match node.hears().await {
            Message::Remote(remote) => remote,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(says(Command::Pause).await, Remote::Pause, "nobody has to wait for all");
    assert_eq!(says(Command::Skip(10_000_000)).await, Remote::Seek(70_000_000));
    assert_eq!(says(Command::Skip(10_000_000)).await, Remote::Seek(80_000_000), "from there on");
    assert_eq!(says(Command::Skip(-3_600_000_000)).await, Remote::Seek(0));
    assert_eq!(says(Command::Home).await, Remote::Seek(0));
    assert_eq!(says(Command::Faster).await, Remote::Speed(1250));
    node.tells(Message::Timeline(timeline(2, 0, 30_000_000, Going::Playing)));
    cue(&mut viewer, |cue| !cue.stands()).await;
    let says = async |command| {
        viewer.remote.send(command).await.expect("listens");
        node.hears().await
    };
    assert_eq!(says(Command::Pause).await, Message::Remote(Remote::Pause));
    let Message::Remote(Remote::Seek(us)) = says(Command::Skip(-10_000_000)).await else {
        panic!("no seek")
    };
    assert!((20_000_000..25_000_000).contains(&us), "{us}");
    node.tells(Message::Timeline(timeline(3, 0, 30_000_000, Going::Paused)));
    cue(&mut viewer, Cue::stands).await;
    viewer.remote.send(Command::Pause).await.expect("listens");
    assert_eq!(node.hears().await, Message::Remote(Remote::Play));
}

#[tokio::test]
async fn in_a_live_room_it_is_said_how_it_goes_and_nobody_goes_back() {
    let node = Node::live(200, Some(index(1, 0, 10, false)));
    let seat = Arc::new(Seat::new(Errand::Enter(ben())));
    let mut viewer = watch_as(&node, None, Some(seat)).await;
    node.hears().await;
    let live = Timeline { delay_us: 700_000, ..timeline(1, 0, 0, Going::Playing) };
    node.tells(entered(live));
    viewer.until(|event| matches!(event, Event::Packet(..))).await;
    viewer.remote.send(Command::Skip(-10_000_000)).await.expect("listens");
    report(&node, |report| report.ready && report.epoch == 1).await;
    report(&node, |report| report.ready).await;
    assert_eq!(node.opened.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_sealed_room_is_entered_with_its_passphrase_alone() {
    let (secret, key) = client::room::secret::make("open sesame").expect("a key");
    let sealed = |timeline| match entered(timeline) {
        Message::Entered(entered) => {
            let settings = RoomSettings { secret: Some(secret.clone()), ..entered.settings };
            Message::Entered(Entered { settings, ..entered })
        }
        other => other,
    };
    for passphrase in [None, Some("open simsim".to_owned())] {
        let node = film();
        let seat = Seat::sealing(Errand::Enter(ben()), None, passphrase.clone());
        let viewer = watch_as(&node, None, Some(Arc::new(seat))).await;
        node.hears().await;
        node.tells(sealed(timeline(1, 0, 0, Going::Waiting)));
        let outcome = viewer.outcome.await.expect("does not panic");
        let Err(SessionError::Room(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("passphrase"), "{why}");
        assert_eq!(node.hears().await, Message::LeaveRoom);
    }
    let node = film();
    let seat = Seat::sealing(Errand::Enter(ben()), None, Some("open sesame".into()));
    let seat = Arc::new(seat);
    let mut viewer = watch_as(&node, None, Some(seat.clone())).await;
    node.hears().await;
    node.tells(sealed(timeline(1, 0, 0, Going::Waiting)));
    viewer.until(|event| matches!(event, Event::Open(_))).await;
    let line = Line {
        number: 1,
        position_us: 0,
        at_us: now(),
        who: "Ana".into(),
        what: What::Said(Words::Sealed(key.seal("hello", "Ana").expect("seals"))),
    };
    node.tells(Message::Lines(vec![line]));
    assert_eq!(said(&mut viewer).await, "Ana: hello");
    assert!(seat.say_text("hi".into(), 0));
    let Message::Say(say) = node.hears().await else { panic!("says nothing") };
    let Words::Sealed(words) = say.words else { panic!("{:?}", say.words) };
    assert_eq!(key.open(&words, "Ben").as_deref(), Some("hi"));
}
