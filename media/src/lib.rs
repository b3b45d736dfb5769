//! What knows codecs: pictures and sound to packets and back, and recordings.
//!
//! ```text
//! demux     movies and addresses to packets, as they are or through ffmpeg
//! decode    packets to pictures and sound
//! encode    pictures and sound to packets
//! mux       packets to fragmented MP4: for files, browsers, HLS
//! record    packets to .mkv and .mp4 files, untouched
//! transcode sound of any codec as Opus
//! segment   movies read from any point: an index of segments, a poster
//! subtitle  texts beside a movie and within it, as WebVTT
//! picture   decoded pictures, their colours, fitting them into windows
//! sound     decoded sound
//! h264      NAL units, avcC records, parameter sets
//! ```
//!
//! Everything here is blocking and `Send`; the only thing known of the network is `proto`'s types.

pub mod decode;
pub mod demux;
pub mod encode;
pub mod h264;
pub mod mux;
pub mod picture;
pub mod record;
pub mod segment;
pub mod sound;
pub mod subtitle;
pub mod transcode;

pub use picture::Picture;
pub use sound::Sound;
