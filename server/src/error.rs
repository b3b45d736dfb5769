//! What can go wrong, one sentence each with the way out.

use crate::source::camera;

/// Why the server cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A movie or an input that cannot be served.
    #[error(transparent)]
    Demux(#[from] media::demux::Error),
    /// A folder that cannot be a library.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// A camera that cannot be used.
    #[error(transparent)]
    Camera(#[from] camera::Error),
    /// A microphone that cannot be used.
    #[error(transparent)]
    Microphone(#[from] crate::source::microphone::Error),
    /// Pictures or sound that cannot be encoded.
    #[error("{0}: {1}")]
    Encode(String, media::encode::Error),
    /// Two streams of one name, or a name that is none.
    #[error(transparent)]
    Name(#[from] relay::NameTaken),
    /// `--name` with several streams.
    #[error("--name names one stream, and there are {0}: leave it out, or start a server for each")]
    OneName(usize),
    /// The picture is not one the test pattern can be drawn on.
    #[error("the test pattern needs at least 160x90 pixels, not {0}: give a larger --size")]
    TooSmall(crate::cli::Size),
    /// A port that cannot be listened on.
    #[error(transparent)]
    Listen(#[from] relay::listen::BindError),
    /// A run of a stream that cannot begin or go on.
    #[error("{name}: {source}")]
    Append {
        /// The stream.
        name: String,
        /// Why.
        source: relay::AppendError,
    },
    /// The relay does not take a stream that is pushed to it.
    #[error(transparent)]
    Push(#[from] relay::upstream::PushError),
    /// The system is out of threads or the like.
    #[error("the system does not let the server start: {0}")]
    System(#[from] std::io::Error),
}
