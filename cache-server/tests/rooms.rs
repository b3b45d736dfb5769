//! Rooms over real sockets: a relay in this process, and members who talk to it.

mod common;

use bytes::{Bytes, BytesMut};
use cache_server::rooms::{Lobby, Options};
use common::{Member, Relay, create, enter, say};
use proto::Message;
use proto::frame::{Decoder, Next};
use proto::room::{EnterRoom, Going, Refusal, Remote, What, Words};
use relay::rooms::{Rooms, Seat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_pause_is_with_both_before_it_takes_effect() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let entered = ana.enters(Message::CreateRoom(create("Ana"))).await;
    assert_eq!(entered.stream, "film");
    let mut ben = Member::dial(&relay).await;
    let code = entered.code.to_string().to_lowercase().parse().expect("a code");
    let with_ben = ben.enters(Message::EnterRoom(enter(code, "Ben"))).await;
    assert_eq!((with_ben.code, with_ben.you), (entered.code, entered.you + 1));

    for member in [&mut ana, &mut ben] {
        member.report(true).await;
    }
    for member in [&mut ana, &mut ben] {
        member.timeline(|timeline| timeline.going == Going::Playing).await;
    }
    let asked = proto::conn::now();
    ana.write(Message::Remote(Remote::Pause)).await;
    let first = ana.timeline(|timeline| timeline.going == Going::Paused).await;
    let second = ben.timeline(|timeline| timeline.going == Going::Paused).await;
    assert_eq!(first, second, "the same epoch and moment for both");
    assert!(first.anchor_us.us_since(asked) >= 100_000, "in time for both");
}

#[tokio::test]
async fn a_video_that_is_elsewhere_is_watched_by_its_remote_alone() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let mut video = create("Ana");
    video.stream = Some("youtube:no number".to_owned());
    let refused = ana.refused(Message::CreateRoom(video.clone())).await;
    assert_eq!(refused.why, Refusal::NoSuchStream);
    video.stream = Some("youtube:a-b_c1234Z9".to_owned());
    let entered = ana.enters(Message::CreateRoom(video)).await;
    assert_eq!(entered.stream, "youtube:a-b_c1234Z9");
    ana.report(true).await;
    ana.timeline(|timeline| timeline.going == Going::Playing).await;
    ana.write(Message::Remote(Remote::Seek(3_600_000_000))).await;
    let sought = ana.timeline(|timeline| timeline.position_us == 3_600_000_000).await;
    assert_eq!(sought.going, Going::Waiting);
}

