//! The frame codec, fed as a socket would feed it: the first byte of the input chooses the size of
//! the pieces, the rest is what a peer sends.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proto::frame::{Decoder, LENGTH_PREFIX, Next};
use proto::limits;

fuzz_target!(|data: &[u8]| {
    let Some((size, stream)) = data.split_first() else { return };
    let (mut decoder, mut buffer, mut bodies) = (Decoder::new(), BytesMut::new(), 0);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Next::Body(body)) => {
                    assert!(body.len() <= limits::MESSAGE);
                    bodies += body.len() + LENGTH_PREFIX;
                    // As after a hello.
                    decoder.set_limit(limits::MESSAGE);
                }
                Ok(Next::Missing(bytes)) => {
                    assert!(bytes > 0 && bytes <= limits::MESSAGE + LENGTH_PREFIX);
                    break;
                }
                Err(_) => return,
            }
        }
    }
    assert_eq!(bodies + buffer.len(), stream.len(), "bytes were lost or made up");
});
