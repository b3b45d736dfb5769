//! The session against servers that behave and servers that do not, over real sockets.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use client::session::{Config, Event, Patience, SessionError, Sink, run};
use proto::conn::{ConnError, Reader, Writer, now};
use proto::message::{Catalog, Gap, Held, Pong, Welcome};
use proto::stream::{Audio, AudioCodec, Media, StreamState};
use proto::{CloseCode, Message, Packet, PacketHeader, Role, StreamDescription, StreamInfo, Track};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// Nothing here takes that long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);

struct Collector(mpsc::UnboundedSender<Event>);

impl Sink for Collector {
    fn event(&mut self, event: Event) {
        let _ = self.0.send(event);
    }
    fn clock_error_us(&mut self, error_us: f64) {
        assert!(error_us.is_finite() && error_us >= 0.0);
    }
}

struct Running {
    events: mpsc::UnboundedReceiver<Event>,
    outcome: tokio::task::JoinHandle<Result<(), SessionError>>,
    quit: Arc<Notify>,
}

impl Running {
    /// What an event says, in a word; waits for it.
    async fn next(&mut self) -> String {
        let event = timeout(HANGS, self.events.recv()).await.expect("an event in time");
        match event {
            None => "closed".into(),
            Some(Event::Subscribed) => "subscribed".into(),
            Some(Event::Describe(d)) => format!("describe run {}", d.run),
            Some(Event::Packet(p, _)) => format!("packet {}", p.header.sequence),
            Some(Event::Gap(gap)) => format!("gap {}", gap.packets),
            Some(Event::Held(reason)) => format!("held {reason}"),
            Some(Event::Resumed) => "resumed".into(),
            Some(Event::Lost(_)) => "lost".into(),
            Some(Event::Ended) => "ended".into(),
            Some(other) => format!("{other:?}"),
        }
    }

    async fn expect(&mut self, expected: &[&str]) {
        for word in expected {
            assert_eq!(&self.next().await, word);
        }
    }

    async fn error(self) -> SessionError {
        self.result().await.expect_err("must fail")
    }

    async fn result(self) -> Result<(), SessionError> {
        timeout(HANGS, self.outcome).await.expect("ends").expect("does not panic")
    }
}

fn start(address: &str, stream: Option<&str>) -> Running {
    let (to_test, events) = mpsc::unbounded_channel();
    let patience = Patience {
        silence: Duration::from_millis(500),
        silence_without_control: Duration::from_millis(700),
        first_wait: Duration::from_millis(5),
        longest_wait: Duration::from_millis(20),
    };
    let config = Config {
        address: address.to_owned(),
        stream: stream.map(ToOwned::to_owned),
        buffer_us: 250_000,
        start_us: None,
        ahead_us: 30_000_000,
        seat: None,
        local: None,
        schedule: Arc::default(),
        patience,
    };
    let quit = Arc::new(Notify::new());
    let stop = quit.clone();
    let outcome = tokio::spawn(async move {
        let (_remote, mut commands) = mpsc::channel(1);
        run(&config, &mut Collector(to_test), &mut commands, stop).await
    });
    Running { events, outcome, quit }
}

/// A peer that does `serve` to every connection.
async fn listen<F, S>(serve: S) -> String
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address").to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    address
}

/// A peer that says these bytes, whatever it is told, and closes.
async fn says(bytes: &'static [u8]) -> String {
    listen(move |mut socket| async move {
        let mut hello = [0; 64];
        let _ = socket.read(&mut hello).await;
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        // Until the client has read it and closed.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await
}

struct Greeted {
    reader: Reader<OwnedReadHalf>,
    writer: Writer<OwnedWriteHalf>,
    role: Role,
}

async fn greet(socket: TcpStream) -> Greeted {
    let (read, write) = socket.into_split();
    let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, HANGS));
    let Message::Hello(hello) = reader.read().await.expect("a hello") else {
        panic!("no hello");
    };
    let welcome = Welcome { version: 1, node: 7, agent: "fake".into() };
    writer.write(&Message::Welcome(welcome)).await.expect("writes");
    Greeted { reader, writer, role: hello.role }
}

impl Greeted {
    async fn say(&mut self, message: Message) {
        let _ = self.writer.write(&message).await;
    }

    /// Answers pings and lists until the client leaves.
    async fn control(mut self, offered: Vec<StreamInfo>) {
        while let Ok(message) = self.reader.read().await {
            match message {
                Message::Ping(ping) => {
                    let at = now();
                    let pong = Pong { ping_sent_us: ping.sent_us, received_us: at, sent_us: at };
                    self.say(Message::Pong(pong)).await;
                }
                Message::List(_) => {
                    self.say(Message::Catalog(Catalog { streams: offered.clone() })).await;
                }
                _ => {}
            }
        }
    }

    async fn subscribed(&mut self) {
        let message = self.reader.read().await.expect("a message");
        assert!(matches!(message, Message::Subscribe(_)), "{message:?}");
    }

