//! A picture scaled, turned and letterboxed into a window.
//!
//! Planes are scaled and turned before they become RGB: they hold less than half the bytes, and the
//! conversion then writes straight into the window.

use proto::stream::Video;

use super::scale::Scaler;
use super::{OPAQUE, Picture, Pixels, Yuv};

/// Fits pictures into windows; keep it, it keeps its working memory between them.
#[derive(Debug, Default)]
pub struct Fitter {
    scaler: Scaler,
    /// Planes that are not in use.
    spare: Vec<Vec<u8>>,
}

/// Where in the window the picture lies, pixels; all around it is black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

impl Placed {
    /// The largest place for a picture of this size in a window, with the pixel aspect and the
    /// rotation of `video`.
    #[must_use]
    pub fn new(size: (u32, u32), video: &Video, window: (u32, u32)) -> Self {
        let shape = Video { width: size.0.max(1), height: size.1.max(1), ..video.clone() };
        let (across, down) = shape.display_size();
        let (width, height) = (window.0.max(1), window.1.max(1));
        let scaled = |side: u32, to: u32, from: u32| {
            let side = (u64::from(side) * u64::from(to) + u64::from(from) / 2) / u64::from(from);
            u32::try_from(side).unwrap_or(u32::MAX)
        };
        let bars_above =
            u64::from(across) * u64::from(height) >= u64::from(down) * u64::from(width);
        let (w, h) = if bars_above {
            (width, scaled(down, width, across).clamp(1, height))
        } else {
            (scaled(across, height, down).clamp(1, width), height)
        };
        Self { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h }
    }
}

impl Fitter {
    /// Draws `picture` as large as it fits into a window of `window.0` by `window.1` pixels, with
    /// the pixel aspect and the rotation of `video`, 0xFFRRGGBB. `out` gets as long as the window
    /// and keeps its memory between calls.
    pub fn fit(
        &mut self,
        picture: &Picture,
        video: &Video,
        window: (u32, u32),
        out: &mut Vec<u32>,
    ) -> Placed {
        let place = Placed::new((picture.width, picture.height), video, window);
        let stride = window.0.max(1) as usize;
        out.resize(stride * window.1.max(1) as usize, OPAQUE);
        blacken_around(&place, stride, out);
        let (size, to) = ((picture.width, picture.height), (place.width, place.height));
        let from = place.y as usize * stride + place.x as usize;
        let as_it_is = size == to && video.rotation == 0;
        match &picture.pixels {
            _ if !picture.is_whole() => out.fill(OPAQUE),
            Pixels::Yuv(yuv) if as_it_is => yuv.write_rgb(to.0, to.1, &mut out[from..], stride),
            Pixels::Rgb(rgb) if as_it_is => {
                let width = to.0 as usize;
                for (row, pixels) in out[from..].chunks_mut(stride).zip(rgb.chunks_exact(width)) {
                    row[..width].copy_from_slice(pixels);
                }
            }
            Pixels::Yuv(yuv) => {
                self.fit_yuv(yuv, size, video.rotation, to, &mut out[from..], stride)
            }
            Pixels::Rgb(_) => {
                // Packed pixels are four bytes each: planes are made and scaled in half the time.
                let yuv = picture.to_yuv420();
                self.fit_yuv(&yuv, size, video.rotation, to, &mut out[from..], stride);
            }
        }
        place
    }

    fn fit_yuv(
        &mut self,
        yuv: &Yuv,
        size: (u32, u32),
        rotation: u16,
        to: (u32, u32),
        target: &mut [u32],
        stride: usize,
    ) {
        let chroma_size = yuv.subsampling.chroma_size(size.0, size.1);
        let chroma_to = yuv.subsampling.chroma_size(to.0, to.1);
        let fitted = Yuv {
            y: self.fit_plane(&yuv.y, size, rotation, to),
            u: self.fit_plane(&yuv.u, chroma_size, rotation, chroma_to),
            v: self.fit_plane(&yuv.v, chroma_size, rotation, chroma_to),
            ..*yuv
        };
        fitted.write_rgb(to.0, to.1, target, stride);
        self.spare.extend([fitted.y, fitted.u, fitted.v]);
    }

    fn fit_plane(
        &mut self,
        samples: &[u8],
        size: (u32, u32),
        rotation: u16,
        to: (u32, u32),
    ) -> Vec<u8> {
        let pixels = |(width, height): (u32, u32)| (width as usize, height as usize);
        let (size, to) = (pixels(size), pixels(to));
        let upright = if rotation.is_multiple_of(180) { to } else { (to.1, to.0) };
        let mut scaled = self.spare.pop().unwrap_or_default();
        self.scaler.scale(samples, size, upright, &mut scaled);
        if rotation == 0 {
            return scaled;
        }
        let mut turned = self.spare.pop().unwrap_or_default();
        turn(&scaled, upright, rotation, &mut turned);
        self.spare.push(scaled);
        turned
    }
}

/// Turned clockwise.
fn turn(samples: &[u8], (width, height): (usize, usize), rotation: u16, out: &mut Vec<u8>) {
    out.clear();
    match rotation {
        90 => transpose(samples, width, height, out, |x, y| x * height + (height - 1 - y)),
        180 => out.extend(samples.iter().rev()),
        270 => transpose(samples, width, height, out, |x, y| (width - 1 - x) * height + y),
        _ => out.extend_from_slice(samples),
    }
}

/// Moves the sample at (x, y) to `to(x, y)`, in tiles so that both sides stay in the cache.
fn transpose(
    samples: &[u8],
    width: usize,
    height: usize,
    out: &mut Vec<u8>,
    to: impl Fn(usize, usize) -> usize,
) {
    const TILE: usize = 32;
    out.resize(samples.len(), 0);
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    out[to(x, y)] = samples[y * width + x];
                }
            }
        }
    }
}

/// Only the bars: the rest is written over anyway.
fn blacken_around(place: &Placed, stride: usize, out: &mut [u32]) {
    let (left, right) = (place.x as usize, (place.x + place.width) as usize);
    let (top, bottom) = (place.y as usize, (place.y + place.height) as usize);
    let (above, rest) = out.split_at_mut(top * stride);
    let (middle, below) = rest.split_at_mut((bottom - top) * stride);
    above.fill(OPAQUE);
    below.fill(OPAQUE);
    for row in middle.chunks_exact_mut(stride) {
        row[..left].fill(OPAQUE);
        row[right..].fill(OPAQUE);
    }
}
