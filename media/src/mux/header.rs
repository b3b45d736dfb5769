//! The movie header: what the tracks are (ISO/IEC 14496-12 §8).

use proto::Track;
use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};

use super::boxes::{put_box, put_descriptor, put_full, put_u16, put_u32, put_u64};
use super::pre_skip;

/// Ticks a second of the movie as a whole.
pub(super) const MOVIE_TIMESCALE: u32 = 1000;

/// What the header says of a track beyond its description.
pub(super) struct TrackTimes {
    pub(super) timescale: u32,
    /// Ticks of the track before the moment that is the movie's start.
    pub(super) skip: u64,
}

/// `ftyp` and `moov`; `duration` of the fragments in movie ticks, and where it stands (8 bytes).
pub(super) fn header(
    tracks: &[(&Track, TrackTimes)],
    duration: Option<u64>,
) -> (Vec<u8>, Option<usize>) {
    let mut out = Vec::new();
    put_box(&mut out, b"ftyp", |out| {
        out.extend(b"iso5");
        put_u32(out, 512);
        out.extend(b"iso5iso6mp41");
    });
    let mut duration_at = None;
    put_box(&mut out, b"moov", |out| {
        movie_header(out, tracks.len());
        for ((track, times), id) in tracks.iter().zip(1..) {
            put_box(out, b"trak", |out| trak(out, id, track, times));
        }
        put_box(out, b"mvex", |out| {
            if let Some(duration) = duration {
                put_full(out, b"mehd", 1, 0, |out| {
                    duration_at = Some(out.len());
                    put_u64(out, duration);
                });
            }
            for (_, id) in tracks.iter().zip(1..) {
                put_full(out, b"trex", 0, 0, |out| {
                    for value in [id, 1, 0, 0, 0] {
                        put_u32(out, value);
                    }
                });
            }
        });
    });
    (out, duration_at)
}

/// Unity, or a clockwise turn (§8.3.2: `a b u c d v x y w`).
fn matrix(rotation: u16, width: u32, height: u32) -> [u32; 9] {
    const ONE: u32 = 1 << 16;
    const MINUS: u32 = ONE.wrapping_neg();
    let (w, h) = (width << 16, height << 16);
    match rotation {
        90 => [0, ONE, 0, MINUS, 0, 0, h, 0, 1 << 30],
        180 => [MINUS, 0, 0, 0, MINUS, 0, w, h, 1 << 30],
        270 => [0, MINUS, 0, ONE, 0, 0, 0, w, 1 << 30],
        _ => [ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30],
    }
}

fn movie_header(out: &mut Vec<u8>, tracks: usize) {
    put_full(out, b"mvhd", 0, 0, |out| {
        put_u64(out, 0); // creation and modification
        put_u32(out, MOVIE_TIMESCALE);
        put_u32(out, 0); // duration: the fragments'
        put_u32(out, 1 << 16); // rate
        put_u16(out, 1 << 8); // volume
        out.extend([0; 10]);
        for value in matrix(0, 0, 0) {
            put_u32(out, value);
        }
        out.extend([0; 24]);
        put_u32(out, u32::try_from(tracks).unwrap_or(0) + 1); // next_track_ID
    });
}

fn trak(out: &mut Vec<u8>, id: u32, track: &Track, times: &TrackTimes) {
    track_header(out, id, track);
    if times.skip > 0 {
        put_box(out, b"edts", |out| {
            put_full(out, b"elst", 1, 0, |out| {
                put_u32(out, 1);
                put_u64(out, 0); // to the end
                put_u64(out, times.skip);
                put_u32(out, 1 << 16); // rate
            });
        });
    }
    put_box(out, b"mdia", |out| {
        put_full(out, b"mdhd", 0, 0, |out| {
            put_u64(out, 0);
            put_u32(out, times.timescale);
            put_u32(out, 0);
            put_u16(out, language(&track.language));
            put_u16(out, 0);
        });
        let handler: &[u8; 4] = if track.is_video() { b"vide" } else { b"soun" };
        put_full(out, b"hdlr", 0, 0, |out| {
            put_u32(out, 0);
            out.extend(handler);
            out.extend([0; 13]); // reserved, and an empty name
        });
        put_box(out, b"minf", |out| media_information(out, track));
    });
}

fn track_header(out: &mut Vec<u8>, id: u32, track: &Track) {
    // Enabled, in the movie, in the preview.
    put_full(out, b"tkhd", 0, 7, |out| {
        put_u64(out, 0);
        put_u32(out, id);
        put_u64(out, 0); // reserved, duration
        put_u64(out, 0); // reserved
        put_u32(out, 0); // layer, alternate group
        let (volume, rotation, width, height) = match &track.media {
            Media::Video(video) => {
                let (width, height) = Video { rotation: 0, ..video.clone() }.display_size();
                (0, video.rotation, width, height)
            }
            Media::Audio(_) => (1 << 8, 0, 0, 0),
        };
        put_u16(out, volume);
        put_u16(out, 0);
        for value in matrix(rotation, width, height) {
            put_u32(out, value);
        }
        put_u32(out, width << 16);
        put_u32(out, height << 16);
    });
}

/// Three letters of five bits (§8.4.2.3).
fn language(tag: &str) -> u16 {
    let letters = match tag.as_bytes() {
        &[a, b, c] if tag.bytes().all(|l| l.is_ascii_lowercase()) => [a, b, c],
        _ => *b"und",
    };
    letters.iter().fold(0, |packed, &letter| packed << 5 | u16::from(letter - 0x60))
}

