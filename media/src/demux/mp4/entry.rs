//! Sample entries (ISO/IEC 14496-12 §8.5.2): how a track is coded.

use mp4_atom::{Dops, Esds, Pasp};
use proto::Track;
use proto::stream::AudioCodec;

use super::boxes::{Boxes, Kind, leaf};
use crate::demux::rules::{self, Shown};
use crate::demux::stream;

/// Longest `esds` that is read, bytes: its descriptors may nest.
const MOST_ESDS: usize = 1024;
/// Length of a visual sample entry before the boxes in it (§12.1.3.2).
const VISUAL: usize = 78;

/// How a track is coded, and the track it becomes or why it cannot be one.
pub(super) type Coding = (String, Result<Track, String>);

/// What the first entry of an `stsd` says.
pub(super) fn coding(kind: stream::Kind, stsd: &[u8], shown: &Shown) -> Option<Coding> {
    // Version, flags and the number of entries come first.
    let (fourcc, body) = Boxes(stsd.get(8..)?).next()?;
    Some(match kind {
        stream::Kind::Video => picture(&fourcc, body, shown),
        stream::Kind::Audio => sound(&fourcc, body, &shown.language),
    })
}

fn picture(fourcc: &Kind, body: &[u8], shown: &Shown) -> Coding {
    let inner = Boxes(body.get(VISUAL..).unwrap_or_default());
    let aspect = inner.leaf::<Pasp>(b"pasp").map(|pasp| (pasp.h_spacing, pasp.v_spacing));
    let shown = Shown {
        size: (u32::from(be16(body, 24)), u32::from(be16(body, 26))),
        pixel_aspect: aspect.filter(|a| a.0 > 0 && a.1 > 0),
        ..shown.clone()
    };
    let esds = inner.find(b"esds").and_then(object_type);
    let other = |name: &str| (name.to_owned(), Err(format!("is {name}")));
    match fourcc {
        b"avc1" | b"avc3" => {
            let record = inner.find(b"avcC").unwrap_or_default();
            ("H.264".into(), rules::h264_track(record, &shown))
        }
        b"jpeg" => ("MJPEG".into(), rules::mjpeg_track(&shown)),
        b"mp4v" if esds == Some(0x6c) => ("MJPEG".into(), rules::mjpeg_track(&shown)),
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => other("HEVC"),
        b"vp08" => other("VP8"),
        b"vp09" => other("VP9"),
        b"av01" => other("AV1"),
        b"mp4v" => other("MPEG-4 Part 2"),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => other("ProRes"),
        b"encv" => other("encrypted"),
        unknown => other(&name(unknown)),
    }
}

fn sound(fourcc: &Kind, body: &[u8], language: &str) -> Coding {
    // QuickTime's versions 1 and 2 have more fields.
    let inner = match be16(body, 8) {
        1 => 44,
        2 => 64,
        _ => 28,
    };
    let inner = Boxes(body.get(inner..).unwrap_or_default());
    let (channels, rate) = (be16(body, 16), u32::from(be16(body, 24)));
    let other = |name: &str| (name.to_owned(), Err(format!("is {name}")));
    match fourcc {
        b"mp4a" => mpeg4(inner, channels, rate, language),
        b".mp3" => mp3(channels, rate, language),
        b"Opus" => ("Opus".into(), opus(inner, language)),
        b"fLaC" => ("FLAC".into(), flac(inner, language)),
        b"ac-3" => other("AC-3"),
        b"ec-3" => other("E-AC-3"),
        b"alac" => other("ALAC"),
        b"sowt" | b"twos" | b"lpcm" | b"in24" | b"in32" | b"fl32" | b"fl64" | b"ipcm" | b"fpcm" => {
            other("PCM")
        }
        b"samr" | b"sawb" => other("AMR"),
        b"enca" => other("encrypted"),
        unknown => other(&name(unknown)),
    }
}

/// `mp4a` holds whatever its object type says (mp4ra.org/registered-types/object-types).
fn mpeg4(inner: Boxes<'_>, channels: u16, rate: u32, language: &str) -> Coding {
    // QuickTime puts it into a `wave`.
    let esds = inner.find(b"esds").or_else(|| Boxes(inner.find(b"wave")?).find(b"esds"));
    let other = |name: &str| (name.to_owned(), Err(format!("is {name}")));
    match esds.and_then(object_type) {
        Some(0x40 | 0x66..=0x68) => {
            let config = esds.and_then(decoder_config).unwrap_or_default();
            ("AAC".into(), rules::aac_track(&config, language))
        }
        Some(0x69 | 0x6b) => mp3(channels, rate, language),
        Some(0xa5) => other("AC-3"),
        Some(0xa6) => other("E-AC-3"),
        Some(0xa9) => other("DTS"),
        Some(unknown) => other(&format!("MPEG-4 object type {unknown:#x}")),
        None => ("AAC".into(), Err("has an AAC set-up that cannot be read".into())),
    }
}

fn mp3(channels: u16, rate: u32, language: &str) -> Coding {
    ("MP3".into(), rules::audio_track(AudioCodec::Mp3, &[], rate, channels, language))
}

/// OpusHead (RFC 7845 §5.1) from what MP4 has in its place ("Encapsulation of Opus in ISOBMFF").
fn opus(inner: Boxes<'_>, language: &str) -> Result<Track, String> {
    let dops = inner.leaf::<Dops>(b"dOps").ok_or("has an Opus set-up that cannot be read")?;
    if dops.channel_mapping.is_some() {
        return Err(format!("has {} channels", dops.output_channel_count));
    }
    let mut head = b"OpusHead\x01".to_vec();
    head.push(dops.output_channel_count);
    head.extend(dops.pre_skip.to_le_bytes());
    head.extend(dops.input_sample_rate.to_le_bytes());
    head.extend(dops.output_gain.to_le_bytes());
    head.push(0);
    let channels = u16::from(dops.output_channel_count);
    rules::audio_track(AudioCodec::Opus, &head, 48_000, channels, language)
}

/// The STREAMINFO block is the first in a `dfLa` ("Encapsulation of FLAC in ISOBMFF").
fn flac(inner: Boxes<'_>, language: &str) -> Result<Track, String> {
    let unreadable = || "has a FLAC set-up that cannot be read".to_owned();
    let info = inner.find(b"dfLa").and_then(|dfla| dfla.get(8..42)).ok_or_else(unreadable)?;
    let (rate, channels) = flac_format(info).ok_or_else(unreadable)?;
    rules::audio_track(AudioCodec::Flac, info, rate, channels, language)
}

/// Sample rate and channels from a STREAMINFO block's content (RFC 9639 §8.2).
fn flac_format(info: &[u8]) -> Option<(u32, u16)> {
    let packed = u32::from_be_bytes(*info.get(10..)?.first_chunk()?);
    Some((packed >> 12, u16::try_from(packed >> 9 & 7).ok()? + 1))
}

fn object_type(esds: &[u8]) -> Option<u8> {
    Some(read_esds(esds)?.es_desc.dec_config.object_type_indication)
}

fn decoder_config(esds: &[u8]) -> Option<Vec<u8>> {
    Some(read_esds(esds)?.es_desc.dec_config.dec_specific?.raw)
}

fn read_esds(esds: &[u8]) -> Option<Esds> {
    leaf(esds.get(..MOST_ESDS.min(esds.len()))?)
}

/// Four letters for people.
fn name(fourcc: &Kind) -> String {
    format!("\"{}\"", fourcc.escape_ascii())
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_be_bytes(*b))
}
