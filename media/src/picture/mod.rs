//! Decoded pictures and their colours.
//!
//! ```text
//! fit      scaled, turned and letterboxed into a window
//! scale    planes made larger or smaller
//! ```

mod fit;
mod scale;

pub use fit::{Fitter, Placed};

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

/// A decoded picture. Moving it is cheap, cloning it copies the pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// When it is shown, microseconds on the stream's timeline.
    pub pts_us: i64,
    /// Pixels across, before pixel aspect and rotation are applied.
    pub width: u32,
    /// Pixels down, before pixel aspect and rotation are applied.
    pub height: u32,
    /// The samples, as the decoder left them.
    pub pixels: Pixels,
}

/// The samples of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Luma and chroma planes.
    Yuv(Yuv),
    /// A pixel a number, 0xFFRRGGBB, row after row without gaps.
    Rgb(Vec<u32>),
}

/// 8-bit luma and chroma planes, each tightly packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yuv {
    /// Luma, `width * height`.
    pub y: Vec<u8>,
    /// Blue difference, of the size [`Subsampling::chroma_size`] says.
    pub u: Vec<u8>,
    /// Red difference, as large as `u`.
    pub v: Vec<u8>,
    /// How much smaller the chroma planes are.
    pub subsampling: Subsampling,
    /// Coefficients to and from RGB.
    pub matrix: Matrix,
    /// Whether samples use 0..=255 (JPEG) or 16..=235 and 16..=240 (television).
    pub full_range: bool,
}

/// How chroma is sampled in relation to luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsampling {
    /// 4:2:0, half across and half down.
    Half,
    /// 4:2:2, half across.
    HalfAcross,
    /// 4:4:4, as luma.
    Full,
}

/// Coefficients between RGB and YUV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition and JPEG.
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
}

impl Subsampling {
    /// Width and height of each chroma plane of a picture of this size.
    #[must_use]
    pub fn chroma_size(self, width: u32, height: u32) -> (u32, u32) {
        match self {
            Self::Half => (width.div_ceil(2), height.div_ceil(2)),
            Self::HalfAcross => (width.div_ceil(2), height),
            Self::Full => (width, height),
        }
    }
}

impl Matrix {
    /// From `matrix_coefficients` (ITU-T H.264 Table E-5); where they are not said or rare, from
    /// the size, as players do: 720 lines or wider than 1024 is high definition.
    #[must_use]
    pub fn from_coefficients(coefficients: u8, width: u32, height: u32) -> Self {
        match coefficients {
            1 => Self::Bt709,
            4..=6 => Self::Bt601,
            _ if width > 1024 || height >= 720 => Self::Bt709,
            _ => Self::Bt601,
        }
    }

    fn standard(self) -> YuvStandardMatrix {
        match self {
            Self::Bt601 => YuvStandardMatrix::Bt601,
            Self::Bt709 => YuvStandardMatrix::Bt709,
        }
    }
}

impl Picture {
    /// The pixels as 0xFFRRGGBB, row after row: what windows of the form 0RGB take. `out` gets as
    /// long as the picture and keeps its memory between calls.
    pub fn to_rgb(&self, out: &mut Vec<u32>) {
        match &self.pixels {
            Pixels::Rgb(rgb) => {
                out.clear();
                out.extend_from_slice(rgb);
            }
            Pixels::Yuv(yuv) => {
                let (width, height) = (self.width as usize, self.height as usize);
                out.resize(width * height, OPAQUE);
                yuv.write_rgb(self.width, self.height, out, width);
            }
        }
    }

    /// Whether there are as many samples as the size says.
    fn is_whole(&self) -> bool {
        let area = |(width, height): (u32, u32)| width as usize * height as usize;
        let size = (self.width, self.height);
        match &self.pixels {
            _ if area(size) == 0 => false,
            Pixels::Rgb(rgb) => rgb.len() == area(size),
            Pixels::Yuv(yuv) => {
                let chroma = area(yuv.subsampling.chroma_size(size.0, size.1));
                (yuv.y.len(), yuv.u.len(), yuv.v.len()) == (area(size), chroma, chroma)
            }
        }
    }

    /// The pixels as 4:2:0 planes, which encoders take. Planes keep their matrix and range; RGB
    /// gets the matrix usual for its size and television's range.
    #[must_use]
    pub fn to_yuv420(&self) -> Yuv {
        let (matrix, full_range) = match &self.pixels {
            Pixels::Yuv(yuv) if yuv.subsampling == Subsampling::Half => return yuv.clone(),
            Pixels::Yuv(yuv) => (yuv.matrix, yuv.full_range),
            Pixels::Rgb(rgb) => {
                let matrix = Matrix::from_coefficients(2, self.width, self.height);
                return Yuv::from_rgb(rgb, self.width, self.height, matrix, false);
            }
        };
        let mut rgb = Vec::new();
        self.to_rgb(&mut rgb);
        Yuv::from_rgb(&rgb, self.width, self.height, matrix, full_range)
    }
}

/// Black, as [`Picture::to_rgb`] writes it.
pub const OPAQUE: u32 = 0xff00_0000;

impl Yuv {
    /// Planes of 4:2:0 from pixels 0x..RRGGBB of a picture `width` pixels across.
    #[must_use]
    pub fn from_rgb(
        rgb: &[u32],
        width: u32,
        height: u32,
        matrix: Matrix,
        full_range: bool,
    ) -> Self {
        let mut image = YuvPlanarImageMut::alloc(width, height, yuv::YuvChromaSubsampling::Yuv420);
        let result = yuv::bgra_to_yuv420(
            &mut image,
            bytemuck::cast_slice(rgb),
            width * 4,
            range(full_range),
            matrix.standard(),
            YuvConversionMode::Balanced,
        );
        debug_assert!(result.is_ok(), "{result:?}");
        let owned = |plane: BufferStoreMut<'_, u8>| match plane {
            BufferStoreMut::Owned(bytes) => bytes,
            BufferStoreMut::Borrowed(bytes) => bytes.to_vec(),
        };
        Self {
            y: owned(image.y_plane),
            u: owned(image.u_plane),
            v: owned(image.v_plane),
            subsampling: Subsampling::Half,
            matrix,
            full_range,
        }
    }

    /// Writes `width * height` pixels into `out`, whose rows are `stride` pixels apart.
    fn write_rgb(&self, width: u32, height: u32, out: &mut [u32], stride: usize) {
        let chroma = self.subsampling.chroma_size(width, height).0;
        let image = YuvPlanarImage {
            y_plane: &self.y,
            y_stride: width,
            u_plane: &self.u,
            u_stride: chroma,
            v_plane: &self.v,
            v_stride: chroma,
            width,
            height,
        };
        let convert = match self.subsampling {
            Subsampling::Half => yuv::yuv420_to_bgra,
            Subsampling::HalfAcross => yuv::yuv422_to_bgra,
            Subsampling::Full => yuv::yuv444_to_bgra,
        };
        let stride = u32::try_from(stride * 4).unwrap_or(0);
        let (range, matrix) = (range(self.full_range), self.matrix.standard());
        let result = convert(&image, bytemuck::cast_slice_mut(out), stride, range, matrix);
        debug_assert!(result.is_ok(), "{result:?}");
    }
}

fn range(full: bool) -> YuvRange {
    if full { YuvRange::Full } else { YuvRange::Limited }
}