fn media_information(out: &mut Vec<u8>, track: &Track) {
    if track.is_video() {
        put_full(out, b"vmhd", 0, 1, |out| put_u64(out, 0));
    } else {
        put_full(out, b"smhd", 0, 0, |out| put_u32(out, 0));
    }
    put_box(out, b"dinf", |out| {
        put_full(out, b"dref", 0, 0, |out| {
            put_u32(out, 1);
            put_full(out, b"url ", 0, 1, |_| {}); // in this file
        });
    });
    put_box(out, b"stbl", |out| {
        put_full(out, b"stsd", 0, 0, |out| {
            put_u32(out, 1);
            sample_entry(out, track);
        });
        // The samples are in the fragments.
        for kind in [b"stts", b"stsc", b"stco"] {
            put_full(out, kind, 0, 0, |out| put_u32(out, 0));
        }
        put_full(out, b"stsz", 0, 0, |out| put_u64(out, 0));
    });
}

fn sample_entry(out: &mut Vec<u8>, track: &Track) {
    let config = track.codec_config.as_slice();
    match &track.media {
        Media::Video(video) => {
            let kind = match video.codec {
                VideoCodec::H264 => b"avc1",
                VideoCodec::Mjpeg => b"mp4v",
            };
            put_box(out, kind, |out| {
                visual(out, video);
                match video.codec {
                    VideoCodec::H264 => put_box(out, b"avcC", |out| out.extend(config)),
                    VideoCodec::Mjpeg => elementary_stream(out, 0x6c, 0x11, &[]),
                }
                if video.pixel_aspect.0 != video.pixel_aspect.1 {
                    put_box(out, b"pasp", |out| {
                        put_u32(out, video.pixel_aspect.0);
                        put_u32(out, video.pixel_aspect.1);
                    });
                }
            });
        }
        Media::Audio(audio) => sound_entry(out, track, audio),
    }
}

/// The tracks with other codecs have been refused before, see [`super::can_hold`].
fn sound_entry(out: &mut Vec<u8>, track: &Track, audio: &Audio) {
    let config = track.codec_config.as_slice();
    let kind = match audio.codec {
        AudioCodec::Opus => b"Opus",
        AudioCodec::Flac => b"fLaC",
        _ => b"mp4a",
    };
    put_box(out, kind, |out| {
        out.extend([0; 6]);
        put_u16(out, 1); // data reference
        put_u64(out, 0);
        put_u16(out, audio.channels);
        put_u16(out, 16); // bits a sample, by custom
        put_u32(out, 0);
        let rate = u16::try_from(audio.sample_rate).unwrap_or(0);
        put_u32(out, u32::from(rate) << 16);
        match audio.codec {
            AudioCodec::Opus => put_box(out, b"dOps", |out| opus_specific(out, track)),
            AudioCodec::Flac => put_full(out, b"dfLa", 0, 0, |out| {
                out.push(0x80); // the last metadata block, STREAMINFO
                out.extend(&u32::try_from(config.len()).unwrap_or(0).to_be_bytes()[1..]);
                out.extend(config);
            }),
            AudioCodec::Mp3 => elementary_stream(out, 0x6b, 0x15, &[]),
            _ => elementary_stream(out, 0x40, 0x15, config),
        }
    });
}

fn visual(out: &mut Vec<u8>, video: &Video) {
    out.extend([0; 6]);
    put_u16(out, 1); // data reference
    out.extend([0; 16]);
    put_u16(out, u16::try_from(video.width).unwrap_or(u16::MAX));
    put_u16(out, u16::try_from(video.height).unwrap_or(u16::MAX));
    put_u32(out, 72 << 16); // dots an inch, by custom
    put_u32(out, 72 << 16);
    put_u32(out, 0);
    put_u16(out, 1); // frames a sample
    out.extend([0; 32]); // compressor's name
    put_u16(out, 24); // depth
    put_u16(out, u16::MAX);
}

/// `esds` (ISO/IEC 14496-14 §5.6): `object` and `stream` as in ISO/IEC 14496-1 Tables 5 and 6.
fn elementary_stream(out: &mut Vec<u8>, object: u8, stream: u8, config: &[u8]) {
    put_full(out, b"esds", 0, 0, |out| {
        put_descriptor(out, 3, |out| {
            put_u16(out, 0); // ES_ID
            out.push(0); // flags
            put_descriptor(out, 4, |out| {
                out.extend([object, stream]);
                out.extend([0; 11]); // buffer size and bitrates: unknown
                if !config.is_empty() {
                    put_descriptor(out, 5, |out| out.extend(config));
                }
            });
            put_descriptor(out, 6, |out| out.push(2));
        });
    });
}

/// `dOps`: an OpusHead with its numbers the other way round (Opus in ISOBMFF §4.3.2).
fn opus_specific(out: &mut Vec<u8>, track: &Track) {
    let head = track.codec_config.as_slice();
    let byte = |at: usize| head.get(at).copied().unwrap_or(0);
    out.push(0); // version
    out.push(byte(9)); // channels
    put_u16(out, pre_skip(track).unwrap_or(0));
    put_u32(out, u32::from_le_bytes([byte(12), byte(13), byte(14), byte(15)]));
    put_u16(out, u16::from_le_bytes([byte(16), byte(17)]));
    out.extend(head.get(18..).unwrap_or(&[0]));
}
