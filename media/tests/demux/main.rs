//! The demuxers on files that these tests make, byte by byte, and on the sample movies.
//!
//! ```text
//! build      MP4, Matroska, WAV and other files from a list of samples
//! mp4        times, edits, fragments, rotation, what is refused
//! truncated  every file cut at every box
//! hostile    random, flipped and absurd bytes: no panic, no end of memory, always an end
//! samples    packets against what ffprobe says, and everything that goes through ffmpeg
//! ```

mod build;
mod hostile;
mod mp4;
mod samples;
mod truncated;
