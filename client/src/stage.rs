//! From decoded pictures to drawn ones: takes the picture whose time has come, fits it into the
//! window, writes over it what is to be read, and hands it to the window's thread in time.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use media::Picture;
use media::picture::Fitter;
use proto::conn::now;
use proto::stream::Video;
use proto::time::Stamp;

use crate::shared::Shared;
use crate::text::{self, Bar, Canvas, Corner};

/// Decoded pictures that wait for their time. Few: they are large, and coded ones wait cheaply in
/// the jitter buffer; more than one, so that a picture that takes long to decode is not late.
const WAITING: usize = 4;
/// Drawing starts at least so long before a picture's time, the window's own lead included.
const LEAST_LEAD: Duration = Duration::from_millis(12);
/// And at most.
const MOST_LEAD: Duration = Duration::from_millis(25);
/// Black.
const BLANK: u32 = 0xff00_0000;

/// A decoded picture.
#[derive(Debug)]
pub struct Frame {
    /// Its pixels.
    pub picture: Picture,
    /// Pixel aspect and rotation.
    pub video: Arc<Video>,
    /// When it was captured, on our clock.
    pub captured: Stamp,
    /// It was captured before the stream was asked for: passing over it is no loss.
    pub backlog: bool,
    /// Number of the cue it is played by; 0 for live streams.
    pub cue: u64,
}

/// A drawn picture, as large as the window.
#[derive(Debug)]
pub struct Drawn {
    /// 0RGB, row after row.
    pub pixels: Vec<u32>,
    /// Across and down.
    pub size: (u32, u32),
    /// The picture's capture time when it is new and due; `None` where only the window or the text
    /// changed, and for one that is shown before its time.
    pub captured: Option<Stamp>,
}

/// What is to be seen.
#[derive(Debug, Default)]
pub struct Stage {
    state: Mutex<State>,
    changed: Condvar,
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Frame>,
    size: (u32, u32),
    notice: Option<String>,
    overlay: Option<Vec<String>>,
    side: Vec<String>,
    bar: Option<Bar>,
    /// Number of the cue whose pictures are wanted.
    cue: u64,
    /// Nothing of this cue was shown: its first picture need not wait for its time.
    fresh: bool,
    paused: bool,
    redraw: bool,
    closed: bool,
}

/// What the painter does next.
enum Next {
    Show(Frame),
    /// Before its time.
    Still(Frame),
    Redraw,
    Close,
}

