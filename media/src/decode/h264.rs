//! H.264 through openh264.
//!
//! openh264 is made to give every picture in the call that decodes it (see
//! [`crate::h264::sps_in_decoding_order`]), so a picture gets the time of its own packet, whatever
//! was lost before, and [`Reorder`] puts them into presentation order.

use openh264::OpenH264API;
use openh264::decoder::{Decoder as OpenH264, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use proto::Packet;

use super::Error;
use super::reorder::Reorder;
use crate::h264::{Avcc, Sps, length_prefixed, nal_kind, nal_type, sps_in_decoding_order};
use crate::picture::{Matrix, Picture, Pixels, Subsampling, Yuv};

pub(super) struct Decoder {
    openh264: OpenH264,
    avcc: Avcc,
    sps: Sps,
    reorder: Reorder,
    /// Nothing decodes before the first key frame, nor after an error until the next one.
    wants_key: bool,
    /// Whether the parameter sets must be given to the decoder before the next key frame.
    wants_sets: bool,
    /// The packet as a byte stream; kept for its memory.
    stream: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(codec_config: &[u8]) -> Result<Self, Error> {
        let bad = || Error::BadConfig { codec: "H.264".into() };
        let avcc = Avcc::parse(codec_config).ok_or_else(bad)?;
        let sps = avcc.first_sps().ok_or_else(bad)?;
        check(&sps)?;
        Ok(Self {
            openh264: open()?,
            reorder: Reorder::new(sps.reorder_frames, sps.max_dpb_frames()),
            avcc,
            sps,
            wants_key: true,
            wants_sets: true,
            stream: Vec::new(),
        })
    }

    /// Appends what can be shown now; `false` if the packet's picture is lost.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        ready: &mut Vec<Picture>,
    ) -> Result<bool, Error> {
        let kinds = length_prefixed(&packet.payload, self.avcc.length_size).map(nal_kind);
        let (mut key, mut slice) = (false, false);
        kinds.for_each(|kind| {
            key |= kind == nal_type::IDR;
            slice |= matches!(kind, nal_type::IDR | nal_type::SLICE);
        });
        if slice && self.wants_key && !key {
            return Ok(false);
        }
        if key {
            // An IDR picture parts the stream: all before it is shown before it.
            self.reorder.flush(ready);
        }
        self.fill_stream(packet)?;
        if !slice {
            // Parameter sets, which the decoder keeps, or nothing that it needs.
            let _ = self.openh264.decode(&self.stream);
            return Ok(true);
        }
        let Some(picture) = self.decode_stream(packet.header.pts_us) else {
            self.wants_key = true;
            return Ok(false);
        };
        self.wants_key = false;
        Ok(self.reorder.push(picture, packet.header.dts_us, ready))
    }

    pub(super) fn flush(&mut self) -> Vec<Picture> {
        let mut ready = Vec::new();
        self.reorder.flush(&mut ready);
        ready
    }

    /// The packet as a byte stream: slices and parameter sets; what else there is (SEI, delimiters,
    /// filling) says nothing to the decoder and would part the picture from its packet.
    fn fill_stream(&mut self, packet: &Packet) -> Result<(), Error> {
        self.stream.clear();
        if std::mem::take(&mut self.wants_sets) {
            for set in self.avcc.sps.iter().filter_map(|set| sps_in_decoding_order(set)) {
                append(&mut self.stream, &set);
            }
            for set in &self.avcc.pps {
                append(&mut self.stream, set);
            }
        }
        for nal in length_prefixed(&packet.payload, self.avcc.length_size) {
            match nal_kind(nal) {
                nal_type::SPS => {
                    if let (Some(sps), Some(set)) = (Sps::parse(nal), sps_in_decoding_order(nal)) {
                        self.take_sps(sps)?;
                        append(&mut self.stream, &set);
                    }
                }
                nal_type::SLICE | nal_type::IDR | nal_type::PPS => append(&mut self.stream, nal),
                _ => {}
            }
        }
        Ok(())
    }

    fn take_sps(&mut self, sps: Sps) -> Result<(), Error> {
        if sps != self.sps {
            check(&sps)?;
            self.reorder = Reorder::new(sps.reorder_frames, sps.max_dpb_frames());
            self.sps = sps;
        }
        Ok(())
    }

    fn decode_stream(&mut self, pts_us: i64) -> Option<Picture> {
        let decoded = self.openh264.decode(&self.stream).ok()??;
        let (width, height) = decoded.dimensions();
        let (stride_y, stride_u, stride_v) = decoded.strides();
        let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
        let (across, down) = Subsampling::Half.chroma_size(width, height);
        let matrix = Matrix::from_coefficients(self.sps.matrix_coefficients, width, height);
        let pixels = Pixels::Yuv(Yuv {
            y: tight(decoded.y(), stride_y, width, height)?,
            u: tight(decoded.u(), stride_u, across, down)?,
            v: tight(decoded.v(), stride_v, across, down)?,
            subsampling: Subsampling::Half,
            matrix,
            full_range: self.sps.full_range,
        });
        Some(Picture { pts_us, width, height, pixels })
    }
}

fn open() -> Result<OpenH264, Error> {
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    OpenH264::with_api_config(OpenH264API::from_source(), config)
        .map_err(|error| Error::Start { codec: "H.264".into(), reason: error.to_string() })
}

/// What openh264 refuses, said before it is tried.
fn check(sps: &Sps) -> Result<(), Error> {
    let what = if sps.bit_depth_luma != 8 || sps.bit_depth_chroma != 8 {
        format!("H.264 with {}-bit samples", sps.bit_depth_luma.max(sps.bit_depth_chroma))
    } else if sps.chroma_format_idc > 1 {
        "H.264 with 4:2:2 or 4:4:4 colour".into()
    } else if !sps.frame_mbs_only {
        "interlaced H.264".into()
    } else if !matches!(sps.profile_idc, 66 | 77 | 83 | 86 | 88 | 100) {
        format!("H.264 of profile {}", sps.profile_idc)
    } else {
        return Ok(());
    };
    Err(Error::Unsupported { what })
}

fn append(stream: &mut Vec<u8>, nal: &[u8]) {
    stream.extend([0, 0, 0, 1]);
    stream.extend(nal);
}

/// A plane without the gaps between its rows.
fn tight(plane: &[u8], stride: usize, width: u32, height: u32) -> Option<Vec<u8>> {
    let (width, height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
    let mut out = Vec::with_capacity(width * height);
    for row in plane.chunks(stride.max(1)).take(height) {
        out.extend_from_slice(row.get(..width)?);
    }
    (out.len() == width * height).then_some(out)
}