#[tokio::test]
async fn lines_come_to_all_in_one_order() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let code = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    let mut ben = Member::dial(&relay).await;
    ben.enters(Message::EnterRoom(enter(code, "Ben"))).await;
    for n in 0..4 {
        ana.write(say(&format!("a{n}"))).await;
        ben.write(say(&format!("b{n}"))).await;
    }
    let of_ana = ana.lines(10).await;
    let of_ben = ben.lines(10).await;
    assert_eq!(of_ana, of_ben);
    assert!(of_ana.iter().zip(1..).all(|(line, number)| line.number == number));
    let said = |who: &str| {
        let lines = of_ana.iter().filter(|line| line.who == who);
        let texts = lines.filter_map(|line| match &line.what {
            What::Said(Words::Plain(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!((said("Ana").as_str(), said("Ben").as_str()), ("a0 a1 a2 a3", "b0 b1 b2 b3"));
}

#[tokio::test]
async fn rooms_are_listed_unless_they_are_private() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let mut open = create("Ana");
    open.pin = Some("4711".to_owned());
    let code = ana.enters(Message::CreateRoom(open)).await.code;
    let mut ben = Member::dial(&relay).await;
    let mut secret = create("Ben");
    secret.settings.private = true;
    ben.enters(Message::CreateRoom(secret)).await;
    let rooms = ben.list().await;
    assert_eq!(rooms.len(), 1);
    assert_eq!((rooms[0].code, rooms[0].pin, rooms[0].stream.as_str()), (code, true, "film"));
    assert_eq!(rooms[0].members, ["Ana"]);
    ana.write(Message::LeaveRoom).await;
    ana.hears(|message| matches!(message, Message::LeftRoom(_)).then_some(())).await;
    assert!(ben.list().await.is_empty(), "nobody is in it");
}

#[tokio::test]
async fn what_does_not_work_is_said_in_a_sentence() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let mut nothing = create("Ana");
    nothing.stream = Some("no such film".to_owned());
    let refused = ana.refused(Message::CreateRoom(nothing)).await;
    assert_eq!(refused.why, Refusal::NoSuchStream);
    assert!(refused.reason.contains("no such film"), "{}", refused.reason);
    let mut with_pin = create("Ana");
    with_pin.pin = Some("4711".to_owned());
    let code = ana.enters(Message::CreateRoom(with_pin)).await.code;

    let mut ben = Member::dial(&relay).await;
    let unknown = "2222222222".parse().expect("a code");
    let refused = ben.refused(Message::EnterRoom(enter(unknown, "Ben"))).await;
    assert_eq!(refused.why, Refusal::UnknownRoom);
    let mut ask = enter(code, "Ana");
    assert_eq!(ben.refused(Message::EnterRoom(ask.clone())).await.why, Refusal::WrongPin);
    ask.pin = Some("4711".to_owned());
    assert_eq!(ben.refused(Message::EnterRoom(ask.clone())).await.why, Refusal::NameTaken);
    ask.name = "Ben".to_owned();
    ben.enters(Message::EnterRoom(ask)).await;
    let again = Message::EnterRoom(enter(code, "Ben2"));
    assert_eq!(ben.refused(again).await.why, Refusal::NotThere, "it is in a room");
}

#[tokio::test]
async fn who_guesses_is_not_heard_any_more() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let code = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    // Each on a connection of its own, or waiting for the slow answers would take a minute.
    let unknown = "2222222222".parse().expect("a code");
    let mut guessing = Vec::new();
    for _ in 0..10 {
        let mut member = Member::dial(&relay).await;
        member.write(Message::EnterRoom(enter(unknown, "Guess"))).await;
        guessing.push(member);
    }
    let mut ben = Member::dial(&relay).await;
    let ask = Message::EnterRoom(enter(unknown, "Ben"));
    while ben.refused(ask.clone()).await.why != Refusal::TooManyTries {}
    let ask = Message::EnterRoom(enter(code, "Ben"));
    assert_eq!(ben.refused(ask).await.why, Refusal::TooManyTries, "right or not");
}

#[tokio::test]
async fn who_guesses_pins_is_not_heard_even_with_the_right_one() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let mut with_pin = create("Ana");
    with_pin.pin = Some("4711".to_owned());
    let code = ana.enters(Message::CreateRoom(with_pin)).await.code;
    let ask = |pin: &str| {
        let pin = Some(pin.to_owned());
        Message::EnterRoom(EnterRoom { pin, ..enter(code, "Ben") })
    };
    // All at once: none gets by while others are looked at.
    let mut guessing = Vec::new();
    for n in 0..30 {
        let mut member = Member::dial(&relay).await;
        member.write(ask(&format!("000{n}"))).await;
        guessing.push(member);
    }
    let mut heard = 0;
    for member in &mut guessing {
        let refused = |message| match message {
            Message::Refused(refused) => Some(refused.why),
            _ => None,
        };
        match member.hears(refused).await {
            Refusal::WrongPin => heard += 1,
            why => assert_eq!(why, Refusal::TooManyTries),
        }
    }
    assert!((10..=12).contains(&heard), "{heard} guesses were looked at");
    let mut ben = Member::dial(&relay).await;
    assert_eq!(ben.refused(ask("4711")).await.why, Refusal::TooManyTries);
}

