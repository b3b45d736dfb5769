//! Text over the picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

const HEIGHT: RasterHeight = RasterHeight::Size20;
const WEIGHT: FontWeight = FontWeight::Regular;
/// Around the text, pixels.
const MARGIN: usize = 8;

/// Where a box of text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// Upper left.
    TopLeft,
    /// Upper right.
    TopRight,
    /// So many pixels above the lower edge, centred.
    Bottom(usize),
}

/// How far a recording is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What is played, as a part of the whole.
    pub played: f64,
    /// Up to where it is buffered, as a part of the whole.
    pub buffered: f64,
    /// Position and length in words.
    pub label: String,
}

/// Height of the line of a [`Bar`], pixels.
const LINE: usize = 6;
/// What is not there yet, what is buffered, what is played.
const BAR_COLOURS: [u32; 3] = [0x0040_4040, 0x0090_9090, 0x00f0_f0f0];

/// A picture to draw on: 0xRRGGBB, row after row.
#[derive(Debug)]
pub struct Canvas<'a> {
    /// The pixels.
    pub pixels: &'a mut [u32],
    /// Across.
    pub width: usize,
    /// Down.
    pub height: usize,
}

impl Canvas<'_> {
    /// Draws lines in a darkened box. What does not fit is cut off.
    pub fn text(&mut self, lines: &[&str], corner: Corner) {
        let glyph = get_raster_width(WEIGHT, HEIGHT);
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let width = (longest * glyph + 2 * MARGIN).min(self.width);
        let height = (lines.len() * HEIGHT.val() + 2 * MARGIN).min(self.height);
        let (left, top) = match corner {
            Corner::TopLeft => (MARGIN.min(self.width - width), MARGIN.min(self.height - height)),
            Corner::TopRight => {
                let right = self.width - width;
                (right - MARGIN.min(right), MARGIN.min(self.height - height))
            }
            Corner::Bottom(above) => {
                let below = self.height - height;
                ((self.width - width) / 2, below - (MARGIN + above).min(below))
            }
        };
        self.darken(left, top, width, height);
        for (row, line) in lines.iter().enumerate() {
            let y = top + MARGIN + row * HEIGHT.val();
            for (column, character) in line.chars().enumerate() {
                self.glyph(left + MARGIN + column * glyph, y, character);
            }
        }
    }

    /// Draws how far a recording is played across the lower edge, its words to the right; gives how
    /// high that is, pixels. A picture too narrow for both gets none.
    pub fn bar(&mut self, bar: &Bar) -> usize {
        let glyph = get_raster_width(WEIGHT, HEIGHT);
        let words = bar.label.chars().count() * glyph;
        let height = HEIGHT.val() + MARGIN;
        let line = self.width.saturating_sub(words + 5 * MARGIN);
        if line < 4 * MARGIN || self.height < height + 2 * MARGIN {
            return 0;
        }
        let top = self.height - height - MARGIN;
        self.darken(MARGIN, top, self.width - 2 * MARGIN, height);
        let part = |part: f64| (part.clamp(0.0, 1.0) * line as f64).round() as usize;
        let ends = [line, part(bar.buffered), part(bar.played)];
        let rows = self.pixels.chunks_exact_mut(self.width).skip(top + (height - LINE) / 2);
        for row in rows.take(LINE) {
            for (end, colour) in ends.into_iter().zip(BAR_COLOURS) {
                row[2 * MARGIN..2 * MARGIN + end].fill(colour);
            }
        }
        for (column, character) in bar.label.chars().enumerate() {
            let left = line + 3 * MARGIN + column * glyph;
            self.glyph(left, top + MARGIN / 2, character);
        }
        height
    }

    fn darken(&mut self, left: usize, top: usize, width: usize, height: usize) {
        for row in self.pixels.chunks_exact_mut(self.width).skip(top).take(height) {
            for pixel in row.iter_mut().skip(left).take(width) {
                // A quarter of each colour is left.
                *pixel = (*pixel >> 2) & 0x003f_3f3f;
            }
        }
    }

    fn glyph(&mut self, left: usize, top: usize, character: char) {
        let Some(glyph) = get_raster(character, WEIGHT, HEIGHT)
            .or_else(|| get_raster('\u{fffd}', WEIGHT, HEIGHT))
        else {
            return;
        };
        let rows = self.pixels.chunks_exact_mut(self.width).skip(top);
        for (to, from) in rows.zip(glyph.rows()) {
            for (pixel, &coverage) in to.iter_mut().skip(left).zip(from) {
                *pixel = towards_white(*pixel, coverage);
            }
        }
    }
}

