//! H.264 outside the decoder: NAL units, avcC records and parameter sets.
//!
//! ```text
//! bits   reading and writing bits, emulation prevention
//! sps    sequence parameter sets
//! ```

mod bits;
mod sps;

pub use sps::Sps;

use bits::{BitReader, BitWriter};

/// NAL unit types (ITU-T H.264 Table 7-1).
pub mod nal_type {
    /// Coded slice of a picture that is not an IDR picture.
    pub const SLICE: u8 = 1;
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
}

/// The type of a NAL unit: the low five bits of its first byte; 0 for an empty one.
#[must_use]
pub fn nal_kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte & 0x1f)
}

/// An avcC record (ISO/IEC 14496-15 §5.3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avcc {
    /// Bytes of each NAL unit's length in the packets: 1, 2 or 4.
    pub length_size: usize,
    /// Sequence parameter sets, each a whole NAL unit.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets, each a whole NAL unit.
    pub pps: Vec<Vec<u8>>,
}

impl Avcc {
    /// Reads a record. `None` if it is cut short or not one.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (&[version, _, _, _, lengths, sps_count], mut rest) = record.split_first_chunk()?;
        if version != 1 {
            return None;
        }
        let sps = take_sets(&mut rest, sps_count & 0x1f)?;
        let (&pps_count, tail) = rest.split_first()?;
        rest = tail;
        let pps = take_sets(&mut rest, pps_count)?;
        Some(Self { length_size: usize::from(lengths & 3) + 1, sps, pps })
    }

    /// The record of a stream with these sets. `None` if one is empty or too long for a record.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let [_, profile, constraints, level, ..] = *self.sps.first()?.as_slice() else {
            return None;
        };
        let length = u8::try_from(self.length_size.checked_sub(1)?).ok()?;
        let sps_count = u8::try_from(self.sps.len()).ok().filter(|&n| n < 32)?;
        let mut record = vec![1, profile, constraints, level, 0xfc | length, 0xe0 | sps_count];
        let put = |record: &mut Vec<u8>, set: &[u8]| {
            record.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
            record.extend(set);
            Some(())
        };
        self.sps.iter().try_for_each(|set| put(&mut record, set))?;
        record.push(u8::try_from(self.pps.len()).ok()?);
        self.pps.iter().try_for_each(|set| put(&mut record, set))?;
        if matches!(profile, 100 | 110 | 122 | 144) {
            let sps = Sps::parse(self.sps.first()?)?;
            record.push(0xfc | u8::try_from(sps.chroma_format_idc & 3).ok()?);
            record.push(0xf8 | u8::try_from((sps.bit_depth_luma - 8) & 7).ok()?);
            record.push(0xf8 | u8::try_from((sps.bit_depth_chroma - 8) & 7).ok()?);
            record.push(0);
        }
        Some(record)
    }

    /// The first sequence parameter set, read.
    #[must_use]
    pub fn first_sps(&self) -> Option<Sps> {
        Sps::parse(self.sps.first()?)
    }
}

/// `count` parameter sets, each after its length in two bytes.
fn take_sets(rest: &mut &[u8], count: u8) -> Option<Vec<Vec<u8>>> {
    let mut sets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (set, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into())?;
        sets.push(set.to_vec());
        *rest = tail;
    }
    Some(sets)
}

/// The NAL units of a length-prefixed packet; ends early where a length points past the end.
pub fn length_prefixed(packet: &[u8], length_size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_at_checked(length_size)?;
        let length = length.iter().fold(0usize, |all, &byte| all << 8 | usize::from(byte));
        let (nal, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Some(nal)
    })
}

/// The NAL units of an Annex B byte stream (ITU-T H.264 B.1), without their start codes.
pub fn annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let from = rest?;
        let end = from.windows(3).position(|w| w == [0, 0, 1]);
        let nal = end.map_or(from, |end| &from[..end]);
        rest = end.map(|end| &from[end + 3..]);
        // A zero before the start code belongs to it (a NAL unit never ends in one).
        let trimmed = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..trimmed])
    })
    .filter(|nal| !nal.is_empty())
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    stream.windows(3).position(|w| w == [0, 0, 1]).map(|at| &stream[at + 3..])
}

/// Whether a length-prefixed packet holds an IDR picture, where decoding may start.
#[must_use]
pub fn is_idr(packet: &[u8], length_size: usize) -> bool {
    length_prefixed(packet, length_size).any(|nal| nal_kind(nal) == nal_type::IDR)
}

