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
