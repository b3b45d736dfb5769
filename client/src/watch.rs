//! Watching with eyes and ears: the main thread's loop while a window or a sound card is in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use minifb::Key;
use proto::conn::now;
use proto::limits;
use proto::time::micros;
use tokio::sync::mpsc::Sender;

use crate::announce::Announcer;
use crate::hud::{bar, buffering, held, overlay};
use crate::output::remark;
use crate::progress::Progress;
use crate::room::{Seat, words};
use crate::session::Command;
use crate::shared::{Shared, Status};
use crate::stats::State;
use crate::talk;
use crate::text::Bar;
use crate::window::{Stroke, Window};

/// A change of volume stays on the screen for so long.
const FLASH: Duration = Duration::from_millis(1500);
/// How often the overlay's figures change.
const OVERLAY: Duration = Duration::from_millis(500);
/// Without a window: how often to look whether all is over.
const LOOK: Duration = Duration::from_millis(200);
/// What the last picture and sound may take beyond their time.
const TAIL: Duration = Duration::from_millis(100);
/// One press of up or down, per cent.
const VOLUME_STEP: i32 = 5;

/// One press of left or right, microseconds.
const SKIP_US: i64 = 10_000_000;
/// How often a recording's bar moves.
const BAR: Duration = Duration::from_millis(100);
/// How long it stays after a key.
const BAR_STAYS: Duration = Duration::from_secs(2);

/// Most lines of a room that are shown at a time, and how long.
const SIDE: usize = 8;
/// So much of what is being typed is seen, characters.
const TYPED: usize = 36;
/// See [`SIDE`].
const SIDE_STAYS: Duration = Duration::from_secs(12);

/// How watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream was over, or the user left.
    Done,
    /// The session failed; the board says how.
    Failed,
    /// There is neither a display nor a sound card.
    NothingToPlayOn {
        /// Something was seen or heard before.
        played: bool,
    },
}

/// Plays until the stream is over, the user leaves, or nothing is left to play on.
pub fn run(
    shared: &Arc<Shared>,
    remote: Sender<Command>,
    seat: Option<Arc<Seat>>,
    announcer: &mut Announcer,
) -> End {
    let mut watch = Watch::new(shared.clone(), remote, seat);
    loop {
        if let Some(status) = shared.board.news(watch.status.version) {
            announcer.tell(&status);
            if status.words != watch.status.words {
                watch.flash(&status.word);
            }
            watch.status = status;
            watch.open_window();
            watch.refresh_notice();
        }
        if let Some(end) = watch.end() {
            return end;
        }
        if watch.step() {
            return End::Done;
        }
    }
}

struct Watch {
    shared: Arc<Shared>,
    window: Option<Window>,
    no_display: bool,
    status: Status,
    paused: bool,
    muted: bool,
    flash: Option<(String, Instant)>,
    overlay_due: Option<Instant>,
    /// To the session, for a recording's keys.
    remote: Sender<Command>,
    /// Until when the bar is shown without the overlay, and when it is drawn next.
    bar_until: Instant,
    bar_due: Instant,
    bar: Option<Bar>,
    /// The user holds a recording.
    stands: bool,
    /// In a room: the place in it, what is being typed, what is shown of what was said, and when to
    /// look again.
    seat: Option<Arc<Seat>>,
    typing: Option<String>,
    side: Vec<String>,
    side_due: Instant,
}

impl Watch {
    fn new(shared: Arc<Shared>, remote: Sender<Command>, seat: Option<Arc<Seat>>) -> Self {
        Self {
            shared,
            remote,
            seat,
            typing: None,
            side: Vec::new(),
            side_due: Instant::now(),
            bar_until: Instant::now(),
            bar_due: Instant::now(),
            bar: None,
            stands: false,
            window: None,
            no_display: false,
            status: Status::default(),
            paused: false,
            muted: false,
            flash: None,
            overlay_due: None,
        }
    }

    /// Opens the window once it is known what for.
    fn open_window(&mut self) {
        let Some(description) = &self.status.description else { return };
        match &mut self.window {
            Some(window) => window.set_stream(description),
            None if self.no_display => {}
            None => match Window::open(self.shared.clone(), description) {
                Ok(window) => self.window = Some(window),
                Err(reason) => {
                    self.no_display = true;
                    self.shared.without_picture();
                    if self.has_picture() && self.has_sound() {
                        remark(format_args!(
                            "no display to show the picture on ({reason}): playing the sound alone"
                        ));
                    }
                }
            },
        }
    }

    fn has_picture(&self) -> bool {
        self.status.description.as_ref().is_some_and(|d| d.video().is_some())
    }

