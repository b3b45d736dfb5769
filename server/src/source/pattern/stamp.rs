//! The machine-readable stamp in the test pattern: which frame, captured when.
//!
//! Sixteen columns by six rows of black and white blocks, most significant bit first, row by row:
//! 32 bits frame number, 48 bits capture time (Unix, milliseconds), 16 bits CRC-16/CCITT-FALSE over
//! those ten bytes. The grid lies at a fixed place relative to the picture (`docs/TEST-PATTERN.md`),
//! so it survives scaling; blocks are large and far apart in brightness, so it survives H.264.

/// Blocks in a row and rows of blocks.
pub const COLUMNS: usize = 16;
/// Rows of blocks.
pub const ROWS: usize = 6;
/// The picture's width and height in blocks: a block is 1/64 of the width and 1/36 of the height.
pub const ACROSS: usize = 64;
/// See [`ACROSS`].
pub const DOWN: usize = 36;
/// Where the first block lies, in blocks from the left and from the top.
pub const LEFT: usize = 3;
/// See [`LEFT`].
pub const TOP: usize = 3;

/// Brightness (0 to 255) that a white and a black block must at least differ by.
const CONTRAST: u32 = 60;
/// Darker than this is taken for the bars around a letterboxed picture.
const BAR: u32 = 24;

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the frames of a run, from 0.
    pub frame: u32,
    /// When the frame was captured, milliseconds since the Unix epoch, on the server's clock.
    pub captured_ms: u64,
}

impl Stamp {
    /// The ninety-six blocks, `true` for white.
    #[must_use]
    pub fn blocks(&self) -> [bool; COLUMNS * ROWS] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.frame.to_be_bytes());
        bytes[4..10].copy_from_slice(&self.captured_ms.to_be_bytes()[2..]);
        let crc = crc16(&bytes[..10]);
        bytes[10..].copy_from_slice(&crc.to_be_bytes());
        std::array::from_fn(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1 == 1)
    }

    fn from_blocks(blocks: &[bool; COLUMNS * ROWS]) -> Option<Self> {
        let mut bytes = [0u8; 12];
        for (bit, white) in blocks.iter().enumerate() {
            bytes[bit / 8] |= u8::from(*white) << (7 - bit % 8);
        }
        let (said, crc) = bytes.split_at(10);
        let number = |part: &[u8]| part.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        (u64::from(crc16(said)) == number(crc)).then(|| Self {
            frame: u32::from_be_bytes([said[0], said[1], said[2], said[3]]),
            captured_ms: number(&said[4..]),
        })
    }
}

/// The pixels a block covers along one axis: from, to.
#[must_use]
pub fn span(block: usize, blocks: usize, pixels: usize) -> (usize, usize) {
    (block * pixels / blocks, (block + 1) * pixels / blocks)
}

/// Reads the stamp from a picture or a screenshot of `width` by `height` pixels, `0x00RRGGBB`,
/// row by row. Black bars around the picture (a letterboxed window) are looked behind. `None` if
/// there is no stamp, or a damaged one.
#[must_use]
pub fn read(rgb: &[u32], width: usize, height: usize) -> Option<Stamp> {
    let pixels = width.checked_mul(height)?;
    if width < ACROSS || height < DOWN || rgb.len() < pixels {
        return None;
    }
    let image = Image { rgb, width };
    let whole = Area { x: 0, y: 0, width, height };
    image.read(whole).or_else(|| image.read(image.without_bars(whole)?))
}

#[derive(Clone, Copy)]
struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

struct Image<'a> {
    rgb: &'a [u32],
    width: usize,
}

