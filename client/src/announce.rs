//! What is said at the terminal when things change, each once.

use std::sync::Arc;

use proto::StreamDescription;

use crate::hud::{buffering, held};
use crate::output::{self, remark};
use crate::shared::Status;
use crate::stats::State;

/// Compares the board with what was said last.
#[derive(Debug)]
pub struct Announcer {
    address: String,
    told: Status,
    /// It was said that a recording stopped for more to come.
    said_buffering: bool,
}

impl Announcer {
    /// Nothing was said of this server yet.
    #[must_use]
    pub fn new(address: String) -> Self {
        Self { address, told: Status::default(), said_buffering: false }
    }

    /// Says what is new.
    pub fn tell(&mut self, status: &Status) {
        if let Some(description) = &status.description {
            self.tell_stream(description);
        }
        self.tell_state(status);
        if status.undecodable != self.told.undecodable
            && let Some(reason) = &status.undecodable
        {
            remark(reason);
        }
        let told = self.told.said.back().map_or(0, |said| said.number);
        status.said.iter().filter(|said| said.number > told).for_each(|said| remark(&said.words));
        if status.invitation != self.told.invitation
            && let Some(invitation) = &status.invitation
        {
            remark(format_args!("others come in with: {invitation}"));
            output::qr_code(invitation);
        }
        if status.words != self.told.words {
            remark(&status.word);
        }
        self.told = status.clone();
    }

    fn tell_stream(&self, description: &Arc<StreamDescription>) {
        let told = self.told.description.as_ref();
        if told.is_none_or(|t| t.name != description.name || t.tracks != description.tracks) {
            let (name, address) = (&description.name, &self.address);
            remark(format_args!("watching '{name}' at {address}: {}", description.summary()));
        }
    }

    fn tell_state(&mut self, status: &Status) {
        let was = self.told.state;
        match status.state {
            State::Reconnecting if was != State::Reconnecting => {
                remark(format_args!("connection lost, reconnecting: {}", status.reason));
            }
            State::Held if was != State::Held || status.reason != self.told.reason => {
                remark(held(&status.reason));
            }
            State::Buffering if matches!(was, State::Playing | State::Reconnecting) => {
                remark(buffering(&status.reason));
            }
            State::Playing
                if matches!(was, State::Held | State::Reconnecting)
                    || (was == State::Buffering && self.said_buffering) =>
            {
                remark("the stream goes on");
            }
            State::Ended if was != State::Ended => remark("the stream is over"),
            _ => {}
        }
        // Filling the buffer at the start is not worth a word.
        self.said_buffering = match status.state {
            State::Buffering => {
                self.said_buffering || matches!(was, State::Playing | State::Reconnecting)
            }
            _ => false,
        };
    }
}
