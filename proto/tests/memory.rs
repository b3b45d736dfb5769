//! A length is only a claim: what it claims is not allocated. One test, so that nothing else
//! allocates meanwhile.

mod common;

use bytes::{Bytes, BytesMut};
use peak_alloc::PeakAlloc;
use proto::frame::{Decoder, LENGTH_PREFIX};
use proto::{Message, limits};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// serde reserves (and never touches) up to 1 MiB for a list; texts and errors need little.
const RESERVED: usize = (1 << 20) + 4 * limits::HELLO;

/// Most bytes that were allocated at once while `work` ran.
fn peak(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

#[test]
fn claimed_lengths_are_not_allocated() {
    let claims = [1 << 20, 15 << 20, u64::from(u32::MAX), i64::MAX as u64, u64::MAX];
    for claim in claims {
        let mut buffer = BytesMut::from(&claim.to_le_bytes()[..]);
        let used = peak(|| {
            let mut decoder = Decoder::new();
            decoder.set_limit(limits::MESSAGE);
            let _ = decoder.next(&mut buffer);
        });
        assert!(used < limits::HELLO, "a prefix that claims {claim} bytes allocated {used}");
    }

    for (name, message) in common::golden() {
        let body = message.encode().slice(LENGTH_PREFIX..);
        // Every place a length could stand at.
        for at in 0..body.len().saturating_sub(8) {
            for claim in claims {
                let mut bytes = body.to_vec();
                bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
                let bytes = Bytes::from(bytes);
                let used = peak(|| drop(Message::decode(bytes)));
                assert!(used <= RESERVED, "{name}: {claim} at {at} allocated {used} bytes");
            }
        }
    }
}
