//! MJPEG: each packet is a whole JPEG (ITU-T T.81).

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::picture::{Picture, Pixels};

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
    let mut rgb = vec![0u32; usize::from(info.width) * usize::from(info.height)];
    decoder.decode_into(bytemuck::cast_slice_mut(&mut rgb)).ok()?;
    Some(Picture { pts_us, width, height, pixels: Pixels::Rgb(rgb) })
}