    async fn until_left(&mut self) {
        while self.reader.read().await.is_ok() {}
    }
}

/// A server with this catalogue whose view connections get `view`.
async fn server<F, V>(offered: Vec<StreamInfo>, view: V) -> String
where
    V: Fn(Greeted) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let view = Arc::new(view);
    listen(move |socket| {
        let (view, offered) = (view.clone(), offered.clone());
        async move {
            let greeted = greet(socket).await;
            if greeted.role == Role::Control {
                greeted.control(offered).await;
            } else {
                view(greeted).await;
            }
        }
    })
    .await
}

fn describe(run: u64) -> Message {
    let audio = Audio { codec: AudioCodec::Opus, sample_rate: 48_000, channels: 2 };
    let track = Track {
        media: Media::Audio(audio),
        codec_config: Vec::new().into(),
        language: String::new(),
    };
    Message::Describe(StreamDescription {
        name: "a".into(),
        title: String::new(),
        live: true,
        run,
        duration_us: None,
        tracks: vec![track],
    })
}

fn packet(sequence: u64) -> Message {
    let header = PacketHeader { sequence, key: true, ..PacketHeader::default() };
    Message::Packet(Packet { header, payload: vec![1, 2, 3].into() })
}

fn offer(name: &str) -> StreamInfo {
    StreamInfo {
        name: name.into(),
        title: String::new(),
        live: true,
        state: StreamState::Running,
        viewers: 0,
        summary: String::new(),
        path: vec![7],
        recording: None,
    }
}

#[tokio::test]
async fn a_stream_is_handed_on_to_its_end() {
    let address = server(vec![], |mut peer| async move {
        peer.subscribed().await;
        let gap = Gap { packets: 3, length_us: 60_000 };
        let held = Held { reason: "camera unplugged".into() };
        for message in [
            describe(1),
            packet(0),
            Message::Gap(gap),
            packet(4),
            Message::Held(held),
            Message::Resumed,
            packet(5),
            Message::End,
        ] {
            peer.say(message).await;
        }
        peer.until_left().await;
    })
    .await;
    let mut running = start(&address, None);
    running
        .expect(&[
            "subscribed",
            "describe run 1",
            "packet 0",
            "gap 3",
            "packet 4",
            "held camera unplugged",
            "resumed",
            "packet 5",
            "ended",
        ])
        .await;
    assert!(running.result().await.is_ok());
}