#[tokio::test]
async fn an_empty_room_makes_way_and_others_do_not() {
    let lobby = Lobby::open(Options { rooms: 2, ..Options::default() }).await.expect("a lobby");
    let relay = Relay::with(Some(lobby)).await;
    let (mut ana, mut ben) = (Member::dial(&relay).await, Member::dial(&relay).await);
    let code = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    ben.enters(Message::CreateRoom(create("Ben"))).await;
    let mut eva = Member::dial(&relay).await;
    let ask = Message::CreateRoom(create("Eva"));
    assert_eq!(eva.refused(ask.clone()).await.why, Refusal::TooManyRooms);
    ana.write(Message::LeaveRoom).await;
    ana.hears(|message| matches!(message, Message::LeftRoom(_)).then_some(())).await;
    eva.enters(ask).await;
    let again = Message::EnterRoom(enter(code, "Ana"));
    assert_eq!(ana.refused(again).await.why, Refusal::UnknownRoom);
    assert_eq!(ana.list().await.len(), 2);
}

/// Whole messages as they are on the wire.
fn messages(bytes: Bytes) -> Vec<Message> {
    let (mut bytes, mut decoder) = (BytesMut::from(bytes), Decoder::new());
    decoder.set_limit(proto::limits::MESSAGE);
    let mut messages = Vec::new();
    while let Next::Body(body) = decoder.next(&mut bytes).expect("framed") {
        messages.push(Message::decode(body).expect("a message"));
    }
    messages
}