/// Lines cut at their spaces (or within a long word) so that none is wider than so many pixels.
#[must_use]
pub fn wrap(lines: &[String], pixels: usize) -> Vec<String> {
    let most = (pixels / get_raster_width(WEIGHT, HEIGHT)).max(8);
    lines.iter().flat_map(|line| wrap_line(line, most)).collect()
}

fn wrap_line(line: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in line.split_inclusive(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let shown = word.iter().rev().skip_while(|c| **c == ' ').count();
        if length > 0 && length + shown > most {
            lines.push(String::new());
            length = 0;
        }
        while word.len() > most && shown > most {
            let rest = word.split_off(most);
            lines.extend([word.into_iter().collect(), String::new()]);
            lines.retain(|line| !line.is_empty());
            lines.push(String::new());
            word = rest;
        }
        length += word.len();
        if let Some(last) = lines.last_mut() {
            last.extend(word);
        }
    }
    lines
}

fn towards_white(pixel: u32, coverage: u8) -> u32 {
    let mix = |shift: u32| {
        let from = (pixel >> shift) & 0xff;
        (from + (255 - from) * u32::from(coverage) / 255) << shift
    };
    mix(16) | mix(8) | mix(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(width: usize, height: usize, lines: &[&str], corner: Corner) -> Vec<u32> {
        let mut pixels = vec![0x0080_8080; width * height];
        Canvas { pixels: &mut pixels, width, height }.text(lines, corner);
        pixels
    }

    #[test]
    fn text_is_bright_in_a_dark_box_and_nothing_else_changes() {
        let pixels = draw(200, 60, &["Größe"], Corner::TopLeft);
        assert!(pixels.iter().any(|p| p & 0xff > 0xf0), "bright strokes");
        assert!(pixels.contains(&0x0020_2020), "a dark ground");
        assert_eq!(pixels.last(), Some(&0x0080_8080));
    }

    #[test]
    fn text_larger_than_the_picture_is_cut() {
        for (width, height) in [(1, 1), (5, 3), (30, 10)] {
            for corner in [Corner::TopLeft, Corner::TopRight, Corner::Bottom(0)] {
                let pixels = draw(width, height, &["much too long", "and too high"], corner);
                assert_eq!(pixels.len(), width * height);
            }
        }
    }

    #[test]
    fn lines_are_cut_at_spaces_and_long_words_within() {
        let glyph = get_raster_width(WEIGHT, HEIGHT);
        let cut = |line: &str| wrap(&[line.to_owned()], 10 * glyph);
        assert_eq!(cut("Ana: hello there you"), ["Ana: hello ", "there you"]);
        assert_eq!(cut("short"), ["short"]);
        assert_eq!(cut("0123456789abcdefghijXYZ"), ["0123456789", "abcdefghij", "XYZ"]);
        assert_eq!(cut("Ben: 0123456789abc d"), ["Ben: ", "0123456789", "abc d"]);
        assert_eq!(cut(""), [""]);
    }

    #[test]
    fn a_bar_says_what_is_played_and_what_is_there() {
        let bar = |buffered, played| Bar { played, buffered, label: "0:01 / 0:02".into() };
        let draw = |bar: &Bar, width: usize| {
            let mut pixels = vec![0x0080_8080; width * 60];
            let height = Canvas { pixels: &mut pixels, width, height: 60 }.bar(bar);
            let count = |colour| pixels.iter().filter(|pixel| **pixel == colour).count();
            (height, BAR_COLOURS.map(count))
        };
        let (height, [rest, there, played]) = draw(&bar(0.75, 0.5), 400);
        // The words have some pixels of the same colours.
        assert!(height > 0 && rest > 0, "{height} {rest}");
        assert!((rest..rest + 40).contains(&there), "{rest} {there}");
        assert!((2 * rest..2 * rest + 40).contains(&played), "{rest} {played}");
        assert_eq!(draw(&bar(9.0, -1.0), 400).1[0], 0, "bounds are kept");
        assert_eq!(draw(&bar(0.5, 0.5), 60).0, 0, "no room, no bar");
    }

    #[test]
    fn characters_the_font_lacks_are_drawn_as_such() {
        assert_ne!(
            draw(100, 40, &["漢"], Corner::Bottom(0)),
            draw(100, 40, &[" "], Corner::Bottom(0))
        );
    }
}
