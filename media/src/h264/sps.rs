//! Sequence parameter sets (ITU-T H.264 §7.3.2.1.1, VUI in Annex E).

use super::bits::{BitReader, unescape};

/// What a sequence parameter set says about the pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// 66 Baseline, 77 Main, 100 High, ...
    pub profile_idc: u8,
    /// Constraint flags, the first in the highest bit.
    pub constraints: u8,
    /// Ten times the level; 31 is level 3.1.
    pub level_idc: u8,
    /// Its number; pictures refer to it through their picture parameter set.
    pub id: u32,
    /// 0 monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format_idc: u32,
    /// Bits a luma sample.
    pub bit_depth_luma: u32,
    /// Bits a chroma sample.
    pub bit_depth_chroma: u32,
    /// False: pictures may be interlaced.
    pub frame_mbs_only: bool,
    /// Pixels, after cropping.
    pub width: u32,
    /// Pixels, after cropping.
    pub height: u32,
    /// How many coded frames a picture may refer to.
    pub max_num_ref_frames: u32,
    /// Width : height of one pixel; (1, 1) where it is not said.
    pub pixel_aspect: (u32, u32),
    /// Samples use 0..=255 and not 16..=235.
    pub full_range: bool,
    /// Table E-5; 2 where it is not said.
    pub matrix_coefficients: u8,
    /// Frames per second as a fraction, where it is said.
    pub frame_rate: Option<(u32, u32)>,
    /// How many pictures may come before another one in decoding order and after it in output
    /// order, where it is said or follows from the profile.
    pub reorder_frames: Option<u32>,
}

/// Where the fields are that some profiles have and others lack: bits of the RBSP.
pub(super) struct Layout {
    /// First bit after `seq_parameter_set_id`.
    pub(super) after_id: usize,
    /// Whether `chroma_format_idc` and what belongs to it stand there.
    pub(super) has_chroma_fields: bool,
}

impl Sps {
    /// Reads a NAL unit of type 7, its header byte included. `None` if it is not a whole one.
    #[must_use]
    pub fn parse(nal: &[u8]) -> Option<Self> {
        Self::parse_with_layout(&unescape(nal)).map(|(sps, _)| sps)
    }

    pub(super) fn parse_with_layout(rbsp: &[u8]) -> Option<(Self, Layout)> {
        let mut bits = BitReader::new(rbsp);
        if bits.bits(8)? & 0x1f != 7 {
            return None;
        }
        let mut sps = Self::empty();
        sps.profile_idc = u8::try_from(bits.bits(8)?).ok()?;
        sps.constraints = u8::try_from(bits.bits(8)?).ok()?;
        sps.level_idc = u8::try_from(bits.bits(8)?).ok()?;
        sps.id = bits.ue()?;
        let has_chroma_fields =
            matches!(sps.profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128);
        let layout = Layout { after_id: bits.position(), has_chroma_fields };
        if has_chroma_fields {
            sps.chroma_fields(&mut bits)?;
        }
        bits.ue()?; // log2_max_frame_num_minus4
        let in_decoding_order = picture_order(&mut bits)?;
        sps.size(&mut bits)?;
        if in_decoding_order || sps.never_reorders() {
            sps.reorder_frames = Some(0);
        }
        if bits.bit()? {
            // What is cut off here is only advice.
            let _ = sps.vui(&mut bits);
        }
        Some((sps, layout))
    }

    fn empty() -> Self {
        Self {
            profile_idc: 0,
            constraints: 0,
            level_idc: 0,
            id: 0,
            chroma_format_idc: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            frame_mbs_only: true,
            width: 0,
            height: 0,
            max_num_ref_frames: 0,
            pixel_aspect: (1, 1),
            full_range: false,
            matrix_coefficients: 2,
            frame_rate: None,
            reorder_frames: None,
        }
    }