/// The same sequence parameter set, declared as Scalable Baseline (profile 83).
///
/// For that profile openh264 gives each picture in the call that decodes it; for Main and High it
/// holds pictures back and orders them by the low bits of their order count, which wrap. The syntax
/// and the decoding process of a base layer are the same, only the fields that High has and Main
/// lacks must be there.
pub(crate) fn sps_in_decoding_order(nal: &[u8]) -> Option<Vec<u8>> {
    let rbsp = bits::unescape(nal);
    let (sps, layout) = Sps::parse_with_layout(&rbsp)?;
    if matches!(sps.profile_idc, 66 | 83) {
        return Some(nal.to_vec());
    }
    let mut reader = BitReader::new(&rbsp);
    let mut writer = BitWriter::default();
    for _ in 0..layout.after_id {
        writer.bit(reader.bit()?);
    }
    if !layout.has_chroma_fields {
        // chroma_format_idc 1 (010), both depths 8 (1, 1), no bypass, no scaling lists
        for bit in [false, true, false, true, true, false, false] {
            writer.bit(bit);
        }
    }
    while let Some(bit) = reader.bit() {
        writer.bit(bit);
    }
    let mut rbsp = writer.into_bytes();
    *rbsp.get_mut(1)? = 83;
    // What the shift left behind the stop bit is filling.
    rbsp.truncate(rbsp.iter().rposition(|&byte| byte != 0)? + 1);
    Some(bits::escape(&rbsp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// High, 854x480 (cropped), 24 frames a second, two B-frames: x264, from a sample movie.
    const HIGH: [u8; 27] = [
        0x67, 0x64, 0x00, 0x1f, 0xac, 0x56, 0x24, 0x0d, 0x83, 0xde, 0x6f, 0x01, 0x10, 0x00, 0x00,
        0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x00, 0xf1, 0x83, 0x18, 0x98,
    ];
    const PPS: [u8; 6] = [0x68, 0xe8, 0x8e, 0x52, 0xc8, 0xb0];

    /// The same as Main: without the fields that High has.
    fn main_profile() -> Vec<u8> {
        let rbsp = bits::unescape(&HIGH);
        let mut reader = BitReader::new(&rbsp);
        let mut writer = BitWriter::default();
        // Header, profile, constraints, level, and an identifier of one bit.
        for _ in 0..33 {
            writer.bit(reader.bit().expect("whole"));
        }
        // 010 1 1 0 0
        reader.bits(7).expect("whole");
        while let Some(bit) = reader.bit() {
            writer.bit(bit);
        }
        let mut rbsp = writer.into_bytes();
        rbsp[1] = 77;
        bits::escape(&rbsp)
    }

    #[test]
    fn a_parameter_set_says_what_the_pictures_are() {
        let sps = Sps::parse(&HIGH).expect("whole");
        assert_eq!((sps.profile_idc, sps.level_idc), (100, 31));
        assert_eq!((sps.width, sps.height), (854, 480));
        assert_eq!((sps.frame_rate, sps.reorder_frames), (Some((48, 2)), Some(2)));
        assert!(sps.frame_mbs_only);
        assert_eq!(sps.max_dpb_frames(), 11);
        for end in 0..20 {
            assert_eq!(Sps::parse(&HIGH[..end.min(9)]), None);
        }
    }

    #[test]
    fn a_parameter_set_for_decoding_order_differs_in_its_profile_only() {
        for nal in [HIGH.to_vec(), main_profile()] {
            let before = Sps::parse(&nal).expect("whole");
            let after = Sps::parse(&sps_in_decoding_order(&nal).expect("whole")).expect("whole");
            assert_eq!(after, Sps { profile_idc: 83, ..before });
        }
    }

    #[test]
    fn a_record_comes_back_from_its_bytes_and_a_part_of_it_is_none() {
        let avcc = Avcc { length_size: 4, sps: vec![HIGH.to_vec()], pps: vec![PPS.to_vec()] };
        let bytes = avcc.to_bytes().expect("fits");
        assert_eq!(Avcc::parse(&bytes), Some(avcc));
        // The last four bytes are what High adds; before them all is needed.
        for end in 0..bytes.len() - 4 {
            assert_eq!(Avcc::parse(&bytes[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn units_are_found_in_both_forms() {
        let stream = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 1, 0x41, 3];
        let units: Vec<_> = annex_b(&stream).collect();
        assert_eq!(units, [&[9, 0xf0][..], &[0x65, 1, 2], &[0x41, 3]]);
        let packet = [0, 2, 9, 0xf0, 0, 1, 0x65, 0, 9, 1];
        let units: Vec<_> = length_prefixed(&packet, 2).collect();
        assert_eq!(units, [&[9, 0xf0][..], &[0x65]], "the last one is cut off");
        assert!(is_idr(&packet, 2) && !is_idr(&packet[..4], 2));
    }
}
