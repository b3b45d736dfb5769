//! MP4 files, whole and fragmented.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| instep_fuzz::check_mp4(data));