    fn chroma_fields(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.chroma_format_idc = bits.ue()?;
        if self.chroma_format_idc == 3 {
            bits.bit()?; // separate_colour_plane_flag
        }
        self.bit_depth_luma = bits.ue()?.checked_add(8)?;
        self.bit_depth_chroma = bits.ue()?.checked_add(8)?;
        bits.bit()?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            let lists = if self.chroma_format_idc == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.bit()? {
                    scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(())
    }

    fn size(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.max_num_ref_frames = bits.ue()?;
        bits.bit()?; // gaps_in_frame_num_value_allowed_flag
        let macroblocks = |n: u32| n.checked_add(1)?.checked_mul(16);
        let width = macroblocks(bits.ue()?)?;
        let map_height = macroblocks(bits.ue()?)?;
        self.frame_mbs_only = bits.bit()?;
        let fields = if self.frame_mbs_only { 1 } else { 2 };
        let height = map_height.checked_mul(fields)?;
        if !self.frame_mbs_only {
            bits.bit()?; // mb_adaptive_frame_field_flag
        }
        bits.bit()?; // direct_8x8_inference_flag
        let (mut across, mut down) = (0u32, 0u32);
        if bits.bit()? {
            across = bits.ue()?.checked_add(bits.ue()?)?;
            down = bits.ue()?.checked_add(bits.ue()?)?;
        }
        // §7.4.2.1.1, CropUnitX and CropUnitY
        let unit_x = if matches!(self.chroma_format_idc, 1 | 2) { 2 } else { 1 };
        let unit_y = if self.chroma_format_idc == 1 { 2 } else { 1 } * fields;
        self.width = width.checked_sub(across.checked_mul(unit_x)?).filter(|&w| w > 0)?;
        self.height = height.checked_sub(down.checked_mul(unit_y)?).filter(|&h| h > 0)?;
        Some(())
    }

    /// Baseline has no B slices; the intra profiles (constraint_set3) have one picture a reference.
    fn never_reorders(&self) -> bool {
        let intra = self.constraints & 0x10 != 0;
        self.profile_idc == 66
            || intra && matches!(self.profile_idc, 44 | 86 | 100 | 110 | 122 | 244)
    }

    fn vui(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        if bits.bit()? {
            self.pixel_aspect = aspect(bits)?;
        }
        if bits.bit()? {
            bits.bit()?; // overscan_appropriate_flag
        }
        if bits.bit()? {
            bits.bits(3)?; // video_format
            self.full_range = bits.bit()?;
            if bits.bit()? {
                bits.bits(16)?; // colour_primaries, transfer_characteristics
                self.matrix_coefficients = u8::try_from(bits.bits(8)?).ok()?;
            }
        }
        if bits.bit()? {
            bits.ue()?; // chroma_sample_loc_type_top_field
            bits.ue()?; // chroma_sample_loc_type_bottom_field
        }
        if bits.bit()? {
            let tick = bits.bits(32)?;
            let scale = bits.bits(32)?;
            bits.bit()?; // fixed_frame_rate_flag
            // Two ticks, one a field, are a frame (E.2.1).
            self.frame_rate = tick.checked_mul(2).filter(|&t| t > 0).map(|t| (scale, t));
        }
        let nal_hrd = bits.bit()?;
        if nal_hrd {
            hrd(bits)?;
        }
        let vcl_hrd = bits.bit()?;
        if vcl_hrd {
            hrd(bits)?;
        }
        if nal_hrd || vcl_hrd {
            bits.bit()?; // low_delay_hrd_flag
        }
        bits.bit()?; // pic_struct_present_flag
        self.bitstream_restriction(bits)
    }

    fn bitstream_restriction(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        if bits.bit()? {
            bits.bit()?; // motion_vectors_over_pic_boundaries_flag
            for _ in 0..4 {
                bits.ue()?; // bytes, bits, and the two vector lengths
            }
            self.reorder_frames = Some(bits.ue()?.min(MAX_DPB_FRAMES));
        }
        Some(())
    }

    /// Frames a decoder keeps at most (A.3.1, MaxDpbFrames), from the level and the size.
    #[must_use]
    pub fn max_dpb_frames(&self) -> u32 {
        let macroblocks = match self.level_idc {
            ..=10 => 396,
            11 => 900,
            12 | 13 | 20 => 2376,
            21 => 4752,
            22 | 30 => 8100,
            31 => 18_000,
            32 => 20_480,
            40 | 41 => 32_768,
            42 => 34_816,
            50 => 110_400,
            _ => 184_320,
        };
        let frame = (self.width.div_ceil(16)).saturating_mul(self.height.div_ceil(16)).max(1);
        (macroblocks / frame).clamp(1, MAX_DPB_FRAMES)
    }
}

/// No stream keeps more frames than this (A.3.1).
const MAX_DPB_FRAMES: u32 = 16;

/// Whether pictures are output in the order they are decoded in (type 2, §8.2.1.3).
fn picture_order(bits: &mut BitReader<'_>) -> Option<bool> {
    let kind = bits.ue()?;
    match kind {
        0 => {
            bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.bit()?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue()?.min(255) {
                bits.se()?;
            }
        }
        _ => {}
    }
    Some(kind == 2)
}

/// §7.3.2.1.1.1: read only to get past it.
fn scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = (last.wrapping_add(bits.se()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Table E-1.
fn aspect(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    const TABLE: [(u32, u32); 17] = [
        (1, 1),
        (1, 1),
        (12, 11),
        (10, 11),
        (16, 11),
        (40, 33),
        (24, 11),
        (20, 11),
        (32, 11),
        (80, 33),
        (18, 11),
        (15, 11),
        (64, 33),
        (160, 99),
        (4, 3),
        (3, 2),
        (2, 1),
    ];
    let ratio = match bits.bits(8)? {
        255 => (bits.bits(16)?, bits.bits(16)?),
        index => *TABLE.get(usize::try_from(index).ok()?).unwrap_or(&(1, 1)),
    };
    Some(if ratio.0 == 0 || ratio.1 == 0 { (1, 1) } else { ratio })
}

/// E.1.2: read only to get past it.
fn hrd(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue()?.min(31) + 1;
    bits.bits(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..count {
        bits.ue()?;
        bits.ue()?;
        bits.bit()?;
    }
    bits.bits(20)?; // four lengths of five bits
    Some(())
}
