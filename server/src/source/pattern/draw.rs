//! The test pattern's picture: colour bars, a clock, a frame number, a sweep and the stamp.
//!
//! What stands still is drawn once, in RGB, once calm and once flashing. A frame is a copy of that
//! with the moving parts, all of them grey, painted over its luma.

use media::picture::{Matrix, Picture, Pixels, Yuv};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use proto::time::Stamp as Moment;

use super::stamp::{self, ACROSS, COLUMNS, DOWN, LEFT, ROWS, Stamp, TOP};

/// Television black and white (ITU-R BT.709 §4, 8 bit).
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const GREY: u8 = 180;

/// The bars' colours at 75 %, left to right.
const BARS: [u32; 7] =
    [0xBF_BFBF, 0xBF_BF00, 0x00_BFBF, 0x00_BF00, 0xBF_00BF, 0xBF_0000, 0x00_00BF];

/// A rectangle in blocks (see [`stamp::ACROSS`]): left, top, right, bottom.
type Blocks = (usize, usize, usize, usize);

/// Behind the stamp, with a block of margin around it.
const STAMP_PLATE: Blocks = (LEFT - 1, TOP - 1, LEFT + COLUMNS + 1, TOP + ROWS + 1);
/// Behind the clock and the frame number.
const TEXT_PLATE: Blocks = (4, 13, 60, 27);
const CLOCK: Blocks = (6, 14, 58, 22);
const NUMBER: Blocks = (6, 23, 58, 26);
/// The sweep's track.
const SWEEP: Blocks = (4, 30, 60, 33);

/// Draws frames of one size and rate.
#[derive(Debug)]
pub(super) struct Painter {
    width: usize,
    height: usize,
    fps: u32,
    calm: Yuv,
    flash: Yuv,
}

impl Painter {
    /// A painter of frames of `width` by `height` pixels, `fps` of them a second.
    #[must_use]
    pub(super) fn new(width: u32, height: u32, fps: u32) -> Self {
        let (w, h) = (width as usize, height as usize);
        let matrix = Matrix::from_coefficients(2, width, height);
        let still = |flash| Yuv::from_rgb(&background(w, h, flash), width, height, matrix, false);
        Self { width: w, height: h, fps, calm: still(false), flash: still(true) }
    }

    /// The frame numbered `frame`, to be shown at `pts_us`, captured at `captured`.
    #[must_use]
    pub(super) fn paint(&self, frame: u32, pts_us: i64, captured: Moment, flash: bool) -> Picture {
        let mut yuv = if flash { self.flash.clone() } else { self.calm.clone() };
        let captured_ms = u64::try_from(captured.0 / 1000).unwrap_or(0);
        let mut luma = Luma { plane: &mut yuv.y, width: self.width, height: self.height };
        luma.stamp(Stamp { frame, captured_ms });
        luma.text(CLOCK, &clock(captured_ms));
        luma.text(
            NUMBER,
            &format!("frame {frame}  {}x{} {} fps", self.width, self.height, self.fps),
        );
        luma.sweep(frame % self.fps, self.fps);
        Picture {
            pts_us,
            width: u32::try_from(self.width).unwrap_or(0),
            height: u32::try_from(self.height).unwrap_or(0),
            pixels: Pixels::Yuv(yuv),
        }
    }
}

/// The time of day, UTC.
fn clock(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}.{ms:03} UTC", seconds % 60)
}

/// What does not move, 0x00RRGGBB.
fn background(width: usize, height: usize, flash: bool) -> Vec<u32> {
    let mut rgb = vec![0; width * height];
    let edge = (height / 180).max(2);
    for (y, row) in rgb.chunks_exact_mut(width).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let at_edge = x < edge || y < edge || x >= width - edge || y >= height - edge;
            *pixel = match BARS.get(x * BARS.len() / width) {
                _ if flash || at_edge => 0xFF_FFFF,
                Some(bar) => *bar,
                None => 0,
            };
        }
    }
    for plate in [STAMP_PLATE, TEXT_PLATE, SWEEP] {
        let (left, top, right, bottom) = pixels(plate, width, height);
        for row in rgb.chunks_exact_mut(width).take(bottom).skip(top) {
            row[left..right].fill(0);
        }
    }
    rgb
}

fn pixels((left, top, right, bottom): Blocks, width: usize, height: usize) -> Blocks {
    (left * width / ACROSS, top * height / DOWN, right * width / ACROSS, bottom * height / DOWN)
}

/// A luma plane being painted on.
struct Luma<'a> {
    plane: &'a mut [u8],
    width: usize,
    height: usize,
}

