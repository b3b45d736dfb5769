//! Every message: a body that can be read is written again as the same bytes.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use proto::Message;
use proto::frame::LENGTH_PREFIX;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(&message.encode()[LENGTH_PREFIX..], data, "{message:?} has a second spelling");
    }
});
