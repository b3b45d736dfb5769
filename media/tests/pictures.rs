//! Colours, scaling and turning.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use media::Picture;
use media::picture::{Fitter, Matrix, Pixels, Placed, Subsampling, Yuv};
use proto::stream::{Video, VideoCodec};

fn video(pixel_aspect: (u32, u32), rotation: u16) -> Video {
    let (width, height, frame_rate) = (64, 48, (25, 1));
    Video { codec: VideoCodec::H264, width, height, pixel_aspect, rotation, frame_rate }
}

fn flat(
    y: u8,
    u: u8,
    v: u8,
    subsampling: Subsampling,
    matrix: Matrix,
    full_range: bool,
) -> Picture {
    let (width, height) = (64, 48);
    let (across, down) = subsampling.chroma_size(width, height);
    let chroma = |value| vec![value; (across * down) as usize];
    let (y, u, v) = (vec![y; (width * height) as usize], chroma(u), chroma(v));
    let pixels = Pixels::Yuv(Yuv { y, u, v, subsampling, matrix, full_range });
    Picture { pts_us: 0, width, height, pixels }
}

fn assert_near(colour: u32, expected: [i32; 3]) {
    let [alpha, rgb @ ..] = colour.to_be_bytes();
    assert_eq!(alpha, 255);
    for (found, expected) in rgb.iter().zip(expected) {
        assert!((i32::from(*found) - expected).abs() <= 2, "{rgb:?} for {expected:?}");
    }
}

#[test]
fn colours_follow_matrix_and_range() {
    // ITU-R BT.601 and BT.709 §3: white, black, and red as 8-bit television signals.
    use Matrix::{Bt601, Bt709};
    use Subsampling::{Full, Half, HalfAcross};
    let mut rgb = Vec::new();
    for subsampling in [Half, HalfAcross, Full] {
        for (yuv, matrix, full_range, expected) in [
            ([235, 128, 128], Bt709, false, [255, 255, 255]),
            ([16, 128, 128], Bt601, false, [0, 0, 0]),
            ([255, 128, 128], Bt601, true, [255, 255, 255]),
            ([81, 90, 240], Bt601, false, [255, 0, 0]),
            ([63, 102, 240], Bt709, false, [255, 0, 0]),
            ([76, 85, 255], Bt601, true, [254, 0, 0]),
        ] {
            flat(yuv[0], yuv[1], yuv[2], subsampling, matrix, full_range).to_rgb(&mut rgb);
            assert_eq!(rgb.len(), 64 * 48);
            assert_near(rgb[100], expected);
        }
    }
}

#[test]
fn the_matrix_comes_from_the_stream_or_else_from_the_size() {
    assert_eq!(Matrix::from_coefficients(1, 320, 240), Matrix::Bt709);
    assert_eq!(Matrix::from_coefficients(6, 1920, 1080), Matrix::Bt601);
    assert_eq!(Matrix::from_coefficients(2, 1920, 1080), Matrix::Bt709);
    assert_eq!(Matrix::from_coefficients(2, 720, 576), Matrix::Bt601);
}

#[test]
fn rgb_becomes_planes_and_comes_back() {
    let colours = [0xffff_0000, 0xff00_ff00, 0xff00_00ff, 0xffff_ffff];
    let rgb: Vec<u32> = (0..64 * 48).map(|i| colours[i % 64 / 16]).collect();
    let picture = Picture { pts_us: 0, width: 64, height: 48, pixels: Pixels::Rgb(rgb.clone()) };
    let planes = Picture { pixels: Pixels::Yuv(picture.to_yuv420()), ..picture };
    let mut back = Vec::new();
    planes.to_rgb(&mut back);
    for x in [8, 24, 40, 56] {
        let expected = rgb[x].to_be_bytes().map(i32::from);
        assert_near(back[x], [expected[1], expected[2], expected[3]]);
    }
}

#[test]
fn pictures_are_placed_as_large_as_their_shape_allows() {
    let placed = |aspect, rotation, window| Placed::new((64, 48), &video(aspect, rotation), window);
    let at = |x, y, width, height| Placed { x, y, width, height };
    assert_eq!(placed((1, 1), 0, (64, 48)), at(0, 0, 64, 48));
    assert_eq!(placed((1, 1), 0, (200, 96)), at(36, 0, 128, 96));
    assert_eq!(placed((1, 1), 90, (64, 64)), at(8, 0, 48, 64));
    assert_eq!(placed((4, 3), 0, (128, 128)), at(0, 28, 128, 72));
    assert_eq!(placed((1, 1), 0, (1, 1000)), at(0, 499, 1, 1));
    assert_eq!(placed((1, 1), 0, (0, 0)), at(0, 0, 1, 1));
}

/// Four quarters: red, green, blue, white, row by row.
fn quarters(packed: bool) -> Picture {
    let (width, height) = (64, 48);
    let colour = |x: u32, y: u32| match (x < width / 2, y < height / 2) {
        (true, true) => 0xffff_0000,
        (false, true) => 0xff00_ff00,
        (true, false) => 0xff00_00ff,
        (false, false) => 0xffff_ffff,
    };
    let rgb: Vec<u32> = (0..width * height).map(|i| colour(i % width, i / width)).collect();
    let picture = Picture { pts_us: 0, width, height, pixels: Pixels::Rgb(rgb) };
    if packed { picture } else { Picture { pixels: Pixels::Yuv(picture.to_yuv420()), ..picture } }
}

