//! What a camera can send, and which of it to take.

use std::fmt;

use crate::cli::{Codec, Size};
use crate::source::coder::Rate;

/// How a camera lays out a picture's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A JPEG.
    Mjpeg,
    /// 4:2:2, packed Y U Y V.
    Yuyv,
    /// 4:2:0, a luma plane and one with U and V in turn.
    Nv12,
    /// Luma only.
    Grey,
    /// Red, green, blue, a byte each.
    Rgb,
    /// Blue, green, red, a byte each.
    Bgr,
}

/// One of a camera's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// How the bytes are laid out.
    pub layout: Layout,
    /// Width and height in pixels.
    pub size: Size,
    /// Frames per second.
    pub rate: Rate,
}

impl Format {
    /// The size as sent: raw layouts lose an odd last column or row, see `picture`.
    #[must_use]
    pub fn sendable_size(&self) -> Size {
        match self.layout {
            Layout::Mjpeg => self.size,
            _ => Size { width: self.size.width & !1, height: self.size.height & !1 },
        }
    }
}

impl Layout {
    /// Bytes of a pixel in a row (of luma, for [`Layout::Nv12`]); 0 where there are no rows.
    #[must_use]
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Mjpeg => 0,
            Self::Nv12 | Self::Grey => 1,
            Self::Yuyv => 2,
            Self::Rgb | Self::Bgr => 3,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mjpeg => "MJPEG",
            Self::Yuyv => "YUYV",
            Self::Nv12 => "NV12",
            Self::Grey => "GREY",
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.layout, self.size, self.rate)
    }
}

/// The offered format nearest to what is wanted: size first, then rate, then the least work.
#[must_use]
pub(super) fn nearest(offered: &[Format], size: Size, rate: Rate, codec: Codec) -> Option<Format> {
    offered.iter().copied().min_by_key(|format| {
        let sides =
            format.size.width.abs_diff(size.width) + format.size.height.abs_diff(size.height);
        // A rate that falls short shows; one that exceeds only costs.
        let (wanted, given) = (rate.millihertz(), format.rate.millihertz());
        let short = wanted.saturating_sub(given).saturating_mul(4);
        let off = short.saturating_add(given.saturating_sub(wanted));
        (sides, off, work(format.layout, codec))
    })
}

/// How much is to be done to send a layout as `codec`.
fn work(layout: Layout, codec: Codec) -> u32 {
    match (codec, layout) {
        // Passed through untouched.
        (Codec::Auto | Codec::Mjpeg, Layout::Mjpeg) => 0,
        (_, Layout::Nv12) => 1,
        (_, Layout::Yuyv) => 2,
        (_, Layout::Mjpeg) => 3,
        (_, Layout::Rgb | Layout::Bgr) => 4,
        // No colour: only where there is nothing else.
        (_, Layout::Grey) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(layout: Layout, width: u32, height: u32, fps: u32) -> Format {
        let rate = Rate { frames: fps, seconds: 1 };
        Format { layout, size: Size { width, height }, rate }
    }

    fn webcam() -> Vec<Format> {
        vec![
            format(Layout::Yuyv, 640, 480, 30),
            format(Layout::Yuyv, 1280, 720, 10),
            format(Layout::Mjpeg, 1280, 720, 30),
            format(Layout::Mjpeg, 1280, 720, 15),
            format(Layout::Mjpeg, 640, 480, 30),
            format(Layout::Mjpeg, 1920, 1080, 30),
        ]
    }

    fn choose(size: (u32, u32), fps: u32, codec: Codec) -> Format {
        let size = Size { width: size.0, height: size.1 };
        nearest(&webcam(), size, Rate { frames: fps, seconds: 1 }, codec)
            .expect("something is offered")
    }

    #[test]
    fn what_is_asked_for_is_taken_if_offered() {
        assert_eq!(choose((1280, 720), 30, Codec::Auto), webcam()[2]);
        assert_eq!(choose((1280, 720), 15, Codec::Auto), webcam()[3]);
        assert_eq!(choose((1280, 720), 10, Codec::Auto), webcam()[1]);
    }

    #[test]
    fn else_the_nearest_size_then_rate() {
        assert_eq!(choose((1300, 700), 60, Codec::Auto), webcam()[2]);
        assert_eq!(choose((1280, 720), 12, Codec::Auto), webcam()[3]);
        assert_eq!(choose((9999, 9999), 1, Codec::Auto), webcam()[5]);
        let rate = Rate { frames: 30, seconds: 1 };
        assert_eq!(nearest(&[], Size { width: 1, height: 1 }, rate, Codec::Auto), None);
    }

    #[test]
    fn then_the_least_work() {
        assert_eq!(choose((640, 480), 30, Codec::Auto).layout, Layout::Mjpeg);
        assert_eq!(choose((640, 480), 30, Codec::Mjpeg).layout, Layout::Mjpeg);
        assert_eq!(choose((640, 480), 30, Codec::H264).layout, Layout::Yuyv);
    }
}
