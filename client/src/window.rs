//! The window, on the main thread: shows what is drawn at its time, and reads the keys.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use minifb::{InputCallback, Key, ScaleMode, WindowOptions};
use proto::StreamDescription;
use proto::conn::now;

use crate::shared::Shared;
use crate::stage::{self, Drawn};

/// How long to wait for a picture before looking at the keys again.
const POLL: Duration = Duration::from_millis(15);
/// A picture that stays is put up again so often: nobody tells us when the window was covered.
const REFRESH: Duration = Duration::from_millis(500);
/// Putting a picture up is taken to last no longer than this: a stall is not a habit.
const LONGEST_UP: Duration = Duration::from_millis(10);
/// Largest window opened; minifb does not say how large the screen is.
const LARGEST: (u32, u32) = (1280, 720);
/// Smallest: the text must be readable.
const SMALLEST: (u32, u32) = (480, 270);
/// Sound alone gets a window for its keys and notices.
const SOUND_ONLY: (u32, u32) = (480, 270);

/// An open window and its painter.
pub struct Window {
    window: minifb::Window,
    shared: Arc<Shared>,
    drawn: Receiver<Drawn>,
    spare: SyncSender<Vec<u32>>,
    strokes: Receiver<Stroke>,
    painter: Option<JoinHandle<()>>,
    up: Option<Drawn>,
    up_since: Instant,
    /// What putting a picture up takes, smoothed.
    takes: Duration,
    size: (usize, usize),
}

impl Window {
    /// Opens one for this stream. The error is minifb's own word.
    pub fn open(shared: Arc<Shared>, description: &StreamDescription) -> Result<Self, String> {
        let video = description.video().map(|(_, _, video)| video.display_size());
        let (width, height) = video.map_or(SOUND_ONLY, first_size);
        let options = WindowOptions {
            resize: true,
            scale_mode: ScaleMode::UpperLeft,
            ..WindowOptions::default()
        };
        let mut window =
            minifb::Window::new(&title(description), width as usize, height as usize, options)
                .map_err(|error| error.to_string())?;
        // The pictures set the pace.
        window.set_target_fps(0);
        let (pressed, strokes) = channel();
        window.set_input_callback(Box::new(Keyboard { pressed, down: None }));
        let (to_window, drawn) = sync_channel(1);
        let (spare, empty) = sync_channel(3);
        for _ in 0..3 {
            let _ = spare.send(Vec::new());
        }
        let size = window.get_size();
        shared.stage.set_size(pixels(size));
        let painter = {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("paint".into())
                .spawn(move || stage::paint(&shared, &to_window, &empty))
                .map_err(|error| error.to_string())?
        };
        Ok(Self {
            window,
            shared,
            drawn,
            spare,
            strokes,
            painter: Some(painter),
            up: None,
            up_since: Instant::now(),
            takes: Duration::ZERO,
            size,
        })
    }

    /// The stream is another one now.
    pub fn set_stream(&mut self, description: &StreamDescription) {
        self.window.set_title(&title(description));
    }

    /// Shows the next picture at its time, if one comes soon.
    pub fn show(&mut self) {
        match self.drawn.recv_timeout(POLL) {
            Ok(drawn) => self.put_up(drawn),
            Err(_) if self.up_since.elapsed() > REFRESH => self.refresh(),
            Err(_) => self.window.update(),
        }
        let size = self.window.get_size();
        if size != self.size {
            self.size = size;
            self.shared.stage.set_size(pixels(size));
        }
    }

    /// The next that was typed.
    pub fn stroke(&mut self) -> Option<Stroke> {
        self.strokes.try_recv().ok()
    }