impl Image<'_> {
    /// Brightness as BT.601 weighs it, near enough for black and white.
    fn luma(&self, x: usize, y: usize) -> u32 {
        let pixel = self.rgb.get(y * self.width + x).copied().unwrap_or(0);
        let [_, r, g, b] = pixel.to_be_bytes();
        (u32::from(r) * 77 + u32::from(g) * 150 + u32::from(b) * 29) >> 8
    }

    fn read(&self, area: Area) -> Option<Stamp> {
        if area.width < ACROSS || area.height < DOWN {
            return None;
        }
        let levels: [u32; COLUMNS * ROWS] =
            std::array::from_fn(|bit| self.block(area, bit % COLUMNS, bit / COLUMNS));
        let (darkest, brightest) = (*levels.iter().min()?, *levels.iter().max()?);
        if brightest - darkest < CONTRAST {
            return None;
        }
        let middle = (darkest + brightest) / 2;
        Stamp::from_blocks(&levels.map(|level| level > middle))
    }

    /// Mean brightness of a block's middle: its edges are blurred by coding and scaling.
    fn block(&self, area: Area, column: usize, row: usize) -> u32 {
        let (left, right) = inner(span(LEFT + column, ACROSS, area.width));
        let (top, bottom) = inner(span(TOP + row, DOWN, area.height));
        let mut sum = 0;
        for y in top..bottom {
            for x in left..right {
                sum += self.luma(area.x + x, area.y + y);
            }
        }
        sum / ((right - left) * (bottom - top)).max(1) as u32
    }

    /// The picture without black bars; `None` if there are none, or nothing else.
    fn without_bars(&self, area: Area) -> Option<Area> {
        // The pattern has a bright edge, so looking along the middle lines is enough.
        let (middle_x, middle_y) = (area.width / 2, area.height / 2);
        let column = |x: &usize| self.luma(*x, middle_y) > BAR;
        let row = |y: &usize| self.luma(middle_x, *y) > BAR;
        let (left, right) = ((0..area.width).find(column)?, (0..area.width).rfind(column)?);
        let (top, bottom) = ((0..area.height).find(row)?, (0..area.height).rfind(row)?);
        let found = Area { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
        (found.width < area.width || found.height < area.height).then_some(found)
    }
}

/// The middle half of a span, at least a pixel.
fn inner((from, to): (usize, usize)) -> (usize, usize) {
    let margin = (to - from) / 4;
    (from + margin, (to - margin).max(from + margin + 1))
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, begins with 0xFFFF.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { frame: 0xDEAD_BEEF, captured_ms: 1_795_132_800_123 };

    /// A grey picture with the stamp in it, at `area` of a black screen.
    fn screenshot(stamp: Stamp, width: usize, height: usize, area: Area) -> Vec<u32> {
        let mut rgb = vec![0; width * height];
        let blocks = stamp.blocks();
        for y in 0..area.height {
            for x in 0..area.width {
                let column = (x * ACROSS / area.width).wrapping_sub(LEFT);
                let row = (y * DOWN / area.height).wrapping_sub(TOP);
                let colour = match blocks.get(row.wrapping_mul(COLUMNS).wrapping_add(column)) {
                    Some(white) if column < COLUMNS && row < ROWS => u32::from(*white) * 0xFF_FFFF,
                    _ => 0x80_8080,
                };
                rgb[(area.y + y) * width + area.x + x] = colour;
            }
        }
        rgb
    }

    #[test]
    fn the_crc_is_the_catalogued_one() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn what_is_written_is_read_at_every_size() {
        for (width, height) in [(1280, 720), (320, 180), (854, 480), (1920, 1080), (200, 133)] {
            let area = Area { x: 0, y: 0, width, height };
            assert_eq!(read(&screenshot(STAMP, width, height, area), width, height), Some(STAMP));
        }
    }

    #[test]
    fn bars_around_the_picture_are_looked_behind() {
        for area in [
            Area { x: 0, y: 60, width: 640, height: 360 },
            Area { x: 80, y: 0, width: 480, height: 480 },
            Area { x: 100, y: 101, width: 333, height: 187 },
        ] {
            assert_eq!(read(&screenshot(STAMP, 640, 480, area), 640, 480), Some(STAMP));
        }
    }

    #[test]
    fn a_damaged_block_is_noticed() {
        let (width, height) = (640, 360);
        let area = Area { x: 0, y: 0, width, height };
        for bit in 0..COLUMNS * ROWS {
            let mut rgb = screenshot(STAMP, width, height, area);
            let (left, right) = span(LEFT + bit % COLUMNS, ACROSS, width);
            let (top, bottom) = span(TOP + bit / COLUMNS, DOWN, height);
            for y in top..bottom {
                for pixel in &mut rgb[y * width + left..y * width + right] {
                    *pixel = !*pixel & 0xFF_FFFF;
                }
            }
            assert_eq!(read(&rgb, width, height), None, "bit {bit}");
        }
    }

    #[test]
    fn no_stamp_is_no_stamp() {
        assert_eq!(read(&[], 0, 0), None);
        assert_eq!(read(&[0; 100], 1280, 720), None);
        for grey in [0, 0x80_8080, 0xFF_FFFF] {
            assert_eq!(read(&vec![grey; 640 * 360], 640, 360), None);
        }
    }
}