    /// Whether there is sound to play, and as far as is known a card for it.
    fn has_sound(&self) -> bool {
        self.shared.wants_sound()
            && self.status.no_card.is_none()
            && self.status.description.as_ref().is_some_and(|d| d.audio().is_some())
    }

    /// Whether it is over, and how.
    fn end(&self) -> Option<End> {
        if self.status.quit {
            return Some(End::Done);
        }
        let shows = self.window.is_some() && self.has_picture();
        if self.status.description.is_some() && !shows && !self.has_sound() {
            let played = self.window.is_some() || self.shared.desk.was_heard();
            return Some(End::NothingToPlayOn { played });
        }
        match &self.status.outcome {
            None => None,
            Some(Err(_)) => Some(End::Failed),
            Some(Ok(())) => (self.is_played_out() && !self.paused).then_some(End::Done),
        }
    }

    /// Whether the last moment that came has been seen and heard.
    fn is_played_out(&self) -> bool {
        let last = self.status.last.map(|last| self.shared.schedule.picture_due(last));
        last.is_none_or(|last| now() > last.plus_us(micros(TAIL)))
    }

    /// One round: a picture, the keys, the text. Gives whether the user has left.
    fn step(&mut self) -> bool {
        self.leave_pause();
        let Some(window) = &mut self.window else {
            let news = self.shared.board.wait(self.status.version, LOOK);
            drop(news);
            return false;
        };
        window.show();
        let mut left = window.is_closed();
        let mut opened = false;
        while let Some(stroke) = self.window.as_mut().and_then(Window::stroke) {
            // What the key writes that opened the line comes right behind it.
            let written = std::mem::take(&mut opened) && matches!(stroke, Stroke::Char('t' | 'T'));
            let typed = self.typing.is_some();
            left |= !written && self.stroke(stroke);
            opened = !typed && self.typing.is_some();
        }
        if self.flash.as_ref().is_some_and(|(_, until)| Instant::now() > *until) {
            self.flash = None;
            self.refresh_notice();
        }
        if self.overlay_due.is_some_and(|due| Instant::now() > due) {
            self.refresh_overlay();
        }
        if Instant::now() > self.bar_due {
            self.refresh_bar();
        }
        if self.seat.is_some() && Instant::now() > self.side_due {
            self.refresh_side();
        }
        left
    }

    /// How a recording is played; `None` for live streams.
    fn recording(&self) -> Option<Progress> {
        self.shared.progress()
    }

    /// A live stream that was paused and is seen from its past now is held by the session.
    fn leave_pause(&mut self) {
        if self.paused && self.recording().is_some() {
            self.paused = false;
            self.shared.stage.set_paused(false);
            self.shared.desk.set_paused(false);
        }
    }

    /// What a key says of a recording, or of what is kept of a live stream.
    fn command(key: Key) -> Option<Command> {
        Some(match key {
            Key::Space => Command::Pause,
            Key::Left => Command::Skip(-SKIP_US),
            Key::Right => Command::Skip(SKIP_US),
            Key::Home => Command::Home,
            Key::End => Command::End,
            Key::RightBracket => Command::Faster,
            Key::LeftBracket => Command::Slower,
            _ => return None,
        })
    }

    /// The bar of a recording: with the overlay, for a while after a key, and while it waits.
    fn refresh_bar(&mut self) {
        self.bar_due = Instant::now() + BAR;
        let stands = self.recording().is_some_and(|progress| progress.paused);
        if stands != std::mem::replace(&mut self.stands, stands) {
            self.refresh_notice();
        }
        let wanted = self.overlay_due.is_some()
            || Instant::now() < self.bar_until
            || self.status.state == State::Buffering;
        let bar = self
            .recording()
            .filter(|_| wanted)
            .map(|progress| bar(&progress, now(), self.shared.schedule.delay_us()));
        if bar != self.bar {
            self.shared.stage.set_bar(bar.clone());
            self.bar = bar;
            self.refresh_notice();
        }
    }

    /// Takes in what was typed; gives whether it was the last.
    fn stroke(&mut self, stroke: Stroke) -> bool {
        let Some(typing) = &mut self.typing else {
            return matches!(stroke, Stroke::Key(key) if self.press(key));
        };
        match stroke {
            Stroke::Char(character) if typing.len() < limits::TEXT => typing.push(character),
            Stroke::Key(Key::Backspace) => {
                typing.pop();
            }
            Stroke::Key(Key::Escape) => self.typing = None,
            Stroke::Key(Key::Enter | Key::NumPadEnter) => {
                let text = self.typing.take().unwrap_or_default();
                if let Some(seat) = &self.seat {
                    talk::take(&self.shared, seat, &text);
                }
            }
            Stroke::Char(_) | Stroke::Key(_) => {}
        }
        self.refresh_notice();
        false
    }