#[tokio::test]
async fn packets_carry_the_servers_clock() {
    let address = server(vec![], |mut peer| async move {
        peer.subscribed().await;
        peer.say(describe(1)).await;
        peer.say(packet(0)).await;
        peer.until_left().await;
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1"]).await;
    let event = timeout(HANGS, running.events.recv()).await.expect("in time");
    let Some(Event::Packet(_, Some(clock))) = event else { panic!("no clock: {event:?}") };
    // The fake server shares this process's clock.
    assert!(clock.offset.0.abs() < 1_000_000, "{clock:?}");
}

#[tokio::test]
async fn other_protocols_are_named() {
    for (bytes, word) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" as &[u8], "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"RTSP/1.0 400 Bad Request\r\n\r\n", "RTSP"),
        (&[0xff; 64], "something else"),
        (b"\x04\0\0\0\0\0\0\0\xff\xff\xff\xff", "something else"),
    ] {
        let error = start(&says(bytes).await, None).error().await.to_string();
        assert!(error.contains(word), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_at_once_fails_the_first_time() {
    let error = start(&says(b"").await, None).error().await;
    assert!(matches!(error, SessionError::Dial(_)), "{error}");
}

#[tokio::test]
async fn nobody_there_is_said_in_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address").to_string();
    drop(listener);
    let refused = start(&address, None).error().await.to_string();
    assert!(refused.contains("refused") && refused.contains(&address), "{refused}");
    let unknown = start("no-such-host.invalid:9999", None).error().await.to_string();
    assert!(unknown.contains("no-such-host.invalid"), "{unknown}");
}

#[tokio::test]
async fn refusals_come_with_what_there_is() {
    let offered = vec![offer("door"), offer("garden")];
    let refusing = |code: CloseCode| {
        let offered = offered.clone();
        server(offered, move |mut peer: Greeted| async move {
            peer.subscribed().await;
            peer.say(Message::close(code, "because")).await;
        })
    };
    let address = refusing(CloseCode::NoSuchStream).await;
    let error = start(&address, Some("dor")).error().await.to_string();
    assert!(error.contains("'dor'") && error.contains("'garden'"), "{error}");

    let address = refusing(CloseCode::AmbiguousStream).await;
    let error = start(&address, None).error().await;
    assert!(error.is_choice());
    let SessionError::Ambiguous { offered: names, .. } = error else { panic!("{error}") };
    assert_eq!(names.len(), 2);

    let address = refusing(CloseCode::TooManyViewers).await;
    let error = start(&address, None).error().await.to_string();
    assert!(error.contains("because") && error.contains("later"), "{error}");
}

#[tokio::test]
async fn a_packet_without_a_description_is_out_of_order() {
    let address = server(vec![], |mut peer| async move {
        peer.subscribed().await;
        peer.say(packet(0)).await;
        peer.until_left().await;
    })
    .await;
    let error = start(&address, None).error().await;
    assert!(
        matches!(error, SessionError::Connection { error: ConnError::OutOfOrder { .. }, .. }),
        "{error}"
    );
}

/// Serves the first connection with `first`, all others with an orderly end.
async fn second_time_lucky<F>(first: impl Fn(Greeted) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let first = Arc::new(first);
    let views = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    server(vec![], move |mut peer| {
        let (first, count) = (first.clone(), views.clone());
        async move {
            peer.subscribed().await;
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                first(peer).await;
                return;
            }
            for message in [describe(1), packet(1), Message::End] {
                peer.say(message).await;
            }
            peer.until_left().await;
        }
    })
    .await
}

const SECOND_TIME: [&str; 5] = ["lost", "subscribed", "describe run 1", "packet 1", "ended"];

#[tokio::test]
async fn a_connection_cut_within_a_message_is_dialled_again() {
    let address = second_time_lucky(|mut peer| async move {
        peer.say(describe(1)).await;
        peer.say(packet(0)).await;
        let bytes = packet(1).encode();
        let mut socket = peer.writer.into_inner();
        let _ = socket.write_all(&bytes[..bytes.len() / 2]).await;
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1", "packet 0"]).await;
    running.expect(&SECOND_TIME).await;
    assert!(running.result().await.is_ok());
}

#[tokio::test]
async fn garbage_in_the_middle_is_dialled_again() {
    let address = second_time_lucky(|mut peer| async move {
        peer.say(describe(1)).await;
        let mut socket = peer.writer.into_inner();
        let _ = socket.write_all(&[0xee; 4096]).await;
        let _ = peer.reader.read().await;
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1"]).await;
    running.expect(&SECOND_TIME).await;
}

#[tokio::test]
async fn a_refusal_after_the_stream_was_seen_is_dialled_again() {
    let address = second_time_lucky(|mut peer| async move {
        peer.say(describe(1)).await;
        peer.say(Message::close(CloseCode::NoSuchStream, "gone")).await;
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1"]).await;
    running.expect(&SECOND_TIME).await;
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_taken_for_lost() {
    // Neither connection says anything after the start.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has an address").to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            let mut peer = greet(socket).await;
            if peer.role == Role::View {
                peer.say(describe(1)).await;
            }
            kept.push(peer);
        }
    });
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1", "lost", "subscribed"]).await;
}

#[tokio::test]
async fn a_dead_view_is_lost_though_the_server_answers_on_a_new_control_connection() {
    let view_is_there = Arc::new(Notify::new());
    let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let address = listen(move |socket| {
        let (there, first) = (view_is_there.clone(), first.clone());
        async move {
            let mut peer = greet(socket).await;
            if peer.role == Role::View {
                peer.subscribed().await;
                peer.say(describe(1)).await;
                there.notify_one();
                // As after a change of the network: nothing comes any more, and nobody says so.
                std::future::pending::<()>().await;
            } else if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                // This one dies, after it was heard, when the view has begun; the next lives.
                peer.say(Message::Catalog(Catalog { streams: vec![] })).await;
                there.notified().await;
            } else {
                peer.control(vec![]).await;
            }
        }
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1", "lost", "subscribed"]).await;
}

#[tokio::test]
async fn a_source_that_is_away_is_waited_for() {
    let back = Arc::new(Notify::new());
    let away = back.clone();
    let address = server(vec![], move |mut peer| {
        let away = away.clone();
        async move {
            peer.subscribed().await;
            peer.say(describe(1)).await;
            peer.say(Message::Held(Held { reason: "unplugged".into() })).await;
            away.notified().await;
            for message in [Message::Resumed, packet(0), Message::End] {
                peer.say(message).await;
            }
            peer.until_left().await;
        }
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1", "held unplugged"]).await;
    // Three times the silence that would lose it, were the clock not answering.
    let nothing = timeout(Duration::from_millis(1500), running.events.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    back.notify_one();
    running.expect(&["resumed", "packet 0", "ended"]).await;
}

#[tokio::test]
async fn leaving_is_said_to_the_server() {
    let left = Arc::new(Notify::new());
    let told = left.clone();
    let address = server(vec![], move |mut peer| {
        let told = told.clone();
        async move {
            peer.subscribed().await;
            peer.say(describe(1)).await;
            let goodbye = peer.reader.read().await;
            assert!(
                matches!(goodbye, Err(ConnError::Closed { code: Some(CloseCode::Done), .. })),
                "{goodbye:?}"
            );
            told.notify_one();
        }
    })
    .await;
    let mut running = start(&address, None);
    running.expect(&["subscribed", "describe run 1"]).await;
    running.quit.notify_one();
    timeout(HANGS, left.notified()).await.expect("told");
    assert!(running.result().await.is_ok());
}