impl Luma<'_> {
    fn fill(&mut self, (left, top, right, bottom): Blocks, grey: u8) {
        for row in self.plane.chunks_exact_mut(self.width).take(bottom).skip(top) {
            row[left..right].fill(grey);
        }
    }

    fn stamp(&mut self, stamp: Stamp) {
        for (bit, white) in stamp.blocks().into_iter().enumerate() {
            let (left, right) = stamp::span(LEFT + bit % COLUMNS, ACROSS, self.width);
            let (top, bottom) = stamp::span(TOP + bit / COLUMNS, DOWN, self.height);
            self.fill((left, top, right, bottom), if white { WHITE } else { BLACK });
        }
    }

    /// A white bar that crosses its track once a second.
    fn sweep(&mut self, step: u32, steps: u32) {
        let (left, top, right, bottom) = pixels(SWEEP, self.width, self.height);
        let bar = (self.width / ACROSS).max(1);
        let room = (right - left).saturating_sub(bar);
        let from = left + room * step as usize / steps.max(1) as usize;
        self.fill((from, top, from + bar, bottom), GREY);
    }

    /// Writes `text` as large as it fits into `area`, in its middle.
    fn text(&mut self, area: Blocks, text: &str) {
        let (left, top, right, bottom) = pixels(area, self.width, self.height);
        let glyph = (get_raster_width(FontWeight::Bold, RasterHeight::Size32), 32);
        let natural = (glyph.0 * text.len().max(1), glyph.1);
        // The scale is a fraction of whole numbers: pixels of the picture over pixels of the font.
        let (across, down) = (right - left, bottom - top);
        let (num, den) = if across * natural.1 < down * natural.0 {
            (across, natural.0)
        } else {
            (down, natural.1)
        };
        let (width, height) = (natural.0 * num / den, natural.1 * num / den);
        let (x0, y0) = (left + (across - width) / 2, top + (down - height) / 2);
        let glyphs: Vec<_> = text
            .chars()
            .filter_map(|c| get_raster(c, FontWeight::Bold, RasterHeight::Size32))
            .collect();
        for y in 0..height {
            let row = &mut self.plane[(y0 + y) * self.width..][..self.width];
            for x in 0..width {
                let (fx, fy) = (x * den / num, y * den / num);
                let ink = glyphs.get(fx / glyph.0).and_then(|g| g.pixel(fx % glyph.0, fy));
                let ink = u32::from(ink.unwrap_or(0));
                let span = u32::from(WHITE - BLACK);
                row[x0 + x] = BLACK + u8::try_from(span * ink / 255).unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(picture: &Picture) -> Vec<u32> {
        let mut rgb = Vec::new();
        picture.to_rgb(&mut rgb);
        rgb
    }

    #[test]
    fn the_stamp_is_read_from_every_size_calm_and_flashing() {
        for (width, height) in [(1280, 720), (160, 90), (854, 480), (640, 640), (1920, 1080)] {
            let painter = Painter::new(width, height, 30);
            for flash in [false, true] {
                let picture = painter.paint(77, 0, Moment(1_795_132_800_123_999), flash);
                let read = stamp::read(&rgb(&picture), width as usize, height as usize);
                let expected = Stamp { frame: 77, captured_ms: 1_795_132_800_123 };
                assert_eq!(read, Some(expected), "{width}x{height} flash {flash}");
            }
        }
    }

    #[test]
    fn a_flash_is_mostly_white_and_calm_is_not() {
        let painter = Painter::new(1280, 720, 30);
        let white = |flash| {
            let picture = painter.paint(0, 0, Moment(0), flash);
            let rgb = rgb(&picture);
            let bright = rgb.iter().filter(|p| **p & 0xFF_FFFF >= 0xFA_FAFA).count();
            bright as f64 / rgb.len() as f64
        };
        assert!(white(true) > 0.4, "{}", white(true));
        assert!(white(false) < 0.1, "{}", white(false));
    }

    #[test]
    fn the_sweep_moves_with_every_frame() {
        let painter = Painter::new(640, 360, 30);
        let (left, top, right, _) = pixels(SWEEP, 640, 360);
        let bar = |frame| {
            let picture = rgb(&painter.paint(frame, 0, Moment(0), false));
            let track = &picture[(top + 2) * 640..][left..right];
            track.iter().position(|pixel| pixel & 0xFF > 100).expect("a bar")
        };
        assert!((0..29).all(|frame| bar(frame) < bar(frame + 1)));
        assert_eq!(bar(0), bar(30));
    }

    #[test]
    fn the_clock_reads_as_a_clock() {
        assert_eq!(clock(1_795_132_800_123), "00:00:00.123 UTC");
        assert_eq!(clock(1_795_132_800_123 + 45_296_000), "12:34:56.123 UTC");
    }

    #[test]
    fn the_clock_is_legible() {
        // Ink where the digits are: a fair part of the text's box is white, most of it black.
        let painter = Painter::new(320, 180, 30);
        let picture = rgb(&painter.paint(1, 0, Moment(0), false));
        let (left, top, right, bottom) = pixels(CLOCK, 320, 180);
        let box_pixels = (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y)));
        let ink = box_pixels.clone().filter(|(x, y)| picture[y * 320 + x] & 0xFF > 128).count();
        let share = ink as f64 / box_pixels.count() as f64;
        assert!((0.05..0.5).contains(&share), "{share}");
    }
}
