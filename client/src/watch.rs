//! Watching with eyes and ears: the main thread's loop while a window or a sound card is in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use minifb::Key;
use proto::conn::now;
use proto::time::micros;

use crate::announce::Announcer;
use crate::output::remark;
use crate::shared::{Shared, Status};
use crate::stats::{Snapshot, State};
use crate::window::Window;

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

/// How watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream was over, or the user left.
    Done,
    /// The session failed; the board says how.
    Failed,
    /// There is neither a display nor a sound card.
    NothingToPlayOn,
}

/// Plays until the stream is over, the user leaves, or nothing is left to play on.
pub fn run(shared: &Arc<Shared>, announcer: &mut Announcer) -> End {
    let mut watch = Watch::new(shared.clone());
    loop {
        if let Some(status) = shared.board.news(watch.status.version) {
            announcer.tell(&status);
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
}

impl Watch {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
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
            return Some(End::NothingToPlayOn);
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
        let Some(window) = &mut self.window else {
            let news = self.shared.board.wait(self.status.version, LOOK);
            drop(news);
            return false;
        };
        window.show();
        let mut left = window.is_closed();
        while let Some(key) = self.window.as_mut().and_then(Window::key) {
            left |= self.press(key);
        }
        if self.flash.as_ref().is_some_and(|(_, until)| Instant::now() > *until) {
            self.flash = None;
            self.refresh_notice();
        }
        if self.overlay_due.is_some_and(|due| Instant::now() > due) {
            self.refresh_overlay();
        }
        left
    }

    /// Obeys a key; gives whether it was the last.
    fn press(&mut self, key: Key) -> bool {
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
        let pressed = self.flash.as_ref().map(|(text, _)| text.clone());
        let notice = pressed.or_else(|| match self.status.state {
            State::Reconnecting => Some("connection lost, reconnecting ...".to_owned()),
            State::Held => Some(held(&self.status.reason)),
            _ if self.paused => Some("paused".to_owned()),
            _ => self.status.undecodable.clone().or_else(|| self.sound_only()),
        });
        self.shared.stage.set_notice(notice);
    }

    fn sound_only(&self) -> Option<String> {
        let description = self.status.description.as_ref()?;
        description.video().is_none().then(|| format!("sound only: {}", description.name))
    }

    fn refresh_overlay(&mut self) {
        self.overlay_due = Some(Instant::now() + OVERLAY);
        self.shared.stage.set_overlay(Some(overlay(&self.shared.look())));
    }
}

/// What is said of a source that is away.
#[must_use]
pub fn held(reason: &str) -> String {
    if reason.is_empty() {
        "the picture is held".to_owned()
    } else {
        format!("the picture is held: {reason}")
    }
}

/// The overlay's lines.
fn overlay(now: &Snapshot) -> Vec<String> {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    let mut lines = vec![now.codec.clone()];
    if now.width > 0 {
        lines[0] = format!("{} {}x{}  {:.1} fps", now.codec, now.width, now.height, now.fps);
    }
    lines.push(format!("bitrate {:.0} kbit/s", now.bitrate_kbps));
    lines.push(format!("latency from capture {}", ms(now.latency_ms)));
    lines.push(format!("buffer {:.0} ms", now.buffer_ms));
    lines.push(format!(
        "dropped {}  late {}  missing {}",
        now.dropped, now.late, now.packets_missing
    ));
    lines
}
