//! A raw camera frame as a picture that encoders take: 4:2:0 planes.

use media::picture::{Matrix, Picture, Pixels, Subsampling, Yuv};

use super::Frame;
use super::format::{Format, Layout};

/// The picture in `bytes`, or `None` if they are too few, or of a layout that must be decoded.
/// An odd last column or row is left out: 4:2:0 has none.
#[must_use]
pub(super) fn from_raw(format: Format, frame: &Frame, pts_us: i64) -> Option<Picture> {
    let (width, height) = (format.size.width & !1, format.size.height & !1);
    let tight = format.size.width as usize * format.layout.bytes_per_pixel();
    // Rows may be padded; a driver that says nonsense of it is not believed.
    let stride = if frame.row_bytes >= tight { frame.row_bytes } else { tight };
    let frame = Raw { bytes: &frame.bytes, stride, width: width as usize, height: height as usize };
    let yuv = match format.layout {
        Layout::Mjpeg => return None,
        Layout::Yuyv => frame.yuyv()?,
        Layout::Nv12 => frame.nv12(format.size.height as usize)?,
        Layout::Grey => frame.grey()?,
        Layout::Rgb => frame.rgb([0, 1, 2])?,
        Layout::Bgr => frame.rgb([2, 1, 0])?,
    };
    Some(Picture { pts_us, width, height, pixels: Pixels::Yuv(yuv) })
}

struct Raw<'a> {
    bytes: &'a [u8],
    /// Bytes from a row to the next.
    stride: usize,
    width: usize,
    height: usize,
}

