//! The test pattern: made here, a yardstick for latency and lip sync.
//!
//! ```text
//! draw   the picture
//! stamp  the machine-readable part of it, and its reader
//! beep   the sound
//! ```
//!
//! Frame `n` is captured exactly `n / fps` after the run began; a white flash and a beep start with
//! each whole second of the stream. `docs/TEST-PATTERN.md` says where to look for what.

mod beep;
mod draw;
pub mod stamp;

use media::encode::{self, OpusEncoder};
use proto::Track;
use proto::conn::now;
use proto::time::Stamp as Moment;

use super::Feed;
use super::coder::{Coder, Settings};
use super::stage::{Run, Stage};
use crate::Error;
use crate::cli::Size;
use draw::Painter;

const NAME: &str = "pattern";
/// Smallest picture on which clock and stamp can be read.
const SMALLEST: Size = Size { width: 160, height: 90 };
/// Bits a second of the sound: enough for a clean 1 kHz tone.
const SOUND_BITRATE: u32 = 64_000;
/// A machine too slow for the pattern leaves frames out rather than lag behind by more than this.
const MOST_LATE_FRAMES: i64 = 2;

/// A test pattern of one size and rate.
pub struct Pattern {
    settings: Settings,
    painter: Painter,
    tracks: Vec<Track>,
}

impl Pattern {
    /// A pattern as `settings` say.
    ///
    /// # Errors
    /// When the picture is too small to be read.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let size = settings.size;
        if size.width < SMALLEST.width || size.height < SMALLEST.height {
            return Err(Error::TooSmall(size));
        }
        let painter = Painter::new(size.width, size.height, settings.rate.frames);
        // An encoder that refuses should do so now, not when the first viewer comes.
        let failed = |error| Error::Encode(NAME.to_owned(), error);
        let mut picture = Coder::new(settings).map_err(failed)?;
        picture.encode(&painter.paint(0, 0, now(), true), now(), true).map_err(failed)?;
        let sound = Tone::new().map_err(failed)?.encoder.track();
        let tracks = picture.track().into_iter().chain([sound]).collect();
        Ok(Self { settings, painter, tracks })
    }

    fn play(&self, stage: &mut Stage) -> Result<(), Error> {
        let name = stage.name().to_owned();
        let failed = |error| Error::Encode(name.clone(), error);
        let mut picture = Coder::new(self.settings).map_err(failed)?;
        let mut sound = Tone::new().map_err(failed)?;
        let start = now();
        let mut run: Option<Run> = None;
        let mut frame = 0;
        while !stage.is_over() {
            let pts_us = self.pts_us(frame);
            let captured = start.plus_us(pts_us);
            if !stage.stop().sleep_until(captured) {
                break;
            }
            let force_key = run.as_ref().is_some_and(Run::take_key_frame_request);
            let number = u32::try_from(frame).unwrap_or(u32::MAX);
            let drawn = self.painter.paint(number, pts_us, captured, beep::is_on(pts_us));
            let coded = picture.encode(&drawn, captured, force_key).map_err(failed)?;
            if run.is_none()
                && let Some(track) = picture.track()
            {
                run = Some(stage.start(vec![track, sound.encoder.track()], None)?);
            }
            if let Some(run) = &run {
                coded.into_iter().for_each(|packet| run.append(packet));
                sound.play_until(self.pts_us(frame + 1), start, run).map_err(failed)?;
            }
            frame = self.next_frame(frame, now().us_since(start));
        }
        Ok(())
    }

    fn pts_us(&self, frame: i64) -> i64 {
        frame.saturating_mul(1_000_000) / i64::from(self.settings.rate.frames)
    }

    /// The frame after `frame`, unless that is too late already.
    fn next_frame(&self, frame: i64, elapsed_us: i64) -> i64 {
        let current = elapsed_us.saturating_mul(i64::from(self.settings.rate.frames)) / 1_000_000;
        if current - frame > MOST_LATE_FRAMES { current } else { frame + 1 }
    }
}

/// The sound, coded up to a moment of the stream.
struct Tone {
    encoder: OpusEncoder,
    samples: u64,
}

impl Tone {
    fn new() -> Result<Self, encode::Error> {
        Ok(Self { encoder: OpusEncoder::new(1, SOUND_BITRATE)?, samples: 0 })
    }

    /// Sends the sound up to `pts_us`, a frame's time ahead: sound is never behind its picture.
    fn play_until(&mut self, pts_us: i64, start: Moment, run: &Run) -> Result<(), encode::Error> {
        let until = beep::samples_until(pts_us);
        let chunk: Vec<f32> = (self.samples..until).map(beep::sample).collect();
        let chunk_pts_us = self.samples as i64 * 1_000_000 / i64::from(beep::SAMPLE_RATE);
        self.samples = until.max(self.samples);
        for mut packet in self.encoder.push(&chunk, chunk_pts_us)? {
            packet.header.track = 1;
            packet.header.captured_at_us = start.plus_us(packet.header.pts_us);
            run.append(packet);
        }
        Ok(())
    }
}

impl Feed for Pattern {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn title(&self) -> String {
        "Test pattern".to_owned()
    }

    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn way(&self) -> String {
        "made here, a running clock with a flash and a beep every second".to_owned()
    }

    fn run(self: Box<Self>, mut stage: Stage) -> Result<(), Error> {
        while stage.wait_for_viewer() {
            self.play(&mut stage)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::coder::Rate;
    use super::*;
    use crate::cli::Codec;

    fn pattern(width: u32, height: u32, fps: u32) -> Result<Pattern, Error> {
        let size = Size { width, height };
        Pattern::new(Settings { codec: Codec::Auto, size, rate: Rate::whole(fps), bitrate: None })
    }

    #[test]
    fn whole_seconds_fall_on_frames() {
        for fps in [1, 24, 25, 30, 50, 60, 120] {
            let pattern = pattern(320, 180, fps).expect("large enough");
            assert_eq!(pattern.pts_us(i64::from(fps) * 7), 7_000_000);
        }
    }

    #[test]
    fn a_slow_machine_leaves_frames_out() {
        let pattern = pattern(320, 180, 25).expect("large enough");
        assert_eq!(pattern.next_frame(10, 410_000), 11);
        assert_eq!(pattern.next_frame(10, 470_000), 11);
        assert_eq!(pattern.next_frame(10, 1_000_000), 25);
    }

    #[test]
    fn too_small_is_refused() {
        assert!(matches!(pattern(128, 90, 30), Err(Error::TooSmall(_))));
    }
}
