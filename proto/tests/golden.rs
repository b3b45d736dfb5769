//! `samples/wire/` holds the bytes of every message. They are the protocol: if one of these tests
//! fails, the wire has changed and peers of yesterday no longer understand it.
//!
//! Where that is meant (a new message), write the files anew and put the change into
//! `docs/PROTOCOL.md` in the same commit: `UPDATE_WIRE=1 cargo test -p proto --test golden`

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use proto::Message;
use proto::frame::{Decoder, Next};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/wire")
}

/// Sixteen bytes a line, as `xxd -p -c 16` and `xxd -r -p` have them.
fn to_hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(16).map(line).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let update = std::env::var_os("UPDATE_WIRE").is_some();
    for (name, message) in common::golden() {
        let path = folder().join(name).with_extension("hex");
        let encoded = to_hex(&message.encode());
        if update {
            fs::create_dir_all(folder()).expect("a writable tree");
            fs::write(&path, &encoded).expect("a writable tree");
        }
        let golden = fs::read_to_string(&path).expect("a golden file; see the top of this test");
        assert_eq!(encoded, golden, "{name} changed on the wire");
    }
}

#[test]
fn the_golden_bytes_are_read_as_what_they_say() {
    for (name, message) in common::golden() {
        let text = fs::read_to_string(folder().join(name).with_extension("hex"))
            .expect("a golden file; see the top of this test");
        let mut buffer = BytesMut::from(&from_hex(&text)[..]);
        let Next::Body(body) = Decoder::new().next(&mut buffer).expect("a frame") else {
            panic!("{name} is cut short");
        };
        assert!(buffer.is_empty(), "{name} has bytes behind its frame");
        assert_eq!(Message::decode(body).expect("a message"), message, "{name}");
    }
}

#[test]
fn there_is_a_golden_file_for_every_number_and_none_besides() {
    let golden = common::golden();
    let number = |message: &Message| u32::from_le_bytes(*body(message).first_chunk().expect("4"));
    let numbers: BTreeSet<u32> = golden.iter().map(|(_, message)| number(message)).collect();
    let mut unknown = 0u32.to_le_bytes().to_vec();
    unknown[0] = numbers.len() as u8;
    assert!(numbers.iter().copied().eq(0..numbers.len() as u32), "numbers are left out");
    let error = Message::decode(Bytes::from(unknown)).expect_err("no such message").to_string();
    assert!(error.contains("variant"), "a message has no golden bytes: {error}");

    for (name, message) in &golden {
        let (prefix, _) = name.split_once('-').expect("NUMBER-NAME");
        assert_eq!(prefix, format!("{:02}", number(message)), "{name}");
    }
    let expected: BTreeSet<String> = golden.iter().map(|(name, _)| format!("{name}.hex")).collect();
    let found: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of golden bytes")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, expected);
}

fn body(message: &Message) -> Bytes {
    message.encode().slice(proto::frame::LENGTH_PREFIX..)
}
