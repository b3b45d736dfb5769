//! What the sound card is given: decides frame by frame what is heard when.
//!
//! The decoder's thread puts samples with their capture times into a ring ([`Feed`]); the card's
//! callback takes them out ([`Playout`]) and says when they will be heard. Their difference to the
//! timeline is the error. A small one is steered away by playing up to 0.5 % faster or slower,
//! which nobody hears; a large one by a jump. Neither side ever waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::time::Stamp;
use rtrb::{Consumer, Producer, RingBuffer};

use super::sinc::Sinc;
use super::steer::{Steer, Verdict};
use crate::timeline::Schedule;

/// Sound in the ring, at most, seconds at 48 kHz.
const RING_S: f64 = 0.5;
/// Stretches in the ring, at most: they are 20 ms and longer, as a rule.
const MARKS: usize = 256;
/// How often the steering looks, device frames.
const BLOCK: usize = 480;
/// A stretch that begins this far from the end of the last one does not follow it: containers round
/// their times to a millisecond, lost packets last longer. Microseconds.
const HOLE_US: i64 = 10_000;
/// An end that is farther away than this need not be looked at yet, microseconds.
const NEAR_US: i64 = 1_000_000;
/// Volume moves by its whole range in this time: anything faster clicks, seconds.
const FADE_S: f32 = 0.005;

/// What a sound card wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Frames a second.
    pub(super) rate: u32,
    /// Samples a frame.
    pub(super) channels: usize,
}

/// Where a stretch of sound begins in the ring.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The number of its first frame, counted from the ring's start.
    frame: u64,
    captured: Stamp,
    rate: u32,
}

/// The ring's entrance.
#[derive(Debug)]
pub(super) struct Feed {
    samples: Producer<f32>,
    marks: Producer<Mark>,
    channels: usize,
    frames: u64,
    /// What lies before this frame is not to be heard any more.
    cut: Arc<AtomicU64>,
}

impl Feed {
    /// What is in the ring is not to be heard any more.
    pub(super) fn cut(&self) {
        self.cut.store(self.frames, Ordering::Release);
    }

    /// Samples a frame must have.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Puts a stretch in: `rate` frames a second, interleaved. False when there is no room for all
    /// of it yet.
    pub(super) fn push(&mut self, captured: Stamp, rate: u32, samples: &[f32]) -> bool {
        let whole = samples.len() - samples.len() % self.channels;
        // A stretch longer than the ring would never fit: its end is cut.
        let fits = self.samples.buffer().capacity() / self.channels * self.channels;
        let samples = &samples[..whole.min(fits)];
        if self.samples.slots() < samples.len() || self.marks.is_full() {
            return false;
        }
        // The mark first: the callback must know what the samples are when it sees them.
        let _ = self.marks.push(Mark { frame: self.frames, captured, rate: rate.max(1) });
        let _ = self.samples.push_entire_slice(samples);
        self.frames += (samples.len() / self.channels) as u64;
        true
    }
}

/// The ring's exit.
#[derive(Debug)]
pub(super) struct Playout {
    format: Format,
    schedule: Arc<Schedule>,
    samples: Consumer<f32>,
    marks: Consumer<Mark>,
    cut: Arc<AtomicU64>,
    mark: Option<Mark>,
    /// Frames taken out of the ring.
    read: u64,
    sinc: Sinc,
    steer: Steer,
    playing: bool,
    gain: f32,
    frame: Vec<f32>,
}

/// A ring between a decoder and a card of this format.
pub(super) fn ring(format: Format, schedule: Arc<Schedule>) -> (Feed, Playout) {
    let channels = format.channels.max(1);
    let format = Format { rate: format.rate.max(1), channels };
    let (samples_in, samples) = RingBuffer::new((48_000.0 * RING_S) as usize * channels);
    let (marks_in, marks) = RingBuffer::new(MARKS);
    let feed =
        Feed { samples: samples_in, marks: marks_in, channels, frames: 0, cut: Arc::default() };
    let playout = Playout {
        format,
        schedule,
        samples,
        marks,
        cut: feed.cut.clone(),
        mark: None,
        read: 0,
        sinc: Sinc::new(channels, 1.0),
        steer: Steer::default(),
        playing: false,
        gain: 0.0,
        frame: vec![0.0; channels],
    };
    (feed, playout)
}

impl Playout {
    /// Fills a callback's buffer, whose first frame will be heard at `heard`, at this volume
    /// (1 is as it came).
    pub(super) fn fill(&mut self, out: &mut [f32], heard: Stamp, volume: f32) {
        self.leave_out_cut();
        let channels = self.format.channels;
        let frames = out.len() / channels;
        let mut done = 0;
        while done < frames {
            let heard = heard.plus_us(frames_us(done as f64, self.format.rate));
            let left = &mut out[done * channels..frames * channels];
            done += self.fill_some(left, heard, volume);
        }
        let lag_us = if self.playing { self.steer.error_us() } else { 0 };
        self.schedule.set_sound_lag_us(lag_us);
    }

    /// Passes over what the feed does not want to be heard any more.
    fn leave_out_cut(&mut self) {
        let cut = self.cut.load(Ordering::Acquire);
        if self.read >= cut {
            return;
        }
        self.stop();
        while self.read < cut {
            if self.marks.peek().is_ok_and(|next| next.frame <= self.read) {
                self.pass_mark();
            } else if !self.skip(usize::try_from(cut - self.read).unwrap_or(usize::MAX)) {
                break;
            }
        }
    }

