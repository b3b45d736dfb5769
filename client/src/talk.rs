//! What is typed in a room, in the terminal or in the window: said, done, or answered here.

use std::io::BufRead;
use std::sync::{Arc, PoisonError};

use proto::Message;
use proto::conn::now;
use proto::room::{Say, Words};

use crate::room::Seat;
use crate::room::typed::{self, Typed};
use crate::room::words;
use crate::shared::Shared;

/// Longest line taken from the terminal, bytes: what is longer is no line.
const LONGEST: u64 = 4096;

/// Listens to the terminal until it says nothing more.
pub fn listen(shared: &Shared, seat: &Arc<Seat>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut bytes = Vec::new();
        let mut line = std::io::Read::take(&mut input, LONGEST);
        match line.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => take(shared, seat, &String::from_utf8_lossy(&bytes)),
        }
    }
}

/// Does what a line says.
pub fn take(shared: &Shared, seat: &Seat, text: &str) {
    let parsed = seat.with_room(|room| typed::parse(text, room));
    let said = match parsed {
        Some(Ok(None)) => return,
        Some(Ok(Some(typed))) => act(shared, seat, typed),
        Some(Err(wrong)) => vec![wrong],
        None => vec!["you are not in a room yet".to_owned()],
    };
    said.into_iter().for_each(|words| shared.board.say(words));
}

/// Does it; gives what is to be said of it here.
fn act(shared: &Shared, seat: &Seat, typed: Typed) -> Vec<String> {
    let position_us = position_us(shared);
    let message = match typed {
        Typed::Say(text) => return unless(seat.say_text(text, position_us)),
        Typed::React(sign) => Message::Say(Say { position_us, words: Words::Reaction(sign) }),
        Typed::Act(act) => Message::RoomAct(act),
        Typed::Remote(remote) => Message::Remote(remote),
        Typed::Leave => Message::LeaveRoom,
        Typed::Members => return seat.with_room(words::members).unwrap_or_default(),
        Typed::Help => return typed::HELP.map(str::to_owned).to_vec(),
    };
    unless(seat.say(message))
}

/// What is to be said unless it was done.
fn unless(done: bool) -> Vec<String> {
    let missing = (!done).then(|| "the room cannot be reached now: try again".to_owned());
    missing.into_iter().collect()
}

/// Where in the recording one is, microseconds from its start; 0 in a live stream.
fn position_us(shared: &Shared) -> i64 {
    let progress = *shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.map_or(0, |p| p.position_us(now(), shared.schedule.delay_us()))
}
