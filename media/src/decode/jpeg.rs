//! MJPEG: each packet is a whole JPEG (ITU-T T.81).

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::picture::{Picture, Pixels};

/// Most pixels of a picture: 8192 by 8192, 256 MB decoded. A header of a few bytes can claim more.
const MOST_PIXELS: usize = 1 << 26;

/// Decodes one JPEG. `None` if it is broken.
///
/// The decoder writes pixels in a window's own order, so that nothing converts them again.
#[must_use]
pub fn picture(jpeg: &[u8], pts_us: i64) -> Option<Picture> {
    if has_huffman_tables(jpeg) {
        return decode(jpeg, pts_us);
    }
    // Many cameras leave them out, as AVI files do: their marker makes the decoder use the usual
    // ones (ITU-T T.81 K.3).
    let (start, rest) = jpeg.split_at_checked(2)?;
    decode(&[start, b"\xff\xe0\0\x07AVI1\0", rest].concat(), pts_us)
}

/// Whether a DHT segment comes before the first scan (ITU-T T.81 B.1.1).
fn has_huffman_tables(jpeg: &[u8]) -> bool {
    const DHT: u8 = 0xc4;
    const SOS: u8 = 0xda;
    let mut rest = jpeg.get(2..).unwrap_or_default();
    while let &[0xff, marker, ref after @ ..] = rest {
        match marker {
            DHT => return true,
            SOS => return false,
            0xff => rest = &rest[1..], // filling
            _ => {
                let length = after.first_chunk().map_or(0, |&length| u16::from_be_bytes(length));
                rest = after.get(usize::from(length)..).unwrap_or_default();
            }
        }
    }
    // Too broken to say: the decoder decides.
    true
}

fn decode(jpeg: &[u8], pts_us: i64) -> Option<Picture> {
    let side = usize::try_from(proto::limits::PICTURE_SIDE).ok()?;
    let options = DecoderOptions::new_fast()
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(ColorSpace::BGRA);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().ok()?;
    let info = decoder.info()?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let pixels = usize::from(info.width) * usize::from(info.height);
    if !(1..=MOST_PIXELS).contains(&pixels) {
        return None;
    }
    let mut rgb = vec![0u32; pixels];
    decoder.decode_into(bytemuck::cast_slice_mut(&mut rgb)).ok()?;
    Some(Picture { pts_us, width, height, pixels: Pixels::Rgb(rgb) })
}