/// What a connection hears until it is closed or has heard `lines` lines but for comings; how many
/// those were.
async fn heard(mut seat: Seat, lines: usize) -> usize {
    let mut count = 0;
    while count < lines {
        let Some(bytes) = seat.hear.recv().await else { break };
        for message in messages(bytes) {
            if let Message::Lines(some) = message {
                count += some.iter().filter(|line| line.what != What::Joined).count();
            }
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_let_go_and_nobody_waits() {
    const SPEAKERS: usize = 100;
    let lobby = Lobby::open(Options { size: 200, ..Options::default() }).await.expect("a lobby");
    let node = relay::Node::new(relay::Config::default());
    let _film = common::offer(&node);
    let mut deaf = lobby.connect(&node, "192.0.2.1:1");
    deaf.say.send(Message::CreateRoom(create("Deaf"))).await.expect("taken");
    let first = messages(deaf.hear.recv().await.expect("heard"));
    let Some(Message::Entered(entered)) = first.into_iter().next() else { panic!("not in") };
    let mut seats = Vec::new();
    for speaker in 0..SPEAKERS {
        // Not as many come from one address.
        let mut seat = lobby.connect(&node, &format!("198.51.100.{speaker}:2"));
        let ask = Message::EnterRoom(enter(entered.code, &format!("speaker {speaker}")));
        seat.say.send(ask).await.expect("taken");
        seat.hear.recv().await.expect("it is in");
        seats.push(seat);
    }
    // All do all they may at once; one does not read.
    let mut hearing = tokio::task::JoinSet::new();
    let all = SPEAKERS * 30;
    let speakers: Vec<_> = seats.iter().map(|seat| seat.say.clone()).collect();
    seats.into_iter().for_each(|seat| drop(hearing.spawn(heard(seat, all))));
    for say in speakers {
        for n in 0..20 {
            let remote = Message::Remote(Remote::Seek(n));
            say.send(remote).await.expect("taken");
            if n < 10 {
                say.send(common::say(&n.to_string())).await.expect("taken");
            }
        }
    }
    let counts = tokio::time::timeout(std::time::Duration::from_secs(20), hearing.join_all());
    let counts = counts.await.expect("nobody waits");
    assert!(counts.iter().all(|count| *count == all), "{counts:?}");
    assert!(heard(deaf, all).await < all, "its connection is at its end");
}

#[tokio::test]
async fn who_says_goodbye_and_hangs_up_has_left() {
    let lobby = Lobby::open(Options::default()).await.expect("a lobby");
    let node = relay::Node::new(relay::Config::default());
    let _film = common::offer(&node);
    let mut ana = lobby.connect(&node, "192.0.2.1:1");
    ana.say.send(Message::CreateRoom(create("Ana"))).await.expect("taken");
    let first = messages(ana.hear.recv().await.expect("heard"));
    let Some(Message::Entered(entered)) = first.into_iter().next() else { panic!("not in") };
    for _ in 0..20 {
        let mut ben = lobby.connect(&node, "192.0.2.2:2");
        let ask = Message::EnterRoom(enter(entered.code, "Ben"));
        ben.say.send(ask).await.expect("taken");
        ben.hear.recv().await.expect("it is in");
        ben.say.send(say("bye")).await.expect("taken");
        ben.say.send(Message::LeaveRoom).await.expect("taken");
        drop(ben);
        let is_leaving = |message: &Message| matches!(message, Message::Lines(lines) if lines.iter().any(|l| l.what == What::Left));
        let leaving = async {
            while !messages(ana.hear.recv().await.expect("heard")).iter().any(is_leaving) {}
        };
        let left = tokio::time::timeout(std::time::Duration::from_secs(20), leaving);
        left.await.expect("it left, and is not awaited for ten minutes");
    }
}

#[tokio::test]
async fn a_member_whose_connection_broke_comes_back_as_itself() {
    let relay = Relay::start().await;
    let mut ana = Member::dial(&relay).await;
    let code = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    let mut ben = Member::dial(&relay).await;
    let entered = ben.enters(Message::EnterRoom(enter(code, "Ben"))).await;
    drop(ben);
    ana.members(|members| members.members.get(1).is_some_and(|member| !member.here)).await;
    let mut ben = Member::dial(&relay).await;
    let mut ask = enter(code, "Ben");
    ask.token = Some(entered.token);
    let again = ben.enters(Message::EnterRoom(ask)).await;
    assert_eq!((again.you, again.token), (entered.you, entered.token));
    ana.members(|members| members.members.iter().all(|member| member.here)).await;
}

#[tokio::test]
async fn a_node_without_rooms_says_so() {
    let relay = Relay::without_rooms().await;
    let mut ana = Member::dial(&relay).await;
    let refused = ana.refused(Message::CreateRoom(create("Ana"))).await;
    assert_eq!(refused.why, Refusal::NoRooms);
    assert!(ana.list().await.is_empty());
}

/// Takes one HTTP request and answers it; its head and body.
async fn request(listener: &TcpListener, answer: &str) -> (String, serde_json::Value) {
    let waiting = async {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(json) = serde_json::from_str(body)
            {
                socket.write_all(answer.as_bytes()).await.expect("taken");
                return (head.to_owned(), json);
            }
            assert_ne!(socket.read_buf(&mut bytes).await.expect("bytes"), 0, "{text}");
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("told in time")
}

#[tokio::test]
async fn another_program_is_told_who_comes_but_not_how_to_get_into_private_rooms() {
    const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    const ELSEWHERE: &str = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let announce_url = Some(format!("http://{address}/rooms"));
    let lobby = Lobby::open(Options { announce_url, ..Options::default() }).await.expect("a lobby");
    let relay = Relay::with(Some(lobby)).await;
    let mut ana = Member::dial(&relay).await;
    let code = ana.enters(Message::CreateRoom(create("Ana"))).await.code;
    let (head, note) = request(&listener, ELSEWHERE).await;
    assert!(head.starts_with("POST /rooms ") && head.contains("application/json"), "{head}");
    assert_eq!(note["event"], "room_opened");
    assert_eq!(note["room"], code.to_string());
    assert_eq!((&note["stream"], &note["member"]), (&"film".into(), &"Ana".into()));

    let mut ben = Member::dial(&relay).await;
    ben.enters(Message::EnterRoom(enter(code, "Ben"))).await;
    let (head, note) = request(&listener, DONE).await;
    assert!(head.starts_with("POST /rooms "), "no redirect is followed: {head}");
    assert_eq!((&note["event"], &note["member"]), (&"member_joined".into(), &"Ben".into()));
    let mut eva = Member::dial(&relay).await;
    let mut secret = create("Eva");
    secret.settings.private = true;
    eva.enters(Message::CreateRoom(secret)).await;
    let (_, note) = request(&listener, DONE).await;
    assert_eq!(note["event"], "room_opened");
    assert!(note.get("room").is_none(), "{note}");
    assert!(note["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{note}");
}
