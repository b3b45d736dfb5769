//! Why a session cannot go on: one sentence each, with the way out.

use std::fmt;

use proto::conn::ConnError;
use proto::dial::DialError;
use proto::{CloseCode, StreamInfo};

/// See [`super::run`].
#[derive(Debug)]
pub enum SessionError {
    /// The server cannot be talked to.
    Dial(DialError),
    /// The stream asked for is not there.
    NoSuchStream {
        /// Who was asked, HOST:PORT.
        address: String,
        /// The name; `None` when any would have done.
        stream: Option<String>,
        /// What there is.
        offered: Vec<StreamInfo>,
    },
    /// The stream is there, but nothing recorded of it.
    NotRecorded {
        /// Who was asked, HOST:PORT.
        address: String,
        /// Its name.
        stream: String,
    },
    /// There are several, and none was chosen.
    Ambiguous {
        /// Who was asked, HOST:PORT.
        address: String,
        /// What there is.
        offered: Vec<StreamInfo>,
    },
    /// The room is not entered, or has to be left; a sentence that says why.
    Room(String),
    /// The connection ended while the stream was watched.
    Connection {
        /// The other side, HOST:PORT.
        address: String,
        /// What went wrong.
        error: ConnError,
    },
}

impl SessionError {
    /// Whether the user has to choose among streams.
    #[must_use]
    pub fn is_choice(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }
}

impl std::error::Error for SessionError {}

impl From<DialError> for SessionError {
    fn from(error: DialError) -> Self {
        Self::Dial(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::NoSuchStream { address, stream, offered } => {
                no_such_stream(f, address, stream.as_deref(), offered)
            }
            Self::Ambiguous { address, offered } => write!(
                f,
                "{address} offers {} streams; choose one with --stream NAME",
                offered.len()
            ),
            Self::NotRecorded { address, stream } => write!(
                f,
                "nothing of '{stream}' at {address} is recorded: watch it live, without --start"
            ),
            Self::Room(reason) => f.write_str(reason),
            Self::Connection { address, error } => connection(f, address, error),
        }
    }
}

fn no_such_stream(
    f: &mut fmt::Formatter<'_>,
    address: &str,
    stream: Option<&str>,
    offered: &[StreamInfo],
) -> fmt::Result {
    match stream {
        Some(name) => write!(f, "{address} has no stream '{name}'; ")?,
        None => write!(f, "{address} has no stream; ")?,
    }
    if offered.is_empty() {
        f.write_str("it offers none at the moment, start one and try again")
    } else {
        write!(f, "it offers {}", names(offered))
    }
}

fn connection(f: &mut fmt::Formatter<'_>, address: &str, error: &ConnError) -> fmt::Result {
    match error {
        ConnError::Closed { code, reason } => {
            write!(f, "{address} ended the connection: {reason}")?;
            match code {
                Some(CloseCode::TooManyViewers | CloseCode::TooManyConnections) => {
                    f.write_str("; try again later, or at another relay")
                }
                Some(CloseCode::Unavailable) => f.write_str("; try again later"),
                Some(CloseCode::Unauthorized) => f.write_str("; ask whoever runs it"),
                _ => Ok(()),
            }
        }
        ConnError::Cut => write!(f, "the connection to {address} was cut"),
        ConnError::Timeout(silence) => {
            write!(f, "nothing was heard from {address} for {} s", silence.as_secs_f32())
        }
        ConnError::Io(error) => write!(f, "the connection to {address} failed: {error}"),
        other => write!(f, "{address} sent what cannot be understood: {other}"),
    }
}

/// The first few names, quoted.
fn names(streams: &[StreamInfo]) -> String {
    const MOST: usize = 8;
    let mut text: Vec<String> =
        streams.iter().take(MOST).map(|s| format!("'{}'", s.name)).collect();
    if streams.len() > MOST {
        text.push(format!("and {} more", streams.len() - MOST));
    }
    text.join(", ")
}
