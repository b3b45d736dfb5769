//! The connection over a pipe in memory: slow, cut, cancelled, foreign.

mod common;

use std::time::Duration;

use bytes::BytesMut;
use proto::conn::{ConnError, Reader, Writer, greet};
use proto::message::{Ping, Welcome};
use proto::time::Stamp;
use proto::{CloseCode, Message, Role, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const SECOND: Duration = Duration::from_secs(1);

fn ping(us: i64) -> Message {
    Message::Ping(Ping { sent_us: Stamp(us) })
}

/// All golden messages but `Close`, which ends a connection, and their bytes in a row.
fn said() -> (Vec<Message>, BytesMut) {
    let mut bytes = BytesMut::new();
    let messages: Vec<Message> = common::golden()
        .into_iter()
        .map(|(_, message)| message)
        .filter(|message| !matches!(message, Message::Close(_)))
        .collect();
    messages.iter().for_each(|message| message.encode_into(&mut bytes));
    (messages, bytes)
}

#[tokio::test]
async fn what_is_written_is_read() {
    let (messages, _) = said();
    let (near, far) = duplex(64);
    let (mut reader, mut writer) = (Reader::new(far), Writer::new(near, SECOND));
    let write = async {
        for message in &messages {
            writer.write(message).await.expect("written");
        }
    };
    let read = async {
        for message in &messages {
            assert_eq!(&reader.read().await.expect("a message"), message);
        }
    };
    tokio::join!(write, read);
    drop(writer);
    assert!(matches!(reader.read().await, Err(ConnError::Cut)));
}

#[tokio::test]
async fn one_byte_at_a_time_is_read() {
    let (messages, bytes) = said();
    // A pipe that holds one byte: every read gives just that.
    let (mut near, far) = duplex(1);
    let mut reader = Reader::new(far);
    let write = async {
        for byte in bytes {
            near.write_u8(byte).await.expect("written");
        }
    };
    let read = async {
        for message in &messages {
            assert_eq!(&reader.read().await.expect("a message"), message);
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_cut_is_noticed_wherever_it_falls() {
    let whole = common::golden()[0].1.encode();
    for cut in 0..whole.len() {
        let (mut near, far) = duplex(4096);
        near.write_all(&whole[..cut]).await.expect("written");
        drop(near);
        let error = Reader::new(far).read().await.expect_err("cut");
        assert!(matches!(error, ConnError::Cut), "cut at {cut}: {error}");
        assert_eq!(error.close_code(), None, "nobody is left to be told");
    }
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let (messages, bytes) = said();
    let (mut near, far) = duplex(64 << 10);
    let mut reader = Reader::new(far);
    let mut read = Vec::new();
    for byte in bytes {
        near.write_u8(byte).await.expect("written");
        // `biased`: the read takes what is there, then is dropped in mid-message.
        tokio::select! {
            biased;
            message = reader.read() => read.push(message.expect("a message")),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(read, messages);
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_trickles_does_not_outlast_the_deadline() {
    let (mut near, far) = duplex(64);
    let trickle = tokio::spawn(async move {
        for byte in common::golden()[0].1.encode() {
            tokio::time::sleep(SECOND).await;
            if near.write_u8(byte).await.is_err() {
                return;
            }
        }
    });
    let started = tokio::time::Instant::now();
    let error = Reader::new(far).read_within(limits::HANDSHAKE).await.expect_err("too slow");
    assert!(matches!(error, ConnError::Timeout(limits::HANDSHAKE)), "{error}");
    assert_eq!(started.elapsed(), limits::HANDSHAKE);
    trickle.await.expect("the peer ends when it is closed");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let (near, _far) = duplex(16);
    let mut writer = Writer::new(near, SECOND);
    let (_, packet) = common::golden().swap_remove(14);
    assert_eq!(packet.kind(), "Packet");
    let error = writer.write(&packet).await.expect_err("nobody reads");
    assert!(matches!(error, ConnError::Timeout(SECOND)), "{error}");
}

#[tokio::test]
async fn a_close_is_the_last_word() {
    let (near, far) = duplex(4096);
    let mut writer = Writer::new(near, SECOND);
    writer.write(&Message::close(CloseCode::NoSuchStream, "no 'x' here")).await.expect("written");
    match Reader::new(far).read().await {
        Err(ConnError::Closed { code: Some(CloseCode::NoSuchStream), reason }) => {
            assert_eq!(reason, "no 'x' here");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_of_tomorrow_still_ends_the_connection() {
    let (near, far) = duplex(4096);
    let close = proto::message::Close { code: 999, reason: "a new reason".into() };
    Writer::new(near, SECOND).write(&Message::Close(close)).await.expect("written");
    match Reader::new(far).read().await {
        Err(ConnError::Closed { code: None, reason }) => assert_eq!(reason, "a new reason"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stranger_may_not_send_much() {
    let (mut near, far) = duplex(64);
    near.write_u64_le(limits::HELLO as u64 + 1).await.expect("written");
    let error = Reader::new(far).read().await.expect_err("too large");
    assert_eq!(error.close_code(), Some(CloseCode::TooLarge));
}

#[tokio::test]
async fn the_largest_packet_passes_once_the_peer_is_trusted() {
    let mut packet = proto::Packet::default();
    let header = Message::Packet(packet.clone()).encode().len() - proto::frame::LENGTH_PREFIX;
    packet.payload = vec![7; limits::MESSAGE - header].into();
    let (near, far) = duplex(256 << 10);
    let (mut reader, mut writer) = (Reader::new(far), Writer::new(near, SECOND * 60));
    reader.trust(limits::MESSAGE);
    let message = Message::Packet(packet);
    let (written, read) = tokio::join!(writer.write(&message), reader.read());
    written.expect("written");
    assert_eq!(read.expect("a packet"), message);
}

#[tokio::test]
async fn other_protocols_on_the_port_are_named() {
    for (first, name) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"RTSP/1.0 400 Bad Request\r\n", "RTSP"),
    ] {
        let (mut near, far) = duplex(4096);
        near.write_all(first).await.expect("written");
        let error = Reader::new(far).read().await.expect_err(name);
        assert_eq!(error.close_code(), Some(CloseCode::WrongProtocol));
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Greets a peer that answers with `answer`.
async fn greeted_with(answer: &[u8]) -> Result<Welcome, ConnError> {
    let (near, mut far) = duplex(4096);
    far.write_all(answer).await.expect("written");
    let (read, write) = tokio::io::split(near);
    greet(&mut Reader::new(read), &mut Writer::new(write, SECOND), Role::View, None, "test").await
}

#[tokio::test]
async fn a_greeting_ends_in_a_welcome_or_a_reason() {
    let welcome = Welcome { version: 1, node: 7, agent: "peer".into() };
    let answer = Message::Welcome(welcome.clone()).encode();
    assert_eq!(greeted_with(&answer).await.expect("welcome"), welcome);

    let answer = Message::close(CloseCode::Unauthorized, "").encode();
    let error = greeted_with(&answer).await.expect_err("closed");
    assert_eq!(error.to_string(), "not authorised");

    let error = greeted_with(&ping(0).encode()).await.expect_err("out of order");
    assert_eq!(error.to_string(), "a Ping message where Welcome was expected");
    assert_eq!(error.close_code(), Some(CloseCode::OutOfOrder));
}

#[tokio::test]
async fn a_greeting_says_hello_first() {
    let (near, mut far) = duplex(4096);
    let (read, write) = tokio::io::split(near);
    let expected = Message::hello(Role::Control, Some("secret".into()), "test").encode();
    let dialler = tokio::spawn(async move {
        let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, SECOND));
        greet(&mut reader, &mut writer, Role::Control, Some("secret".into()), "test").await
    });
    let mut said = vec![0; expected.len()];
    far.read_exact(&mut said).await.expect("a hello");
    assert_eq!(said, expected);
    drop(far);
    assert!(matches!(dialler.await.expect("no panic"), Err(ConnError::Cut)));
}

#[tokio::test]
async fn what_was_read_too_much_is_handed_on() {
    let (mut near, far) = duplex(4096);
    let mut bytes = BytesMut::new();
    ping(1).encode_into(&mut bytes);
    bytes.extend_from_slice(b"rest");
    near.write_all(&bytes).await.expect("written");
    let mut reader = Reader::new(far);
    assert_eq!(reader.read().await.expect("a ping"), ping(1));
    assert_eq!(&reader.into_parts().1[..], b"rest");
}

#[test]
fn the_clock_only_counts_on() {
    let mut last = proto::conn::now();
    for _ in 0..1000 {
        let now = proto::conn::now();
        assert!(now >= last);
        last = now;
    }
    assert!(last.0 > 1_700_000_000_000_000, "microseconds since 1970");
}
