//! Dialling over real sockets: whoever answers, a person is told what and what to do.

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use proto::clock::Filter;
use proto::conn::{ConnError, Reader, Writer, now};
use proto::dial::{DialError, Dialled, dial, keep_clock};
use proto::message::{Pong, Welcome};
use proto::time::{Offset, Stamp};
use proto::{CloseCode, Message, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

/// Dials somebody who answers the first bytes with `answer` and hangs up.
async fn dial_one_who_says(answer: &[u8]) -> DialError {
    let (listener, address) = listen().await;
    let answerer = async {
        let (mut socket, _) = listener.accept().await.expect("a dialler");
        socket.read_u8().await.expect("its hello");
        socket.write_all(answer).await.expect("answered");
        socket
    };
    let (_socket, dialled) = tokio::join!(answerer, dial(&address, Role::View, None, "test"));
    dialled.expect_err("no welcome")
}

#[tokio::test]
async fn other_protocols_are_named() {
    for (answer, name) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x46\x00", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"RTSP/1.0 400 Bad Request\r\n", "RTSP"),
        (b"220 mail.example ESMTP\r\n", "something else"),
        (&Message::End.encode(), "something else"),
    ] {
        let error = dial_one_who_says(answer).await;
        assert!(matches!(error, DialError::Foreign { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(!error.worth_retrying(), "it will not learn our protocol by waiting");
    }
}

#[tokio::test]
async fn a_refusal_is_passed_on_with_its_reason() {
    for (code, again) in [(CloseCode::ShuttingDown, true), (CloseCode::Unauthorized, false)] {
        let error = dial_one_who_says(&Message::close(code, "because").encode()).await;
        assert!(error.to_string().ends_with("because"), "{error}");
        assert_eq!(error.worth_retrying(), again, "{error}");
    }
}

#[tokio::test]
async fn a_closed_port_is_said_to_be_closed() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = dial(&address, Role::View, None, "test").await.expect_err("nobody listens");
    assert!(matches!(error, DialError::Refused(_)), "{error}");
    assert!(error.worth_retrying(), "it may be started later");
}

/// Both ends of a connection that has said hello.
async fn dialled() -> (Dialled, TcpStream) {
    let (listener, address) = listen().await;
    let answerer = async {
        let (mut socket, _) = listener.accept().await.expect("a dialler");
        let welcome = Welcome { version: 1, node: 7, agent: "test".into() };
        socket.write_all(&Message::Welcome(welcome).encode()).await.expect("welcomed");
        socket
    };
    let (socket, dialled) = tokio::join!(answerer, dial(&address, Role::Control, None, "test"));
    (dialled.expect("welcome"), socket)
}

#[tokio::test]
async fn a_clock_is_kept_by_pings() {
    const AHEAD_US: i64 = 5_000_000;
    let (mut dialled, socket) = dialled().await;
    let filter = Mutex::new(Filter::new());
    let (read, write) = socket.into_split();
    let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, Duration::from_secs(5)));
    let answer = async {
        while !filter.lock().expect("whole").is_settled() {
            match reader.read().await.expect("a message") {
                Message::Hello(_) => {}
                Message::Ping(ping) => {
                    let stamp = Stamp(now().0 + AHEAD_US);
                    let pong =
                        Pong { ping_sent_us: ping.sent_us, received_us: stamp, sent_us: stamp };
                    writer.write(&Message::Pong(pong)).await.expect("answered");
                }
                other => panic!("{other:?}"),
            }
            // The last pong is counted by the other side.
            tokio::task::yield_now().await;
        }
    };
    let mut heard = 0;
    tokio::select! {
        error = keep_clock(&mut dialled, &filter, |_| heard += 1) => panic!("{error}"),
        () = answer => {}
    }
    assert!(heard >= proto::clock::BURST);
    let mut filter = filter.lock().expect("whole");
    let Some(Offset(offset)) = filter.offset(now()) else { panic!("no offset") };
    let bound = filter.error_us().expect("a bound").ceil() as i64 + 1;
    assert!((offset - AHEAD_US).abs() <= bound, "{offset} us, {bound} at most");
}

#[tokio::test]
async fn a_peer_that_answers_no_pings_is_given_up() {
    let (mut dialled, _socket) = dialled().await;
    tokio::time::pause();
    let filter = Mutex::new(Filter::new());
    let error = keep_clock(&mut dialled, &filter, |_| {}).await;
    assert!(matches!(error, ConnError::Timeout(_)), "{error}");
}