    /// Whether a key is for the people in the room.
    fn press_in_room(&mut self, key: Key) -> bool {
        let Some(seat) = &self.seat else { return false };
        let sign = match key {
            Key::T | Key::Enter | Key::NumPadEnter => {
                self.typing = Some(String::new());
                return true;
            }
            Key::Key1 => "/like",
            Key::Key2 => "/love",
            Key::Key3 => "/laugh",
            Key::Key4 => "/wow",
            Key::Key5 => "/sad",
            Key::Key6 => "/clap",
            _ => return false,
        };
        talk::take(&self.shared, seat, sign);
        true
    }

    /// What was said in the room a short while ago.
    fn refresh_side(&mut self) {
        self.side_due = Instant::now() + OVERLAY;
        let new = self.status.said.iter().rev().take(SIDE).rev();
        let new = new.filter(|said| said.at.elapsed() < SIDE_STAYS);
        let side: Vec<String> = new.map(|said| said.words.clone()).collect();
        if side != self.side {
            self.shared.stage.set_side(side.clone());
            self.side = side;
        }
        self.refresh_notice();
    }

    /// Obeys a key; gives whether it was the last.
    fn press(&mut self, key: Key) -> bool {
        self.bar_until = Instant::now() + BAR_STAYS;
        self.bar_due = Instant::now();
        if self.press_in_room(key) {
            self.refresh_notice();
            return false;
        }
        if let Some(command) = Self::command(key) {
            // A queue that is full holds more than anybody has typed in this moment.
            let _ = self.remote.try_send(command);
            self.flash = None;
            if self.recording().is_some() {
                self.refresh_notice();
                return false;
            }
        }
        match key {
            Key::Q | Key::Escape => return true,
            Key::Space => {
                self.paused = !self.paused;
                self.shared.stage.set_paused(self.paused);
                self.shared.desk.set_paused(self.paused);
            }
            Key::M => {
                self.muted = self.shared.desk.toggle_mute();
                self.flash(if self.muted { "sound off" } else { "sound on" });
            }
            Key::Up => self.turn(VOLUME_STEP),
            Key::Down => self.turn(-VOLUME_STEP),
            Key::I => match self.overlay_due.take() {
                Some(_) => self.shared.stage.set_overlay(None),
                None => self.refresh_overlay(),
            },
            _ => return false,
        }
        self.refresh_notice();
        false
    }

    fn turn(&mut self, by: i32) {
        let percent = self.shared.desk.turn(by);
        self.flash(&format!("volume {percent} %"));
    }

    fn flash(&mut self, text: &str) {
        self.flash = Some((text.to_owned(), Instant::now() + FLASH));
    }

    /// The line at the lower edge: what was just pressed, else what is wrong, else nothing.
    fn refresh_notice(&self) {
        let typing = self.typing.as_ref().map(|text| {
            let hidden = text.chars().count().saturating_sub(TYPED);
            format!("say: {}_", text.chars().skip(hidden).collect::<String>())
        });
        let pressed = typing.or_else(|| self.flash.as_ref().map(|(text, _)| text.clone()));
        let notice = pressed.or_else(|| match self.status.state {
            State::Reconnecting => Some("connection lost, reconnecting ...".to_owned()),
            State::Held => Some(held(&self.status.reason)),
            State::Buffering => Some(buffering(&self.status.reason)),
            _ if self.paused || self.stands => Some(self.standing()),
            _ => self.status.undecodable.clone().or_else(|| self.sound_only()),
        });
        self.shared.stage.set_notice(notice);
    }

    /// Why it stands: in a room perhaps for somebody.
    fn standing(&self) -> String {
        let awaited = self.seat.as_ref().and_then(|seat| {
            seat.with_room(|room| room.awaited().join(", ")).filter(|names| !names.is_empty())
        });
        awaited.map_or("paused".to_owned(), |names| format!("waiting for {names}"))
    }

    fn sound_only(&self) -> Option<String> {
        let description = self.status.description.as_ref()?;
        description.video().is_none().then(|| format!("sound only: {}", description.name))
    }

    fn refresh_overlay(&mut self) {
        self.overlay_due = Some(Instant::now() + OVERLAY);
        let mut lines = overlay(&self.shared.look());
        lines.extend(self.seat.iter().filter_map(|seat| seat.with_room(words::members)).flatten());
        self.shared.stage.set_overlay(Some(lines));
    }
}