#[test]
fn pictures_are_turned_clockwise_scaled_and_framed_in_black() {
    const RED: [i32; 3] = [255, 0, 0];
    const GREEN: [i32; 3] = [0, 255, 0];
    const BLUE: [i32; 3] = [0, 0, 255];
    const WHITE: [i32; 3] = [255, 255, 255];
    let mut fitter = Fitter::default();
    let mut out = Vec::new();
    for packed in [false, true] {
        let picture = quarters(packed);
        for (rotation, corners) in [
            (0, [RED, GREEN, BLUE, WHITE]),
            (90, [BLUE, RED, WHITE, GREEN]),
            (180, [WHITE, BLUE, GREEN, RED]),
            (270, [GREEN, WHITE, RED, BLUE]),
        ] {
            for window in [(64u32, 48u32), (48, 64), (333, 201), (31, 77)] {
                let place = fitter.fit(&picture, &video((1, 1), rotation), window, &mut out);
                let (w, h) = (window.0 as usize, window.1 as usize);
                assert_eq!(out.len(), w * h);
                let pixel = |across: u32, down: u32| {
                    let x = place.x + place.width * across / 4;
                    let y = place.y + place.height * down / 4;
                    out[y as usize * w + x as usize]
                };
                for (corner, (x, y)) in corners.iter().zip([(1, 1), (3, 1), (1, 3), (3, 3)]) {
                    assert_near(pixel(x, y), *corner);
                }
                for y in 0..h {
                    for x in 0..w {
                        let across = (place.x..place.x + place.width).contains(&(x as u32));
                        let down = (place.y..place.y + place.height).contains(&(y as u32));
                        if !(across && down) {
                            assert_eq!(out[y * w + x], 0xff00_0000, "at {x},{y} of {window:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn odd_sizes_of_every_subsampling_fit() {
    let mut fitter = Fitter::default();
    let mut out = Vec::new();
    for subsampling in [Subsampling::Half, Subsampling::HalfAcross, Subsampling::Full] {
        for (width, height) in [(1, 1), (3, 5), (17, 2), (33, 31)] {
            let (across, down) = subsampling.chroma_size(width, height);
            let chroma = vec![128; (across * down) as usize];
            let yuv = Yuv {
                y: vec![235; (width * height) as usize],
                u: chroma.clone(),
                v: chroma,
                subsampling,
                matrix: Matrix::Bt601,
                full_range: false,
            };
            let picture = Picture { pts_us: 0, width, height, pixels: Pixels::Yuv(yuv) };
            for rotation in [0, 90, 180, 270] {
                let place = fitter.fit(&picture, &video((1, 1), rotation), (41, 23), &mut out);
                let middle = (place.y + place.height / 2) * 41 + place.x + place.width / 2;
                assert_near(out[middle as usize], [255, 255, 255]);
            }
        }
    }
}

#[test]
fn jpeg_keeps_the_picture_and_its_colours() {
    let picture = support::pattern(3, 320, 180);
    let jpeg = media::encode::jpeg(&picture, 90).unwrap();
    let decoded = media::decode::jpeg_picture(&jpeg, picture.pts_us).unwrap();
    assert_eq!((decoded.pts_us, decoded.width, decoded.height), (picture.pts_us, 320, 180));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    picture.to_rgb(&mut before);
    decoded.to_rgb(&mut after);
    let bytes = |rgb: &[u32]| rgb.iter().flat_map(|p| p.to_be_bytes()).collect::<Vec<u8>>();
    let psnr = support::psnr_of(&bytes(&before), &bytes(&after));
    assert!(psnr > 30.0, "{psnr} dB");
}

/// A JPEG without its Huffman tables, as cameras send it.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut stripped = jpeg.to_vec();
    while let Some(at) = stripped.windows(2).position(|w| w == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([stripped[at + 2], stripped[at + 3]]));
        stripped.drain(at..at + 2 + length);
    }
    stripped
}

#[test]
fn jpegs_without_huffman_tables_get_the_usual_ones() {
    let jpeg = media::encode::jpeg(&support::pattern(5, 160, 96), 85).unwrap();
    let stripped = without_tables(&jpeg);
    assert!(stripped.len() + 400 < jpeg.len());
    let whole = media::decode::jpeg_picture(&jpeg, 0).unwrap();
    assert_eq!(media::decode::jpeg_picture(&stripped, 0), Some(whole));
}

#[test]
fn a_picture_that_lacks_samples_is_black() {
    let mut picture = flat(235, 128, 128, Subsampling::Half, Matrix::Bt601, false);
    let Pixels::Yuv(yuv) = &mut picture.pixels else { panic!("planes") };
    yuv.u.pop();
    let mut out = vec![7; 10];
    for window in [(64, 48), (100, 100)] {
        Fitter::default().fit(&picture, &video((1, 1), 0), window, &mut out);
        assert!(out.iter().all(|&pixel| pixel == 0xff00_0000));
    }
}