    /// Whether the user has closed it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.window.is_open()
    }

    fn put_up(&mut self, drawn: Drawn) {
        if let Some(captured) = drawn.captured {
            let early_us = self.shared.schedule.picture_due(captured).us_since(now());
            // The painter is ahead by 25 ms at most; a timeline that jumps must not freeze us.
            let early = Duration::from_micros(early_us.clamp(0, 50_000).unsigned_abs());
            std::thread::sleep(early.saturating_sub(self.takes));
        }
        if let Some(before) = self.up.replace(drawn) {
            let _ = self.spare.send(before.pixels);
        }
        self.refresh();
        if let Some(captured) = self.up.as_ref().and_then(|drawn| drawn.captured) {
            self.shared.stats.shown();
            self.shared.stats.latency_us(now().us_since(captured));
        }
    }

    fn refresh(&mut self) {
        self.up_since = Instant::now();
        let Some(drawn) = &self.up else { return self.window.update() };
        let (width, height) = (drawn.size.0 as usize, drawn.size.1 as usize);
        if let Err(error) = self.window.update_with_buffer(&drawn.pixels, width, height) {
            tracing::debug!("window: {error}");
        }
        let took = self.up_since.elapsed().min(LONGEST_UP);
        self.takes = (self.takes * 7 + took) / 8;
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.shared.stage.close();
        // The painter may wait to hand over a picture, or for memory to draw into.
        drop(std::mem::replace(&mut self.drawn, channel().1));
        drop(std::mem::replace(&mut self.spare, sync_channel(0).0));
        if let Some(painter) = self.painter.take() {
            let _ = painter.join();
        }
    }
}

/// Something that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// A key went down, or is held and wants to be repeated.
    Key(Key),
    /// What it writes, after it.
    Char(char),
}

/// Takes every press down, however short: polling the state would miss those between two looks.
struct Keyboard {
    pressed: Sender<Stroke>,
    /// The key that is held: the system repeats it, which only volume and position want.
    down: Option<Key>,
}

impl InputCallback for Keyboard {
    fn add_char(&mut self, character: u32) {
        if let Some(character) = char::from_u32(character).filter(|c| !c.is_control()) {
            let _ = self.pressed.send(Stroke::Char(character));
        }
    }

    fn set_key_state(&mut self, key: Key, is_down: bool) {
        let repeated = self.down == Some(key);
        if !is_down {
            self.down = self.down.filter(|held| *held != key);
            return;
        }
        self.down = Some(key);
        let repeats = matches!(key, Key::Up | Key::Down | Key::Left | Key::Right | Key::Backspace);
        if !repeated || repeats {
            let _ = self.pressed.send(Stroke::Key(key));
        }
    }
}

fn title(description: &StreamDescription) -> String {
    if description.title.is_empty() || description.title == description.name {
        description.name.clone()
    } else {
        format!("{} - {}", description.name, description.title)
    }
}

/// As large as the picture, within bounds, in its shape.
fn first_size((width, height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let fits = (f64::from(LARGEST.0) / width).min(f64::from(LARGEST.1) / height);
    let needed = (f64::from(SMALLEST.0) / width).min(f64::from(SMALLEST.1) / height);
    let scale = 1.0_f64.max(needed).min(fits);
    (((width * scale).round() as u32).max(1), ((height * scale).round() as u32).max(1))
}

fn pixels((width, height): (usize, usize)) -> (u32, u32) {
    let side = |side: usize| u32::try_from(side).unwrap_or(1).clamp(1, proto::limits::PICTURE_SIDE);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_window_has_the_pictures_shape_within_bounds() {
        assert_eq!(first_size((854, 480)), (854, 480));
        assert_eq!(first_size((1920, 1080)), (1280, 720));
        assert_eq!(first_size((1080, 1920)), (405, 720));
        assert_eq!(first_size((160, 90)), (480, 270));
        assert_eq!(first_size((16_384, 1)), (1280, 1));
    }

    #[test]
    fn a_held_key_counts_once_except_for_the_volume() {
        let (pressed, keys) = channel();
        let mut keyboard = Keyboard { pressed, down: None };
        for key in [Key::Space, Key::Up] {
            for down in [true, true, true, false, true, false] {
                keyboard.set_key_state(key, down);
            }
        }
        keyboard.add_char('ü'.into());
        keyboard.add_char(8);
        let seen: Vec<Stroke> = keys.try_iter().collect();
        let keys = [Key::Space, Key::Space, Key::Up, Key::Up, Key::Up, Key::Up].map(Stroke::Key);
        assert_eq!(seen, [&keys[..], &[Stroke::Char('ü')]].concat());
    }
}