    /// Fills some of `out`; gives how many frames.
    fn fill_some(&mut self, out: &mut [f32], heard: Stamp, volume: f32) -> usize {
        let room = out.len() / self.format.channels;
        let Some(captured) = self.next_captured() else {
            self.stop();
            out.fill(0.0);
            return room;
        };
        let error_us = heard.us_since(self.schedule.due(captured));
        if !self.playing {
            let early = us_frames(error_us.saturating_neg(), self.format.rate).min(room);
            if early > 0 {
                out[..early * self.format.channels].fill(0.0);
                return early;
            }
            if self.skip(us_frames(error_us, self.source_rate())) {
                return 0;
            }
            self.playing = true;
            self.steer.start();
        }
        let (block, volume) = match self.until_end(heard) {
            None => (room.min(BLOCK), volume),
            Some(0) => {
                self.stop();
                out.fill(0.0);
                return room;
            }
            // The last moment fades out.
            Some(left) => {
                let fade = (FADE_S * self.format.rate as f32) as usize;
                let volume = if left > fade { volume } else { 0.0 };
                (room.min(BLOCK).min(if left > fade { left - fade } else { left }), volume)
            }
        };
        match self.steer.judge(error_us, frames_us(block as f64, self.format.rate)) {
            Verdict::Play(speed) => {
                self.play(&mut out[..block * self.format.channels], speed, volume)
            }
            Verdict::Jump => {
                self.stop();
                0
            }
        }
    }

    /// Frames until nothing is to be heard any more, if that is near.
    fn until_end(&self, heard: Stamp) -> Option<usize> {
        let left_us = self.schedule.sound_until()?.us_since(heard);
        (left_us < NEAR_US).then(|| us_frames(left_us, self.format.rate))
    }

    /// When what comes out of the interpolator next was captured; `None` when nothing is there.
    fn next_captured(&mut self) -> Option<Stamp> {
        while self.marks.peek().is_ok_and(|next| next.frame <= self.read) {
            self.pass_mark();
        }
        let mark = self.mark?;
        if self.frames_there() < self.sinc.wants().max(1) {
            return None;
        }
        let ahead = self.read.saturating_sub(mark.frame) as f64 - self.sinc.lag();
        Some(mark.captured.plus_us(frames_us(ahead, mark.rate)))
    }

    fn frames_there(&self) -> usize {
        self.samples.slots() / self.format.channels
    }

    fn source_rate(&self) -> u32 {
        self.mark.map_or(self.format.rate, |mark| mark.rate)
    }

    /// Enters the next stretch. Where it does not follow the last one the sound has to be set on
    /// its time anew; gives whether it does follow.
    fn pass_mark(&mut self) -> bool {
        let Ok(next) = self.marks.pop() else { return true };
        let follows = self.mark.is_some_and(|mark| {
            let frames = next.frame.saturating_sub(mark.frame) as f64;
            let expected = mark.captured.plus_us(frames_us(frames, mark.rate));
            mark.rate == next.rate && next.captured.us_since(expected).saturating_abs() < HOLE_US
        });
        if self.mark.is_none_or(|mark| mark.rate != next.rate) {
            let ratio = f64::from(self.format.rate) / f64::from(next.rate);
            self.sinc = Sinc::new(self.format.channels, ratio);
        }
        self.mark = Some(next);
        if !follows {
            self.stop();
        }
        follows
    }

    /// Leaves out frames that should have been heard already; false when there are none.
    fn skip(&mut self, late: usize) -> bool {
        let to_mark = self.marks.peek().map_or(usize::MAX, |next| {
            usize::try_from(next.frame.saturating_sub(self.read)).unwrap_or(usize::MAX)
        });
        let frames = late.min(self.frames_there()).min(to_mark);
        if let Ok(chunk) = self.samples.read_chunk(frames * self.format.channels) {
            chunk.commit_all();
        }
        self.read += frames as u64;
        frames > 0
    }

    /// No more sound for now; the next one fades in.
    fn stop(&mut self) {
        self.playing = false;
        self.gain = 0.0;
        self.sinc.clear();
    }

    /// Plays into `out` until it is full, the ring is empty, or what follows has another time;
    /// gives how many frames that were.
    fn play(&mut self, out: &mut [f32], speed: f64, volume: f32) -> usize {
        let step = f64::from(self.source_rate()) / f64::from(self.format.rate) * speed;
        let fade = 1.0 / (FADE_S * self.format.rate as f32);
        let mut done = 0;
        for frame in out.chunks_exact_mut(self.format.channels) {
            if !self.read_wanted() {
                break;
            }
            self.sinc.take(step, frame);
            self.gain += (volume - self.gain).clamp(-fade, fade);
            for sample in frame {
                *sample *= self.gain;
            }
            done += 1;
        }
        done
    }

    /// Reads what the interpolator wants; false when that is not there, or of another time.
    fn read_wanted(&mut self) -> bool {
        for _ in 0..self.sinc.wants() {
            let at_mark = self.marks.peek().is_ok_and(|next| next.frame <= self.read);
            if (at_mark && !self.pass_mark())
                || self.samples.pop_entire_slice(&mut self.frame).is_err()
            {
                return false;
            }
            self.sinc.put(&self.frame);
            self.read += 1;
        }
        true
    }
}

fn frames_us(frames: f64, rate: u32) -> i64 {
    (frames * 1e6 / f64::from(rate)).round() as i64
}

/// Whole frames in so many microseconds; 0 for none or less.
fn us_frames(us: i64, rate: u32) -> usize {
    (us.max(0) as f64 * f64::from(rate) / 1e6) as usize
}

#[cfg(test)]
mod tests;
