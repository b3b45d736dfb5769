//! A film from an address: by HTTP, from hosts that everybody can reach.
//!
//! Names are resolved here, once for each connection; every address that a name has is looked at, and
//! the connection goes to one of those: a name that is answered otherwise a moment later changes nothing.
//! A redirect is another connection, and looked at like the first. No proxy is used.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::IpAddr;
use std::time::Instant;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use super::{Refusal, address, limits};

/// Looks at every address that a name has.
struct Guarded<R> {
    inner: R,
    allowed: fn(IpAddr) -> bool,
}

impl<R> fmt::Debug for Guarded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

/// Why a host is not asked.
#[derive(Debug, thiserror::Error)]
enum Forbidden {
    #[error(
        "'{0}' is in a network that is not everybody's, and this relay fetches nothing from there; \
         download the film and add the file"
    )]
    Inside(String),
    #[error("the address leads to one with a password in it, and none is sent")]
    Password,
}

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(Error::Other(Box::new(Forbidden::Password)));
        }
        let found = self.inner.resolve(uri, config, timeout).map_err(|error| match error {
            Error::Io(_) => Error::HostNotFound,
            other => other,
        })?;
        if found.iter().all(|address| (self.allowed)(address.ip())) {
            return Ok(found);
        }
        let host = uri.host().unwrap_or_default().to_owned();
        Err(Error::Other(Box::new(Forbidden::Inside(host))))
    }
}

/// Fetches films.
#[derive(Debug)]
pub(super) struct Fetcher(Agent);

impl Fetcher {
    /// `inside`: also from networks that are not everybody's.
    pub(super) fn new(inside: bool) -> Self {
        let allowed = if inside { |_| true } else { address::is_elsewhere };
        Self::with(DefaultResolver::default(), allowed)
    }

    fn with(inner: impl Resolver, allowed: fn(IpAddr) -> bool) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(limits::REDIRECTS)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .timeout_resolve(Some(limits::CONNECT))
            .timeout_connect(Some(limits::CONNECT))
            .timeout_per_read(Some(limits::SILENCE))
            .timeout_per_write(Some(limits::SILENCE))
            .timeout_recv_response(Some(limits::SILENCE))
            .timeout_global(Some(limits::FETCHING))
            .user_agent(concat!("instep/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = Guarded { inner, allowed };
        Self(Agent::with_parts(config, DefaultConnector::default(), resolver))
    }

    /// Fetches all that is at `url`: says how many bytes there will be, if that is known, then hands
    /// them over as they come. Either may say why it is not to go on.
    ///
    /// # Errors
    /// Why it cannot be had, in a sentence.
    pub(super) fn fetch(
        &self,
        url: &str,
        begin: impl FnOnce(Option<u64>) -> Result<(), String>,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let failed = |error: Error| said(&error, url);
        let response = self.0.get(url).call().map_err(failed)?;
        let status = response.status();
        if status != 200 {
            return Err(format!("the host answers {status}; check the address"));
        }
        let kind = response.body().mime_type().unwrap_or_default();
        if matches!(kind, "text/html" | "application/xhtml+xml") {
            return Err("there is a page at this address, not a film; \
                        give the address of the film itself"
                .to_owned());
        }
        begin(response.body().content_length())?;
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut chunk = vec![0; limits::CHUNK];
        let mut pace = Pace { since: Instant::now(), bytes: 0 };
        loop {
            match body.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(bytes) => {
                    take(&chunk[..bytes])?;
                    if !pace.is_kept(Instant::now(), bytes as u64) {
                        return Err("the host sends it too slowly; \
                                    download the film and add the file"
                            .to_owned());
                    }
                }
                Err(error) => return Err(said(&Error::from(error), url)),
            }
        }
    }
}

/// How much a host sends in a time.
struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Counts what came; whether that is enough.
    fn is_kept(&mut self, now: Instant, bytes: u64) -> bool {
        self.bytes += bytes;
        if now.saturating_duration_since(self.since) < limits::PACE {
            return true;
        }
        let enough = self.bytes >= limits::PACE_BYTES;
        *self = Self { since: now, bytes: 0 };
        enough
    }
}

fn said(error: &Error, url: &str) -> String {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let host = host.unwrap_or_default();
    match error {
        Error::Other(why) => why.to_string(),
        Error::HostNotFound => format!("there is no host '{host}'; check the address"),
        Error::Timeout(_) => {
            format!(
                "'{host}' takes too long; try again later, or download the film and add the file"
            )
        }
        Error::TooManyRedirects => "the address leads from one to the next without end".to_owned(),
        Error::BadUri(_) => "the address leads to one that is none".to_owned(),
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("nothing answers at '{host}'; check the address")
            }
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => {
                format!(
                    "the connection to '{host}' broke; try again later, or download the film \
                     and add the file"
                )
            }
            _ => format!("'{host}' does not give it: {error}; check the address"),
        },
        other => format!("'{host}' does not give it: {other}; check the address"),
    }
}

/// What the film at an address may be called, if it is one.
///
/// # Errors
/// It is not an address of the web, or has a password in it.
pub(super) fn title(url: &str) -> Result<String, Refusal> {
    let uri: Uri = url.parse().map_err(|_| Refusal::bad_url())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    if !is_web || host.is_empty() || authority.contains('@') || url.len() > limits::URL {
        return Err(Refusal::bad_url());
    }
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let decoded = decode(last);
    Ok(if decoded.trim().is_empty() { host.to_owned() } else { decoded })
}

/// Percent-encoding undone (RFC 3986 §2.1); what is not UTF-8 is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let coded = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let coded = coded.and_then(|two| u8::from_str_radix(two, 16).ok());
        match coded.filter(|_| byte == b'%') {
            Some(coded) => {
                bytes.push(coded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
