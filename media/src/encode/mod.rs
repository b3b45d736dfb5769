//! Encoders: pictures and sound in, packets out.
//!
//! ```text
//! h264   openh264, Constrained Baseline without B-frames
//! jpeg   one picture, one JPEG
//! still  one picture of a stream, turned and fitted, as a JPEG
//! opus   libopus, 20 ms a packet
//! ```

pub mod h264;
mod jpeg;
mod opus;
mod still;

pub use h264::H264Encoder;
pub use jpeg::jpeg;
pub use opus::OpusEncoder;
pub use still::still;

/// Why something cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture's size is one the codec does not take.
    #[error("{codec} cannot encode pictures of {width}x{height}; choose {allowed}")]
    Size {
        /// For people.
        codec: &'static str,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The sizes it takes, for people.
        allowed: &'static str,
    },
    /// A setting that the codec does not take.
    #[error("{codec} cannot encode {what}; choose {allowed}")]
    Setting {
        /// For people.
        codec: &'static str,
        /// What was asked for.
        what: String,
        /// What it takes, for people.
        allowed: &'static str,
    },
    /// The encoder itself failed.
    #[error("the {codec} encoder failed: {reason}")]
    Failed {
        /// For people.
        codec: &'static str,
        /// As the encoder says it.
        reason: String,
    },
}