impl Raw<'_> {
    /// The rows, each of `bytes_per_pixel` times the width.
    fn rows(&self, bytes_per_pixel: usize) -> Option<impl Iterator<Item = &[u8]>> {
        let whole = self.bytes.get(..self.stride * self.height)?;
        let row = self.width * bytes_per_pixel;
        Some(whole.chunks_exact(self.stride).map(move |r| &r[..row]))
    }

    fn planes(&self) -> Yuv {
        let luma = self.width * self.height;
        Yuv {
            y: Vec::with_capacity(luma),
            u: Vec::with_capacity(luma / 4),
            v: Vec::with_capacity(luma / 4),
            subsampling: Subsampling::Half,
            // What UVC cameras send where they do not say (UVC 1.5, colour matching: SMPTE 170M).
            matrix: Matrix::Bt601,
            full_range: false,
        }
    }

    fn yuyv(&self) -> Option<Yuv> {
        let mut yuv = self.planes();
        let mut above: &[u8] = &[];
        for (y, row) in self.rows(2)?.enumerate() {
            yuv.y.extend(row.iter().step_by(2));
            if y % 2 == 0 {
                above = row;
                continue;
            }
            // Chroma of two rows becomes that of one: their mean.
            for (a, b) in above.chunks_exact(4).zip(row.chunks_exact(4)) {
                yuv.u.push(a[1].midpoint(b[1]));
                yuv.v.push(a[3].midpoint(b[3]));
            }
        }
        Some(yuv)
    }

    fn nv12(&self, full_height: usize) -> Option<Yuv> {
        let mut yuv = self.planes();
        for row in self.rows(1)? {
            yuv.y.extend_from_slice(row);
        }
        let chroma = self.bytes.get(self.stride * full_height..)?;
        let chroma = chroma.get(..self.stride * self.height / 2)?;
        for row in chroma.chunks_exact(self.stride) {
            for pair in row[..self.width].chunks_exact(2) {
                yuv.u.push(pair[0]);
                yuv.v.push(pair[1]);
            }
        }
        Some(yuv)
    }

    fn grey(&self) -> Option<Yuv> {
        let mut yuv = self.planes();
        for row in self.rows(1)? {
            yuv.y.extend_from_slice(row);
        }
        yuv.u.resize(self.width * self.height / 4, 128);
        yuv.v.resize(self.width * self.height / 4, 128);
        // Grey cameras use all 256 levels.
        yuv.full_range = true;
        Some(yuv)
    }

    fn rgb(&self, order: [usize; 3]) -> Option<Yuv> {
        let mut rgb = Vec::with_capacity(self.width * self.height);
        for row in self.rows(3)? {
            rgb.extend(row.chunks_exact(3).map(|pixel| {
                u32::from_be_bytes([0, pixel[order[0]], pixel[order[1]], pixel[order[2]]])
            }));
        }
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        Some(Yuv::from_rgb(&rgb, width, height, Matrix::Bt601, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Size;
    use crate::source::coder::Rate;
    use bytes::Bytes;
    use proto::time::Stamp;

    const LAYOUTS: [(Layout, usize); 5] = [
        (Layout::Yuyv, 4 * 2 * 2),
        (Layout::Nv12, 4 * 2 * 3 / 2),
        (Layout::Grey, 4 * 2),
        (Layout::Rgb, 4 * 2 * 3),
        (Layout::Bgr, 4 * 2 * 3),
    ];

    fn format(layout: Layout, width: u32, height: u32) -> Format {
        Format { layout, size: Size { width, height }, rate: Rate { frames: 30, seconds: 1 } }
    }

    fn frame(bytes: &[u8]) -> Frame {
        Frame { bytes: Bytes::copy_from_slice(bytes), row_bytes: 0, captured: Stamp(0) }
    }

    fn yuv(picture: Picture) -> Yuv {
        match picture.pixels {
            Pixels::Yuv(yuv) => yuv,
            Pixels::Rgb(_) => panic!("encoders take planes"),
        }
    }

    #[test]
    fn yuyv_is_unpacked() {
        let bytes = [1, 100, 2, 200, 3, 50, 4, 60, 5, 110, 6, 210, 7, 70, 8, 80];
        let yuv = yuv(from_raw(format(Layout::Yuyv, 4, 2), &frame(&bytes), 9).expect("whole"));
        assert_eq!(yuv.y, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((yuv.u, yuv.v), (vec![105, 60], vec![205, 70]));
    }

    #[test]
    fn padding_behind_rows_is_left_out() {
        let padded = [1, 100, 2, 200, 0, 0, 5, 110, 6, 210, 0, 0];
        let frame = Frame { row_bytes: 6, ..frame(&padded) };
        let yuv = yuv(from_raw(format(Layout::Yuyv, 2, 2), &frame, 0).expect("whole"));
        assert_eq!((yuv.y, yuv.u, yuv.v), (vec![1, 2, 5, 6], vec![105], vec![205]));
    }

    #[test]
    fn nv12_is_unpacked() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 11, 21];
        let yuv = yuv(from_raw(format(Layout::Nv12, 4, 2), &frame(&bytes), 0).expect("whole"));
        assert_eq!(yuv.y, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((yuv.u, yuv.v), (vec![10, 11], vec![20, 21]));
    }

    #[test]
    fn rgb_and_bgr_differ_in_order_only() {
        let red: Vec<u8> = [250, 0, 0].repeat(8);
        let mirrored: Vec<u8> = [0, 0, 250].repeat(8);
        let from_rgb = from_raw(format(Layout::Rgb, 4, 2), &frame(&red), 0).expect("whole");
        assert_eq!(
            from_raw(format(Layout::Bgr, 4, 2), &frame(&mirrored), 0),
            Some(from_rgb.clone())
        );
        assert!(yuv(from_rgb).v[0] > 200);
    }

    #[test]
    fn every_layout_keeps_to_its_bytes_and_gives_whole_planes() {
        for (layout, length) in LAYOUTS {
            let bytes = vec![90; length + 7];
            for short in 0..length {
                assert_eq!(
                    from_raw(format(layout, 4, 2), &frame(&bytes[..short]), 0),
                    None,
                    "{layout}"
                );
            }
            // As 5x3 the last column and row are left out.
            let bytes = vec![90; 5 * 3 * 3];
            let picture = from_raw(format(layout, 5, 3), &frame(&bytes), 0).expect("whole");
            assert_eq!((picture.width, picture.height), (4, 2));
            let yuv = yuv(picture);
            assert_eq!((yuv.y.len(), yuv.u.len(), yuv.v.len()), (8, 2, 2), "{layout}");
        }
    }
}
