//! Cameras on Linux, through the `v4l` crate on which nokhwa stands.
//!
//! nokhwa finds the cameras. Their formats and frames are had one storey below it, for what it does
//! not do (0.10): its `frame` never times out, so a camera that froze could not be closed and
//! opened again; it refuses cameras whose rate is no whole number (7.5, 29.97), or was when it was
//! last used; and it hides how many bytes of a buffer are the frame.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use proto::conn::now;
use proto::time::{Stamp, micros};
use rustix::time::{ClockId, clock_gettime};
use v4l::buffer::{Flags, Type};
use v4l::fraction::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::CaptureStream;
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device as Node, FourCC};

use super::Frame;
use super::device::{Error, explain};
use super::format::{Format, Layout};
use crate::cli::Size;
use crate::source::coder::Rate;

/// Frames the driver may have under way: one is read while others are filled.
const BUFFERS: u32 = 4;
/// Cameras take their time to start.
const FIRST_FRAME: Duration = Duration::from_secs(5);
/// A frame that would be older than this has a stamp of another clock.
const OLDEST_US: i64 = 1_000_000;

const LAYOUTS: [(Layout, &[u8; 4]); 6] = [
    (Layout::Mjpeg, b"MJPG"),
    (Layout::Yuyv, b"YUYV"),
    (Layout::Nv12, b"NV12"),
    (Layout::Grey, b"GREY"),
    (Layout::Rgb, b"RGB3"),
    (Layout::Bgr, b"BGR3"),
];

/// Offered of a camera that takes any size, and any rate.
const USUAL_SIZES: [(u32, u32); 5] =
    [(1920, 1080), (1280, 720), (640, 480), (640, 360), (320, 240)];
const USUAL_RATES: [u32; 6] = [60, 30, 25, 15, 10, 5];

/// What the camera `/dev/video<index>` offers; nothing if it is none.
///
/// # Errors
/// When it is not there, or this user may not open it.
pub(super) fn formats(index: u32, name: &str) -> Result<Vec<Format>, Error> {
    let node = Node::new(index as usize).map_err(|error| explain(name, &error))?;
    let mut found = Vec::new();
    // A node that carries no pictures (metadata, output) has no such list.
    for offered in node.enum_formats().unwrap_or_default() {
        let Some(layout) = layout(offered.fourcc) else { continue };
        for size in sizes(&node, offered.fourcc) {
            let rates = rates(&node, offered.fourcc, size);
            found.extend(rates.into_iter().map(|rate| Format { layout, size, rate }));
        }
    }
    Ok(found)
}

fn layout(fourcc: FourCC) -> Option<Layout> {
    LAYOUTS.iter().find(|(_, code)| fourcc.repr == **code).map(|(layout, _)| *layout)
}

fn fourcc(layout: Layout) -> FourCC {
    let code = LAYOUTS.iter().find(|(known, _)| *known == layout).map_or(b"MJPG", |(_, c)| *c);
    FourCC::new(code)
}

fn sizes(node: &Node, fourcc: FourCC) -> Vec<Size> {
    let offered = node.enum_framesizes(fourcc).unwrap_or_default();
    let sizes = offered.into_iter().flat_map(|offer| match offer.size {
        FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
        FrameSizeEnum::Stepwise(range) => {
            let fits = |side: u32, least: u32, most: u32, step: u32| {
                (least..=most).contains(&side) && (side - least).is_multiple_of(step.max(1))
            };
            let usual = USUAL_SIZES.into_iter().filter(|(w, h)| {
                fits(*w, range.min_width, range.max_width, range.step_width)
                    && fits(*h, range.min_height, range.max_height, range.step_height)
            });
            usual.chain([(range.max_width, range.max_height)]).collect()
        }
    });
    let there = |(width, height): &(u32, u32)| *width > 0 && *height > 0;
    sizes.filter(there).map(|(width, height)| Size { width, height }).collect()
}

fn rates(node: &Node, fourcc: FourCC, size: Size) -> Vec<Rate> {
    let offered = node.enum_frameintervals(fourcc, size.width, size.height).unwrap_or_default();
    let rates = offered.into_iter().flat_map(|offer| match offer.interval {
        FrameIntervalEnum::Discrete(interval) => rate(interval).into_iter().collect::<Vec<_>>(),
        FrameIntervalEnum::Stepwise(range) => {
            let seconds = |f: Fraction| f64::from(f.numerator) / f64::from(f.denominator.max(1));
            let (shortest, longest) = (seconds(range.min), seconds(range.max));
            let fits = |fps: &u32| (shortest..=longest).contains(&(1.0 / f64::from(*fps)));
            let usual = USUAL_RATES.into_iter().filter(fits);
            usual.map(|fps| Rate { frames: fps, seconds: 1 }).collect()
        }
    });
    rates.collect()
}

