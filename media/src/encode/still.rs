//! One picture of a stream as a JPEG, as it is to be shown.

use bytes::Bytes;
use proto::stream::Video;

use super::{Error, jpeg};
use crate::Picture;
use crate::picture::{Fitter, Pixels, Placed};

/// The picture with the pixel aspect and the rotation of `video`, no larger than `sides`, and never
/// larger than it is; `quality` as of [`jpeg`].
///
/// # Errors
/// An [`Error`] of the encoder.
pub fn still(
    picture: &Picture,
    video: &Video,
    sides: (u32, u32),
    quality: u8,
    fitter: &mut Fitter,
) -> Result<Bytes, Error> {
    let shape = Video { width: picture.width, height: picture.height, ..video.clone() };
    let own = shape.display_size();
    let plain = own == (picture.width, picture.height) && video.rotation == 0;
    if plain && own.0 <= sides.0 && own.1 <= sides.1 {
        return jpeg(picture, quality);
    }
    let within = (sides.0.min(own.0), sides.1.min(own.1));
    let place = Placed::new((picture.width, picture.height), video, within);
    let mut rgb = Vec::new();
    fitter.fit(picture, video, (place.width, place.height), &mut rgb);
    let (width, height) = (place.width, place.height);
    let fitted = Picture { pts_us: picture.pts_us, width, height, pixels: Pixels::Rgb(rgb) };
    jpeg(&fitted, quality)
}