impl Stage {
    /// Puts a picture into the queue, waiting for room.
    pub fn push(&self, frame: Frame) {
        let state = self.lock();
        let mut state = self
            .room
            .wait_while(state, |state| {
                state.waiting.len() >= WAITING && state.cue == frame.cue && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        if !state.closed && state.cue == frame.cue {
            state.waiting.push_back(frame);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The window has this size now.
    pub fn set_size(&self, size: (u32, u32)) {
        self.change(|state| state.size = size);
    }

    /// A line at the window's lower edge.
    pub fn set_notice(&self, notice: Option<String>) {
        self.change(|state| state.notice = notice);
    }

    /// Lines in the window's corner.
    pub fn set_overlay(&self, overlay: Option<Vec<String>>) {
        self.change(|state| state.overlay = overlay);
    }

    /// What is said in a room, at the window's right side.
    pub fn set_side(&self, lines: Vec<String>) {
        self.change(|state| state.side = lines);
    }

    /// How far a recording is played, at the window's lower edge.
    pub fn set_bar(&self, bar: Option<Bar>) {
        self.change(|state| state.bar = bar);
    }

    /// From now on only pictures of this cue are wanted. The one that is shown stays until the first
    /// of them is decoded; that one stands until it begins to move.
    pub fn cut(&self, cue: u64) {
        let mut state = self.lock();
        state.cue = cue;
        state.fresh = true;
        state.waiting.clear();
        drop(state);
        self.room.notify_all();
    }

    /// Whether pictures of this cue are wanted.
    #[must_use]
    pub fn wants(&self, cue: u64) -> bool {
        self.lock().cue == cue
    }

    /// Holds the picture; those that come meanwhile are passed over.
    pub fn set_paused(&self, paused: bool) {
        self.change(|state| state.paused = paused);
    }

    /// Ends the painter, and whoever waits for room.
    pub fn close(&self) {
        self.change(|state| {
            state.closed = true;
            state.waiting.clear();
        });
        self.room.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.redraw = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for something to draw. Of several pictures whose time has come the newest is shown.
    fn next(&self, shared: &Shared, lead: Duration) -> Next {
        let lead_us = proto::time::micros(lead);
        let mut state = self.lock();
        loop {
            if state.closed {
                return Next::Close;
            }
            if state.fresh
                && let Some(frame) = state.waiting.pop_front()
            {
                state.fresh = false;
                self.room.notify_one();
                return Next::Still(frame);
            }
            let ready = now().plus_us(lead_us);
            let is_due = |frame: &Frame| shared.schedule.picture_due(frame.captured) <= ready;
            let due = state.waiting.iter().take_while(|frame| is_due(frame)).count();
            let passed_over = if state.paused { due } else { due.saturating_sub(1) };
            if passed_over > 0 {
                let lost = state.waiting.drain(..passed_over).filter(|frame| !frame.backlog);
                let lost = lost.count();
                self.room.notify_one();
                if !state.paused {
                    shared.stats.dropped(lost as u64);
                }
            }
            if due > passed_over
                && let Some(frame) = state.waiting.pop_front()
            {
                self.room.notify_one();
                return Next::Show(frame);
            }
            if state.redraw {
                state.redraw = false;
                return Next::Redraw;
            }
            state = self.wait(state, shared, ready);
        }
    }

    /// Waits for a change, or for the first picture's time to come.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        shared: &Shared,
        ready: Stamp,
    ) -> MutexGuard<'a, State> {
        let Some(first) = state.waiting.front() else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let wait_us = shared.schedule.picture_due(first.captured).us_since(ready).max(0);
        let wait = Duration::from_micros(wait_us.unsigned_abs());
        let waited = self.changed.wait_timeout(state, wait);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws until the stage is closed. Pictures go to `drawn`; `spare` brings their memory back.
pub fn paint(shared: &Shared, drawn: &SyncSender<Drawn>, spare: &Receiver<Vec<u32>>) {
    let mut painter = Painter { fitter: Fitter::default(), current: None, takes: Duration::ZERO };
    loop {
        let lead = (LEAST_LEAD + painter.takes * 2).min(MOST_LEAD);
        let captured = match shared.stage.next(shared, lead) {
            Next::Close => return,
            Next::Redraw => None,
            Next::Show(frame) => {
                let captured = frame.captured;
                painter.current = Some(frame);
                Some(captured)
            }
            Next::Still(frame) => {
                painter.current = Some(frame);
                shared.stats.shown();
                None
            }
        };
        let Ok(mut pixels) = spare.recv() else { return };
        let size = painter.paint(&shared.stage, &mut pixels);
        if drawn.send(Drawn { pixels, size, captured }).is_err() {
            return;
        }
    }
}

struct Painter {
    fitter: Fitter,
    current: Option<Frame>,
    /// What drawing a picture takes, smoothed.
    takes: Duration,
}

impl Painter {
    fn paint(&mut self, stage: &Stage, pixels: &mut Vec<u32>) -> (u32, u32) {
        let started = Instant::now();
        let (size, notice, overlay, side, bar) = {
            let state = stage.lock();
            let size = (state.size.0.max(1), state.size.1.max(1));
            let side = state.side.clone();
            (size, state.notice.clone(), state.overlay.clone(), side, state.bar.clone())
        };
        let (width, height) = (size.0 as usize, size.1 as usize);
        match &self.current {
            Some(frame) => {
                self.fitter.fit(&frame.picture, &frame.video, size, pixels);
            }
            None => {
                pixels.clear();
                pixels.resize(width * height, BLANK);
            }
        }
        let mut canvas = Canvas { pixels, width, height };
        if let Some(lines) = &overlay {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            canvas.text(&lines, Corner::TopLeft);
        }
        if !side.is_empty() {
            let lines = text::wrap(&side, width * 2 / 5);
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            canvas.text(&lines, Corner::TopRight);
        }
        let below = bar.map_or(0, |bar| canvas.bar(&bar));
        if let Some(line) = &notice {
            canvas.text(&[line], Corner::Bottom(below));
        }
        self.takes = (self.takes * 7 + started.elapsed()) / 8;
        size
    }
}

#[cfg(test)]
mod tests {
    use media::picture::Pixels;
    use proto::stream::VideoCodec;

    use super::*;
    use crate::sound::Desk;

    fn shared() -> Arc<Shared> {
        Arc::new(Shared::new(false, false, Desk::new(100, 0)))
    }

    /// A picture captured so long ago (or, negative, in the future), microseconds.
    fn frame(age_us: i64) -> Frame {
        let video = Video {
            codec: VideoCodec::Mjpeg,
            width: 2,
            height: 2,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: (25, 1),
        };
        let pixels = Pixels::Rgb(vec![0x00ff_ffff; 4]);
        let picture = Picture { pts_us: 0, width: 2, height: 2, pixels };
        let captured = now().plus_us(-age_us);
        Frame { picture, video: Arc::new(video), captured, backlog: false, cue: 0 }
    }

    #[test]
    fn of_the_pictures_that_are_due_the_newest_is_shown() {
        let shared = shared();
        for age in [90_000, 60_000, 30_000, -600_000_000] {
            shared.stage.push(frame(age));
        }
        let Next::Show(shown) = shared.stage.next(&shared, Duration::ZERO) else {
            panic!("nothing is shown");
        };
        let age = now().us_since(shown.captured);
        assert!((30_000..600_000_000).contains(&age), "{age}");
        assert_eq!(shared.summary().dropped, 2);
        assert_eq!(shared.stage.lock().waiting.len(), 1, "what is not due waits");
    }

    #[test]
    fn a_cut_lets_go_of_what_waits_and_refuses_what_comes_late() {
        let shared = shared();
        shared.stage.push(frame(-600_000_000));
        shared.stage.cut(1);
        shared.stage.push(frame(-600_000_000));
        assert!(shared.stage.lock().waiting.is_empty());
        shared.stage.push(Frame { cue: 1, ..frame(-600_000_000) });
        assert_eq!(shared.stage.lock().waiting.len(), 1);
    }

    #[test]
    fn the_first_picture_after_a_cut_does_not_wait_for_its_time() {
        let shared = shared();
        shared.stage.cut(1);
        for ahead in [600_000_000, 600_040_000] {
            shared.stage.push(Frame { cue: 1, ..frame(-ahead) });
        }
        assert!(matches!(shared.stage.next(&shared, Duration::ZERO), Next::Still(_)));
        shared.stage.set_notice(None);
        assert!(
            matches!(shared.stage.next(&shared, Duration::ZERO), Next::Redraw),
            "the next does"
        );
        assert_eq!(shared.stage.lock().waiting.len(), 1);
    }

    #[test]
    fn paused_pictures_are_passed_over_and_not_counted() {
        let shared = shared();
        shared.stage.set_paused(true);
        shared.stage.push(frame(10_000));
        assert!(matches!(shared.stage.next(&shared, Duration::ZERO), Next::Redraw));
        assert!(shared.stage.lock().waiting.is_empty());
        assert_eq!(shared.summary().dropped, 0);
    }

    #[test]
    fn a_picture_is_drawn_as_large_as_the_window_with_its_text() {
        let shared = shared();
        let (to_test, drawn) = std::sync::mpsc::sync_channel(1);
        let (spare, empty) = std::sync::mpsc::sync_channel(2);
        shared.stage.set_size((60, 40));
        shared.stage.push(frame(0));
        shared.stage.set_notice(Some("x".into()));
        let painting = {
            let shared = shared.clone();
            std::thread::spawn(move || paint(&shared, &to_test, &empty))
        };
        spare.send(Vec::new()).expect("takes memory");
        let first = drawn.recv().expect("draws");
        assert_eq!((first.size, first.pixels.len()), ((60, 40), 2400));
        assert!(first.captured.is_some());
        let colours = |colour| first.pixels.iter().filter(|p| **p & 0x00ff_ffff == colour).count();
        assert!(colours(0x00ff_ffff) > 500, "the picture");
        assert!(colours(0) > 500, "the bars beside it");
        assert!(colours(0x003f_3f3f) > 50, "the ground of the text");
        shared.stage.close();
        drop(spare);
        assert!(painting.join().is_ok());
    }

    #[test]
    fn closing_lets_a_decoder_go_that_waits_for_room() {
        let shared = shared();
        let decoding = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for _ in 0..2 * WAITING {
                    shared.stage.push(frame(-600_000_000));
                }
            })
        };
        while shared.stage.lock().waiting.len() < WAITING {
            std::thread::yield_now();
        }
        shared.stage.close();
        assert!(decoding.join().is_ok());
        assert!(shared.stage.lock().waiting.is_empty());
    }
}
