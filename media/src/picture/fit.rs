//! A picture scaled, turned and letterboxed into a window.
//!
//! Planes are scaled and turned before they become RGB: they hold less than half the bytes, and the
//! conversion then writes straight into the window.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use proto::stream::Video;

use super::{OPAQUE, Picture, Pixels, Yuv};

/// Fits pictures into windows; keep it, it keeps its working memory between them.
#[derive(Default)]
pub struct Fitter {
    resizer: Resizer,
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
        let size = (picture.width, picture.height);
        let target = &mut out[place.y as usize * stride + place.x as usize..];
        match &picture.pixels {
            Pixels::Yuv(yuv) => {
                let fitted = self.fit_yuv(yuv, size, video.rotation, (place.width, place.height));
                let yuv = fitted.as_ref().unwrap_or(yuv);
                yuv.write_rgb(place.width, place.height, target, stride);
            }
            Pixels::Rgb(rgb) => {
                let plane = Plane { samples: rgb, size };
                let fitted = self.fit_rgb(plane, video.rotation, (place.width, place.height));
                let rgb = fitted.as_ref().unwrap_or(rgb);
                let width = place.width as usize;
                for (row, from) in target.chunks_mut(stride).zip(rgb.chunks_exact(width)) {
                    row[..width].copy_from_slice(from);
                }
            }
        }
        place
    }

    /// `None` where the planes already are as they are wanted.
    fn fit_yuv(
        &mut self,
        yuv: &Yuv,
        size: (u32, u32),
        rotation: u16,
        to: (u32, u32),
    ) -> Option<Yuv> {
        if size == to && rotation == 0 {
            return None;
        }
        let chroma_size = yuv.subsampling.chroma_size(size.0, size.1);
        let chroma_to = yuv.subsampling.chroma_size(to.0, to.1);
        let mut fit = |samples: &[u8], size, to| {
            let upright = before_turn(rotation, to);
            let scaled = self.scale::<U8>(samples, size, upright);
            turn(Plane { samples: scaled.as_deref().unwrap_or(samples), size: upright }, rotation)
                .or(scaled)
                .unwrap_or_else(|| samples.to_vec())
        };
        Some(Yuv {
            y: fit(&yuv.y, size, to),
            u: fit(&yuv.u, chroma_size, chroma_to),
            v: fit(&yuv.v, chroma_size, chroma_to),
            ..*yuv
        })
    }

    fn fit_rgb(&mut self, rgb: Plane<'_, u32>, rotation: u16, to: (u32, u32)) -> Option<Vec<u32>> {
        let size = before_turn(rotation, to);
        let bytes = bytemuck::cast_slice(rgb.samples);
        let scaled = self.scale::<U8x4>(bytes, rgb.size, size).map(|bytes| {
            bytes.chunks_exact(4).map(|p| u32::from_ne_bytes([p[0], p[1], p[2], p[3]])).collect()
        });
        let samples = scaled.as_deref().unwrap_or(rgb.samples);
        turn(Plane { samples, size }, rotation).or(scaled)
    }

    /// `None` if the size stays as it is.
    fn scale<P: PixelTrait>(
        &mut self,
        samples: &[u8],
        size: (u32, u32),
        to: (u32, u32),
    ) -> Option<Vec<u8>> {
        if size == to {
            return None;
        }
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        let mut scaled = vec![0; to.0 as usize * to.1 as usize * P::size()];
        let source = TypedImageRef::<P>::from_buffer(size.0, size.1, samples).ok()?;
        let mut target = TypedImage::<P>::from_buffer(to.0, to.1, &mut scaled).ok()?;
        self.resizer.resize_typed(&source, &mut target, &options).ok()?;
        Some(scaled)
    }
}

/// Samples row after row.
#[derive(Clone, Copy)]
struct Plane<'a, T> {
    samples: &'a [T],
    size: (u32, u32),
}

/// The size that becomes `to` by the turn.
fn before_turn(rotation: u16, to: (u32, u32)) -> (u32, u32) {
    if rotation.is_multiple_of(180) { to } else { (to.1, to.0) }
}

/// Turned clockwise; `None` for no turn.
fn turn<T: Copy + Default>(plane: Plane<'_, T>, rotation: u16) -> Option<Vec<T>> {
    let (width, height) = (plane.size.0 as usize, plane.size.1 as usize);
    let samples = plane.samples.get(..width * height)?;
    match rotation {
        90 => Some(transpose(samples, width, height, |x, y| x * height + (height - 1 - y))),
        180 => Some(samples.iter().rev().copied().collect()),
        270 => Some(transpose(samples, width, height, |x, y| (width - 1 - x) * height + y)),
        _ => None,
    }
}

/// Moves the sample at (x, y) to `to(x, y)`, in tiles so that both sides stay in the cache.
fn transpose<T: Copy + Default>(
    samples: &[T],
    width: usize,
    height: usize,
    to: impl Fn(usize, usize) -> usize,
) -> Vec<T> {
    const TILE: usize = 32;
    let mut turned = vec![T::default(); samples.len()];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    turned[to(x, y)] = samples[y * width + x];
                }
            }
        }
    }
    turned
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
