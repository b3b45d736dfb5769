//! The webhook: another program is told by HTTP that a room opened or somebody joined.
//!
//! One thread sends, one after another: what that program does not take in time is left out, and rooms
//! do not wait for it.

use std::time::Duration;

use proto::room::RoomCode;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::rules::{About, Event};

/// Most that waits to be told; what comes then is left out.
const QUEUE: usize = 256;
/// The other program has so long for each.
const PATIENCE: Duration = Duration::from_secs(5);

/// The thread that tells cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the thread for --announce-url cannot be started: {0}")]
pub struct Error(std::io::Error);

/// What is told, as JSON.
#[derive(Debug, Serialize)]
struct Note {
    event: &'static str,
    /// Left out for private rooms: who reads it could come in.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    stream: String,
    member: String,
    /// When, as RFC 3339 has it.
    at: String,
}

/// Tells another program. Clones tell the same one.
#[derive(Clone, Debug)]
pub(super) struct Hook(mpsc::Sender<Note>);

impl Hook {
    /// Tells who listens at `url`.
    pub(super) fn new(url: String) -> Result<Self, Error> {
        let (notes, noted) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("announce".to_owned());
        thread.spawn(move || tell(&url, noted)).map_err(Error)?;
        Ok(Self(notes))
    }

    pub(super) fn tell(&self, about: &About, event: Event) {
        let (event, member) = match event {
            Event::Opened(member) => ("room_opened", member),
            Event::Joined(member) => ("member_joined", member),
        };
        let room = (!about.settings.private).then_some(about.code);
        let note = Note {
            event,
            room: room.as_ref().map(RoomCode::to_string),
            stream: about.stream.clone(),
            member,
            at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        };
        if self.0.try_send(note).is_err() {
            tracing::debug!("--announce-url: too much at once, one event is left out");
        }
    }
}

fn tell(url: &str, mut noted: mpsc::Receiver<Note>) {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        // What is told goes where the operator said, and nowhere else.
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("cache-server/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut ill = false;
    while let Some(note) = noted.blocking_recv() {
        match send(&agent, url, &note) {
            Ok(()) if ill => {
                ill = false;
                tracing::warn!("--announce-url: events are taken again");
            }
            Ok(()) => {}
            Err(error) if ill => tracing::debug!("--announce-url: {error}"),
            Err(error) => {
                ill = true;
                tracing::warn!(
                    "--announce-url: an event was not taken ({error}), nor may the next be"
                );
            }
        }
    }
}

fn send(agent: &ureq::Agent, url: &str, note: &Note) -> Result<(), String> {
    let json = serde_json::to_string(note).map_err(|error| error.to_string())?;
    let request = agent.post(url).header("content-type", "application/json");
    let answer = request.send(json).map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}