/// A rate is one over an interval.
fn rate(interval: Fraction) -> Option<Rate> {
    let Fraction { numerator: seconds, denominator: frames } = interval;
    (seconds > 0 && frames > 0).then_some(Rate { frames, seconds })
}

/// A camera that sends.
pub(super) struct Grabber {
    stream: MmapStream<'static>,
    name: String,
    row_bytes: usize,
}

impl Grabber {
    /// Opens the camera, sets `format` and gets it to send.
    ///
    /// # Errors
    /// When it is not there, busy, or refuses.
    pub(super) fn open(index: u32, name: &str, format: Format) -> Result<Self, Error> {
        let failed = |error: io::Error| explain(name, &error);
        let node = Node::new(index as usize).map_err(failed)?;
        let (Size { width, height }, code) = (format.size, fourcc(format.layout));
        let set = node.set_format(&v4l::Format::new(width, height, code)).map_err(failed)?;
        if (set.width, set.height, set.fourcc) != (width, height, code) {
            let reason = format!("it does not take {format}");
            return Err(Error::Failed { name: name.to_owned(), reason });
        }
        // After the size, which resets it. Some drivers have no say in it.
        let interval = Fraction::new(format.rate.seconds, format.rate.frames);
        if let Err(error) = node.set_params(&Parameters::new(interval)) {
            tracing::debug!("{name}: the rate stays as it is: {error}");
        }
        let mut stream =
            MmapStream::with_buffers(&node, Type::VideoCapture, BUFFERS).map_err(failed)?;
        stream.set_timeout(FIRST_FRAME);
        Ok(Self { stream, name: name.to_owned(), row_bytes: set.stride as usize })
    }

    /// Waits for the next whole frame.
    ///
    /// # Errors
    /// When none comes within `patience`, or the camera is gone.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Frame, Error> {
        loop {
            let (bytes, about) = self.stream.next().map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => Error::Silent(self.name.clone()),
                _ => explain(&self.name, &error),
            })?;
            let length = (about.bytesused as usize).min(bytes.len());
            let whole = !about.flags.contains(Flags::ERROR) && length > 0;
            let frame = Frame {
                bytes: Bytes::copy_from_slice(&bytes[..length]),
                row_bytes: self.row_bytes,
                captured: captured_at(about.timestamp.into()),
            };
            self.stream.set_timeout(patience);
            if whole {
                return Ok(frame);
            }
        }
    }
}

/// A driver's stamp (of the monotonic clock) on ours; now, where it is of another clock.
fn captured_at(stamp: Duration) -> Stamp {
    let clock = clock_gettime(ClockId::Monotonic);
    let arrived = now();
    let clock_us = clock.tv_sec.saturating_mul(1_000_000).saturating_add(clock.tv_nsec / 1_000);
    let age_us = clock_us.saturating_sub(micros(stamp));
    if (0..=OLDEST_US).contains(&age_us) { arrived.plus_us(-age_us) } else { arrived }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_another_clock_are_not_believed() {
        let clock = clock_gettime(ClockId::Monotonic);
        let monotonic = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
        let off = |stamp| {
            let before = now();
            captured_at(stamp).us_since(before)
        };
        assert!((-900_000..=-29_000).contains(&off(monotonic - Duration::from_millis(30))));
        for wrong in [Duration::ZERO, monotonic + Duration::from_secs(60), Duration::MAX] {
            assert!(off(wrong) >= 0, "{wrong:?}");
        }
    }

    #[test]
    fn layouts_and_their_codes_belong_together() {
        for (known, code) in LAYOUTS {
            assert_eq!(layout(FourCC::new(code)), Some(known));
            assert_eq!(fourcc(known).repr, *code);
        }
        assert_eq!(layout(FourCC::new(b"H264")), None);
    }

    #[test]
    fn rates_are_intervals_upside_down() {
        assert_eq!(rate(Fraction::new(2, 15)), Some(Rate { frames: 15, seconds: 2 }));
        assert_eq!(rate(Fraction::new(0, 30)), None);
    }
}
