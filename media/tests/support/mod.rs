//! Pictures and sound the tests make themselves.
#![allow(dead_code)] // each test file uses its own part

use media::Picture;
use media::picture::{Matrix, Pixels, Subsampling, Yuv};

/// A moving gradient with a bright square, different for each `index`.
pub fn pattern(index: u32, width: u32, height: u32) -> Picture {
    let plane = |w: u32, h: u32, sample: &dyn Fn(u32, u32) -> u32| -> Vec<u8> {
        (0..w * h).map(|i| sample(i % w, i / w).clamp(16, 235) as u8).collect()
    };
    let (cw, ch) = Subsampling::Half.chroma_size(width, height);
    let square = |x: u32, y: u32| {
        let left = index * 7 % width;
        x >= left && x < left + width / 8 && y >= height / 4 && y < height / 2
    };
    let y = plane(width, height, &|x, y| {
        if square(x, y) { 230 } else { 30 + (x + y + index * 2) * 150 / (width + height) }
    });
    let u = plane(cw, ch, &|x, _| 60 + x * 120 / cw);
    let v = plane(cw, ch, &|_, y| 60 + y * 120 / ch);
    let pixels = Pixels::Yuv(Yuv {
        y,
        u,
        v,
        subsampling: Subsampling::Half,
        matrix: Matrix::Bt709,
        full_range: false,
    });
    Picture { pts_us: i64::from(index) * 40_000, width, height, pixels }
}

/// Peak signal-to-noise ratio of the luma of two pictures of one size, decibels.
pub fn psnr(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    psnr_of(&a.to_yuv420().y, &b.to_yuv420().y)
}

/// Peak signal-to-noise ratio of two planes, decibels.
pub fn psnr_of(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1e-9)).log10()
}
