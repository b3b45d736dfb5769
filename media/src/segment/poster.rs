//! The picture that stands for a movie.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use proto::limits;
use proto::stream::{Media, Video};

use super::Segmented;
use crate::Picture;
use crate::decode::VideoDecoder;
use crate::demux::Error;
use crate::picture::Placed;

/// Largest sides, pixels.
const SIDES: (u32, u32) = (320, 180);
/// Qualities that are tried until one is small enough.
const QUALITIES: [u8; 3] = [80, 50, 20];

/// See [`Segmented::poster`].
pub(super) fn make(movie: &mut Segmented) -> Result<Option<Bytes>, Error> {
    let Some(index) = movie.plan.video() else { return Ok(None) };
    let track = movie.plan.tracks[usize::from(index)].clone();
    let Media::Video(video) = &track.media else { return Ok(None) };
    let Some(segment) = nearest(movie) else { return Ok(None) };
    let Ok(mut decoder) = VideoDecoder::new(&track) else { return Ok(None) };
    let packets = movie.packets(segment)?;
    let pictures = packets.iter().filter(|packet| packet.header.track == index);
    // The first that can be decoded, whatever is broken before it.
    for packet in pictures.skip_while(|packet| !packet.header.key) {
        let Ok(mut shown) = decoder.decode(packet) else { return Ok(None) };
        shown.extend(decoder.flush());
        if let Some(picture) = shown.first() {
            return Ok(jpeg(picture, video));
        }
    }
    Ok(None)
}

/// The segment that begins with a key frame nearest to a tenth of the movie.
fn nearest(movie: &Segmented) -> Option<usize> {
    let tenth_us = i64::try_from(movie.plan.duration_us / 10).unwrap_or(i64::MAX);
    let segments = movie.plan.segments.iter().enumerate().filter(|(_, segment)| segment.key);
    let distance = |start_us: i64| start_us.abs_diff(tenth_us);
    segments.min_by_key(|(_, segment)| distance(segment.start_us)).map(|(number, _)| number)
}

/// The picture as it is to be shown, small.
fn jpeg(picture: &Picture, video: &Video) -> Option<Bytes> {
    let mut pixels = Vec::new();
    picture.to_rgb(&mut pixels);
    let bytes = pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
    let whole = RgbImage::from_raw(picture.width, picture.height, bytes)?;
    let turned = match video.rotation {
        90 => imageops::rotate90(&whole),
        180 => imageops::rotate180(&whole),
        270 => imageops::rotate270(&whole),
        _ => whole,
    };
    let place = Placed::new((picture.width, picture.height), video, SIDES);
    let small = imageops::resize(&turned, place.width, place.height, FilterType::Triangle);
    let encode = |quality| {
        let mut out = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut out, quality);
        let size = (small.width(), small.height());
        encoder.write_image(&small, size.0, size.1, ExtendedColorType::Rgb8).ok()?;
        (out.len() <= limits::POSTER).then_some(Bytes::from(out))
    };
    QUALITIES.into_iter().find_map(encode)
}
