//! Bytes nobody should have sent: each is refused with a reason and none panics.

mod common;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proto::frame::{Decoder, FrameError, LENGTH_PREFIX, Next};
use proto::message::DecodeError;
use proto::{CloseCode, Message, limits};

fn body(message: &Message) -> Bytes {
    message.encode().slice(LENGTH_PREFIX..)
}

fn framed(length: u64) -> BytesMut {
    BytesMut::from(&length.to_le_bytes()[..])
}

#[test]
fn every_truncation_of_a_frame_waits_for_exactly_the_rest() {
    for (name, message) in common::golden() {
        let whole = message.encode();
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            let missing = if cut < LENGTH_PREFIX { LENGTH_PREFIX } else { whole.len() } - cut;
            let next = Decoder::new().next(&mut buffer);
            assert_eq!(next, Ok(Next::Missing(missing)), "{name} cut at {cut}");
            assert_eq!(buffer.len(), cut, "{name}: an incomplete frame was eaten");
        }
    }
}

#[test]
fn every_truncation_of_a_body_is_refused() {
    for (name, message) in common::golden() {
        let whole = body(&message);
        // What is cut off a packet's end is payload: fewer bytes, still a packet.
        let header = match &message {
            Message::Packet(packet) => whole.len() - packet.payload.len(),
            _ => whole.len(),
        };
        for cut in 0..header {
            let error = Message::decode(whole.slice(..cut)).expect_err(name);
            assert_eq!(error.close_code(), CloseCode::Malformed, "{name} cut at {cut}: {error}");
        }
        for cut in header..whole.len() {
            assert!(Message::decode(whole.slice(..cut)).is_ok(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_read_as_something_that_can_be_said() {
    for (name, message) in common::golden() {
        let whole = body(&message);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = Message::decode(bytes.clone().into()) {
                assert_eq!(body(&read), bytes, "{name}: bit {bit} has a second spelling");
                assert_ne!(read, message, "{name}: bit {bit} means nothing");
            }
        }
    }
}

#[test]
fn bytes_left_over_are_refused() {
    for (name, message) in common::golden() {
        let mut bytes = body(&message).to_vec();
        bytes.extend_from_slice(b"xyz");
        match Message::decode(bytes.into()) {
            Ok(Message::Packet(packet)) => assert!(packet.payload.ends_with(b"xyz"), "{name}"),
            Err(DecodeError::LeftOver(3)) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn lengths_over_the_limit_are_refused_before_anything_comes() {
    for limit in [limits::HELLO, limits::MESSAGE] {
        let over = limit as u64 + 1;
        for length in [over, over * 2, u64::from(u32::MAX), 1 << 32, i64::MAX as u64, u64::MAX] {
            let mut decoder = Decoder::new();
            decoder.set_limit(limit);
            let error = decoder.next(&mut framed(length)).expect_err("far too long");
            assert_eq!(error, FrameError::TooLarge { length, limit });
            assert_eq!(error.close_code(), CloseCode::TooLarge);
        }
    }
}

#[test]
fn the_largest_length_allowed_is_waited_for() {
    let next = Decoder::new().next(&mut framed(limits::HELLO as u64));
    assert_eq!(next, Ok(Next::Missing(limits::HELLO)));
}

#[test]
fn no_length_a_stranger_may_send_is_taken_for_another_protocol() {
    for length in 0..=limits::HELLO as u64 {
        let next = Decoder::new().next(&mut framed(length));
        assert!(next.is_ok(), "a hello of {length} bytes: {next:?}");
    }
}

#[test]
fn other_protocols_are_recognised_by_their_first_bytes() {
    let cases: [(&[u8], &str); 9] = [
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"POST /live HTTP/1.0\r\n", "HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"RTSP/1.0 200 OK\r\n", "RTSP"),
        (b"DESCRIBE rtsp://camera/ RTSP/1.0\r\n", "RTSP"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "SSH"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"\x15\x03\x03\x00\x02\x02\x46\x00", "TLS"),
    ];
    for (first, expected) in cases {
        let error = Decoder::new().next(&mut BytesMut::from(first)).expect_err(expected);
        assert_eq!(error.close_code(), CloseCode::WrongProtocol);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn only_the_first_bytes_of_a_connection_are_searched_for_other_protocols() {
    let mut decoder = Decoder::new();
    decoder.set_limit(usize::MAX);
    decoder.next(&mut framed(0)).expect("an empty body");
    assert!(matches!(decoder.next(&mut BytesMut::from(&b"GET / HT"[..])), Ok(Next::Missing(_))));
}

#[test]
fn a_small_message_may_not_be_large() {
    let hello = Message::hello(proto::Role::View, Some("x".repeat(limits::HELLO)), "");
    let held = proto::message::Held { reason: "x".repeat(limits::CONTROL) };
    for message in [hello, Message::Held(held)] {
        let error = Message::decode(body(&message)).expect_err("too large");
        assert!(matches!(error, DecodeError::TooLarge { .. }), "{error}");
        assert_eq!(error.close_code(), CloseCode::TooLarge);
    }
}

#[test]
fn fields_out_of_bounds_are_named() {
    let refused = |message: &Message, field: &str| {
        let error = Message::decode(body(message)).expect_err(field);
        assert_eq!(error.close_code(), CloseCode::Malformed, "{error}");
        assert!(error.to_string().contains(field), "{error} should name {field}");
    };
    let description = |change: fn(&mut proto::StreamDescription)| {
        let mut description = common::description();
        change(&mut description);
        Message::Describe(description)
    };
    refused(&description(|d| d.name = "../etc".into()), "name");
    refused(&description(|d| d.title = "\u{1b}[2J".into()), "title");
    refused(&description(|d| d.tracks.clear()), "number of tracks");
    refused(
        &description(|d| d.tracks = vec![d.tracks[0].clone(); limits::TRACKS + 1]),
        "number of tracks",
    );
    refused(
        &description(|d| d.tracks[0].codec_config = vec![0; limits::CODEC_CONFIG + 1].into()),
        "codec configuration",
    );
    refused(&description(|d| d.tracks[0].language = "x".repeat(36)), "language");
    let mut hello = body(&Message::hello(proto::Role::View, None, "")).to_vec();
    hello[10] = b'\n';
    let error = Message::decode(hello.into()).expect_err("rewritten line ends");
    assert!(error.to_string().contains("magic"), "{error}");
    let long = "x".repeat(limits::TEXT + 1);
    refused(&Message::hello(proto::Role::View, Some(long.clone()), ""), "token");
    refused(&Message::hello(proto::Role::View, None, &long), "agent");
    refused(&Message::Held(proto::message::Held { reason: long }), "reason");
}

proptest! {
    #[test]
    fn random_bodies_never_panic_and_have_one_spelling(
        kind in 0u32..20,
        rest in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(rest);
        if let Ok(message) = Message::decode(bytes.clone().into()) {
            prop_assert_eq!(body(&message), bytes);
        }
    }

    #[test]
    fn random_streams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut decoder = Decoder::new();
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Next::Body(body)) = decoder.next(&mut buffer) {
            let _ = Message::decode(body);
        }
        prop_assert!(buffer.len() <= bytes.len());
    }

    #[test]
    fn damaged_messages_never_panic(
        message in common::any_message(),
        at in any::<prop::sample::Index>(),
        with in any::<[u8; 8]>(),
    ) {
        let mut bytes = body(&message).to_vec();
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + with.len());
        bytes[at..end].copy_from_slice(&with[..end - at]);
        if let Ok(read) = Message::decode(bytes.clone().into()) {
            prop_assert_eq!(body(&read), bytes);
        }
    }
}
