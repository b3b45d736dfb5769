//! avcC records, parameter sets and NAL units: they come from files and from the network.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::h264::{self, Avcc, Sps};

fuzz_target!(|data: &[u8]| {
    let inside = |part: &[u8]| {
        let (whole, part) = (data.as_ptr_range(), part.as_ptr_range());
        assert!(part.start >= whole.start && part.end <= whole.end);
    };
    for size in 1..=4 {
        h264::length_prefixed(data, size).for_each(inside);
        let _ = h264::is_idr(data, size);
    }
    h264::annex_b(data).for_each(inside);
    if let Some(avcc) = Avcc::parse(data) {
        let _ = avcc.first_sps();
        if let Some(bytes) = avcc.to_bytes() {
            let again = Avcc::parse(&bytes).expect("what we write can be read");
            assert_eq!(again.to_bytes(), Some(bytes));
        }
    }
    if let Some(sps) = Sps::parse(data) {
        let _ = sps.max_dpb_frames();
    }
});
