//! Files of sound alone: MP3, FLAC, WAV, Ogg.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| instep_fuzz::check_reader(data, false));
