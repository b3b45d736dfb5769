//! JPEG (ITU-T T.81), baseline, 4:2:0.

use bytes::Bytes;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::Error;
use crate::picture::{Picture, Pixels};

/// Encodes one picture; `quality` is 1 (small) to 100 (good).
pub fn jpeg(picture: &Picture, quality: u8) -> Result<Bytes, Error> {
    let (width, height) = (picture.width, picture.height);
    let allowed = "at most 65535 pixels a side";
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| Error::Size { codec: "JPEG", width, height, allowed })
    };
    let (across, down) = (side(width)?, side(height)?);
    let mut converted = Vec::new();
    let rgb = match &picture.pixels {
        Pixels::Rgb(rgb) => rgb,
        Pixels::Yuv(_) => {
            picture.to_rgb(&mut converted);
            &converted
        }
    };
    let mut out = Vec::with_capacity(rgb.len() / 4);
    let mut encoder = Encoder::new(&mut out, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder
        .encode(bytemuck::cast_slice(rgb), across, down, ColorType::Bgra)
        .map_err(|error| Error::Failed { codec: "JPEG", reason: error.to_string() })?;
    Ok(out.into())
}
