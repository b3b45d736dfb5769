//! Which container a file is, from its first bytes.

use std::fmt;

/// How many of a file's first bytes are looked at: a few MPEG-TS packets, or an Ogg file's headers.
pub(crate) const LENGTH: usize = 4096;

/// Containers that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// ISO base media or QuickTime.
    Mp4,
    /// Matroska or WebM.
    Matroska,
    /// Ogg with sound only.
    OggSound,
    /// Ogg with pictures.
    OggVideo,
    Flac,
    Wav,
    /// MPEG audio, with or without an ID3 tag before it.
    Mp3,
    MpegTs,
    MpegPs,
    Avi,
    Flv,
    Asf,
}

impl Container {
    pub(crate) fn is_read_by_symphonia(self) -> bool {
        matches!(self, Self::Matroska | Self::OggSound | Self::Flac | Self::Wav | Self::Mp3)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mp4 => "MP4",
            Self::Matroska => "Matroska",
            Self::OggSound | Self::OggVideo => "Ogg",
            Self::Flac => "FLAC",
            Self::Wav => "WAV",
            Self::Mp3 => "MP3",
            Self::MpegTs => "MPEG-TS",
            Self::MpegPs => "MPEG-PS",
            Self::Avi => "AVI",
            Self::Flv => "FLV",
            Self::Asf => "ASF",
        })
    }
}

/// The container that begins with `head`, if it is a known one.
pub(crate) fn container(head: &[u8]) -> Option<Container> {
    let at = |from: usize, magic: &[u8]| head.get(from..).is_some_and(|h| h.starts_with(magic));
    let box_kinds: [&[u8]; 8] =
        [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp"];
    if box_kinds.iter().any(|kind| at(4, kind)) {
        return Some(Container::Mp4);
    }
    if at(0, b"OggS") {
        let video: [&[u8]; 3] = [b"\x80theora", b"OVP80", b"BBCD"];
        let has_video = video.iter().any(|m| head.windows(m.len()).any(|w| w == *m));
        return Some(if has_video { Container::OggVideo } else { Container::OggSound });
    }
    let known = [
        (at(0, b"\x1A\x45\xDF\xA3"), Container::Matroska),
        (at(0, b"fLaC"), Container::Flac),
        (at(0, b"RIFF") && at(8, b"WAVE"), Container::Wav),
        (at(0, b"RIFF") && at(8, b"AVI "), Container::Avi),
        (at(0, b"FLV\x01"), Container::Flv),
        (at(0, b"\x00\x00\x01\xBA"), Container::MpegPs),
        (at(0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11"), Container::Asf),
        (is_mpeg_ts(head), Container::MpegTs),
        (at(0, b"ID3") || is_mpeg_audio(head), Container::Mp3),
    ];
    known.into_iter().find_map(|(is, container)| is.then_some(container))
}

/// Sync bytes 188 bytes apart (ISO/IEC 13818-1), or 192 with the four of an M2TS before each.
fn is_mpeg_ts(head: &[u8]) -> bool {
    let synced = |first: usize, step: usize| {
        (0..3).all(|packet| head.get(first + packet * step).is_some_and(|&byte| byte == 0x47))
    };
    synced(0, 188) || synced(4, 192)
}

/// Layer III frame header with nothing reserved in it (ISO/IEC 11172-3 §2.4.1.3).
fn is_mpeg_audio(head: &[u8]) -> bool {
    let [first, second, third, ..] = *head else { return false };
    let version = second >> 3 & 3;
    let layer = second >> 1 & 3;
    first == 0xff
        && second >> 5 == 7
        && version != 1
        && layer == 1
        && third >> 4 != 15
        && third >> 2 & 3 != 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_known_by_their_first_bytes() {
        let mut ts = vec![0u8; 600];
        for packet in 0..3 {
            ts[packet * 188] = 0x47;
        }
        let mut riff = b"RIFF....AVI LIST".to_vec();
        for (head, expected) in [
            (&b"\0\0\0\x20ftypisom"[..], Some(Container::Mp4)),
            (b"\x1A\x45\xDF\xA3\x01", Some(Container::Matroska)),
            (b"OggS\0\x02....\x80theora", Some(Container::OggVideo)),
            (b"OggS\0\x02....OpusHead", Some(Container::OggSound)),
            (b"\xff\xfb\x90\x64", Some(Container::Mp3)),
            (b"\xff\xf1\x50\x80", None), // ADTS: layer 0
            (&ts, Some(Container::MpegTs)),
            (&riff, Some(Container::Avi)),
            (b"just some text", None),
            (b"", None),
        ] {
            assert_eq!(container(head), expected, "{head:?}");
        }
        riff[8..12].copy_from_slice(b"WAVE");
        assert_eq!(container(&riff), Some(Container::Wav));
    }
}
