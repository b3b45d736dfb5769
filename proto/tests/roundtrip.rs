//! Whatever may be said is read back as it was said, however the bytes are cut on the way.

mod common;

use bytes::BytesMut;
use proptest::prelude::*;
use proto::Message;
use proto::frame::{Decoder, Next};
use proto::limits;

/// Feeds `bytes` in pieces of the given lengths (over and over) and gives the messages.
fn read_in_pieces(bytes: &[u8], pieces: &[usize]) -> Vec<Message> {
    let mut decoder = Decoder::new();
    decoder.set_limit(limits::MESSAGE);
    let (mut buffer, mut messages, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    let mut lengths = pieces.iter().cycle();
    while !rest.is_empty() {
        let length = (*lengths.next().expect("a cycle")).min(rest.len());
        buffer.extend_from_slice(&rest[..length]);
        rest = &rest[length..];
        loop {
            match decoder.next(&mut buffer).expect("frames") {
                Next::Body(body) => messages.push(Message::decode(body).expect("a message")),
                Next::Missing(bytes) => {
                    assert!(bytes > 0, "nothing is missing, and yet there is no body");
                    break;
                }
            }
        }
    }
    assert!(buffer.is_empty(), "bytes were left behind the last message");
    messages
}

proptest! {
    #[test]
    fn a_message_survives_the_wire(message in common::any_message()) {
        let encoded = message.encode();
        prop_assert_eq!(read_in_pieces(&encoded, &[encoded.len()]), vec![message.clone()]);

        let mut appended = BytesMut::from(&b"before"[..]);
        message.encode_into(&mut appended);
        prop_assert_eq!(&appended[..6], b"before");
        prop_assert_eq!(&appended[6..], &encoded[..]);
    }

    #[test]
    fn cuts_on_the_way_do_not_matter(
        messages in proptest::collection::vec(common::any_message(), 1..6),
        pieces in proptest::collection::vec(1usize..40, 1..20),
    ) {
        let mut bytes = BytesMut::new();
        for message in &messages {
            message.encode_into(&mut bytes);
        }
        prop_assert_eq!(read_in_pieces(&bytes, &pieces), messages);
    }

    #[test]
    fn a_close_is_always_sayable(code in 0usize..19, reason in any::<String>()) {
        let close = Message::close(proto::CloseCode::ALL[code], &reason);
        let read = read_in_pieces(&close.encode(), &[64]);
        prop_assert_eq!(read, vec![close]);
    }
}

#[test]
fn a_packets_payload_is_not_copied() {
    let packet = common::golden().into_iter().find(|(name, _)| *name == "10-packet");
    let (_, message) = packet.expect("a golden packet");
    let body = message.encode().slice(proto::frame::LENGTH_PREFIX..);
    let Message::Packet(packet) = Message::decode(body.clone()).expect("a packet") else {
        panic!("not a packet");
    };
    let end = body.as_ptr_range().end;
    assert_eq!(packet.payload.as_ptr_range().end, end, "the payload is a copy");
}
