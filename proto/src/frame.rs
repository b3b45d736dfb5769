//! `u64` little-endian length + body: cuts a byte stream into bodies.

use bytes::{Bytes, BytesMut};

use crate::{CloseCode, limits};

/// Bytes of the length prefix.
pub const LENGTH_PREFIX: usize = 8;

/// Cuts frames from what arrives. Holds at most one incomplete frame, never beyond its limit.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    started: bool,
}

/// A length that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The very first bytes are those of a well-known other protocol.
    #[error("this is {0}, not the protocol spoken here")]
    Foreign(Foreign),
    /// A length above the limit.
    #[error("a message of {length} bytes, {limit} are allowed")]
    TooLarge {
        /// As the prefix says.
        length: u64,
        /// What is allowed.
        limit: usize,
    },
}

/// Other protocols that are met on a wrong port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A request or a response of HTTP/1 or HTTP/2's preface.
    Http,
    /// A TLS record.
    Tls,
    /// An SSH banner.
    Ssh,
    /// An RTSP request or response.
    Rtsp,
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
            Self::Rtsp => "RTSP",
        })
    }
}

impl Foreign {
    /// Recognises the first bytes of a connection.
    #[must_use]
    pub fn recognise(first: &[u8]) -> Option<Self> {
        const HTTP: [&[u8]; 12] = [
            b"GET ",
            b"HEAD ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"OPTIONS ",
            b"PATCH ",
            b"CONNECT ",
            b"HTTP/",
            b"PRI * ",
            // What HTTP/0.9 answers, and servers that take us for it.
            b"<!DOCTYP",
            b"<html",
        ];
        const RTSP: [&[u8]; 2] = [b"RTSP/", b"DESCRIBE"];
        if HTTP.iter().any(|start| first.starts_with(start)) {
            Some(Self::Http)
        } else if RTSP.iter().any(|start| first.starts_with(start)) {
            Some(Self::Rtsp)
        } else if first.starts_with(b"SSH-") {
            Some(Self::Ssh)
        } else if matches!(first, [0x14..=0x17, 3, 1..=4, ..]) {
            // Type, then version 3.1 to 3.4. (3.0 would be a fine length for a hello.)
            Some(Self::Tls)
        } else {
            None
        }
    }
}

impl FrameError {
    /// The code to close the connection with.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::Foreign(_) => CloseCode::WrongProtocol,
            Self::TooLarge { .. } => CloseCode::TooLarge,
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Starts with the small limit for strangers, [`limits::HELLO`].
    #[must_use]
    pub fn new() -> Self {
        Self { limit: limits::HELLO, started: false }
    }

    /// Changes the limit, once the peer has said hello.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The other protocol that a peer speaks which ended before its first whole frame: a TLS alert
    /// is shorter than a length prefix.
    #[must_use]
    pub fn foreign(&self, buffer: &BytesMut) -> Option<Foreign> {
        (!self.started).then(|| Foreign::recognise(buffer)).flatten()
    }

    /// Takes the next whole body off the front of `buffer`, or says how many bytes are missing.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Next, FrameError> {
        let Some(prefix) = buffer.first_chunk::<LENGTH_PREFIX>() else {
            return Ok(Next::Missing(LENGTH_PREFIX - buffer.len()));
        };
        if let Some(foreign) = (!self.started).then(|| Foreign::recognise(prefix)).flatten() {
            return Err(FrameError::Foreign(foreign));
        }
        let length = u64::from_le_bytes(*prefix);
        // Before anything is added to it or allocated for it.
        if length > self.limit as u64 {
            return Err(FrameError::TooLarge { length, limit: self.limit });
        }
        self.started = true;
        let whole = LENGTH_PREFIX + length as usize;
        if buffer.len() < whole {
            return Ok(Next::Missing(whole - buffer.len()));
        }
        let mut frame = buffer.split_to(whole);
        Ok(Next::Body(frame.split_off(LENGTH_PREFIX).freeze()))
    }
}

/// See [`Decoder::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole body, without its prefix.
    Body(Bytes),
    /// At least this many bytes more are needed.
    Missing(usize),
}
