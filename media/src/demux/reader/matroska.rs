//! What a Matroska file's track list says beyond what symphonia passes on (RFC 9559): codecs it
//! does not know, pixel aspect, rotation, frame duration, and whether the data is packed.

use std::io::{self, Read, Seek, SeekFrom};

/// Largest track list that is read, bytes.
const MOST_TRACKS: u64 = 4 << 20;
/// Most elements looked at before the track list.
const MOST_ELEMENTS: usize = 256;

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_AE6B;
const CLUSTER: u32 = 0x1F43_B675;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const DEFAULT_DURATION: u32 = 0x23_E383;
const CONTENT_ENCODINGS: u32 = 0x6D80;
const VIDEO: u32 = 0xE0;
const PIXEL_WIDTH: u32 = 0xB0;
const PIXEL_HEIGHT: u32 = 0xBA;
const DISPLAY_WIDTH: u32 = 0x54B0;
const DISPLAY_HEIGHT: u32 = 0x54BA;
const PROJECTION: u32 = 0x7670;
const POSE_ROLL: u32 = 0x7675;

/// One entry of the track list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// 1 video, 2 audio, others are not played.
    pub(crate) track_type: u64,
    /// "V_MPEG4/ISO/AVC"
    pub(crate) codec_id: String,
    /// Of one frame, nanoseconds; 0 if it is not said.
    pub(crate) frame_ns: u64,
    /// Packed with zlib, stripped of headers or encrypted: symphonia would give it as it lies.
    pub(crate) packed: bool,
    pub(crate) pixels: (u64, u64),
    /// Width and height to show it with, in some unit; zeros if it is not said.
    pub(crate) display: (u64, u64),
    /// Counter-clockwise, degrees.
    pub(crate) roll: f64,
}

impl Entry {
    /// Width : height of one pixel, if the display size says it.
    pub(crate) fn pixel_aspect(&self) -> Option<(u32, u32)> {
        let ((w, h), (dw, dh)) = (self.pixels, self.display);
        if dw == 0 || dh == 0 {
            return None;
        }
        let num = u32::try_from(dw.checked_mul(h)?).ok()?;
        let den = u32::try_from(dh.checked_mul(w)?).ok()?;
        (num > 0 && den > 0).then_some((num, den))
    }

    /// Clockwise, in whole quarters.
    pub(crate) fn rotation(&self) -> u16 {
        match (-self.roll).rem_euclid(360.0).round() {
            90.0 => 90,
            180.0 => 180,
            270.0 => 270,
            _ => 0,
        }
    }
}

/// The track list, if it stands before the first cluster, where everybody writes it.
pub(crate) fn tracks<R: Read + Seek + ?Sized>(file: &mut R) -> io::Result<Vec<Entry>> {
    let Some(Found { id: TRACKS, body, size, .. }) =
        find(file, |id| matches!(id, TRACKS | CLUSTER))?
    else {
        return Ok(Vec::new());
    };
    file.seek(SeekFrom::Start(body))?;
    let mut list = Vec::new();
    (&mut *file).take(size.min(MOST_TRACKS)).read_to_end(&mut list)?;
    let entries = Elements(&list).filter(|(id, _)| *id == TRACK_ENTRY);
    Ok(entries.map(|(_, body)| entry(body)).collect())
}

/// Where the first cluster begins; all before it says what is in the clusters.
pub(super) fn first_cluster<R: Read + Seek + ?Sized>(file: &mut R) -> io::Result<Option<u64>> {
    Ok(find(file, |id| id == CLUSTER)?.map(|found| found.start))
}

/// An element.
struct Found {
    id: u32,
    /// Where it and its body begin in the file.
    start: u64,
    body: u64,
    /// Of its body, bytes.
    size: u64,
}

/// The first element outside or in the segment that is wanted.
fn find<R: Read + Seek + ?Sized>(
    file: &mut R,
    wanted: impl Fn(u32) -> bool,
) -> io::Result<Option<Found>> {
    let mut at = 0;
    for _ in 0..MOST_ELEMENTS {
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        (&mut *file).take(12).read_to_end(&mut head)?;
        let mut rest = &head[..];
        let Some((id, size)) = header(&mut rest) else { break };
        let body = at + u64::try_from(head.len() - rest.len()).unwrap_or(0);
        match id {
            _ if wanted(id) => return Ok(Some(Found { id, start: at, body, size })),
            SEGMENT => at = body,
            EBML if at > 0 => break,
            _ => match body.checked_add(size) {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    Ok(None)
}

fn entry(body: &[u8]) -> Entry {
    let mut entry = Entry::default();
    for (id, body) in Elements(body) {
        match id {
            TRACK_NUMBER => entry.number = unsigned(body),
            TRACK_TYPE => entry.track_type = unsigned(body),
            CODEC_ID => {
                entry.codec_id = String::from_utf8_lossy(body).trim_end_matches('\0').into()
            }
            DEFAULT_DURATION => entry.frame_ns = unsigned(body),
            CONTENT_ENCODINGS => entry.packed = true,
            VIDEO => video(body, &mut entry),
            _ => {}
        }
    }
    entry
}

fn video(body: &[u8], entry: &mut Entry) {
    for (id, body) in Elements(body) {
        match id {
            PIXEL_WIDTH => entry.pixels.0 = unsigned(body),
            PIXEL_HEIGHT => entry.pixels.1 = unsigned(body),
            DISPLAY_WIDTH => entry.display.0 = unsigned(body),
            DISPLAY_HEIGHT => entry.display.1 = unsigned(body),
            PROJECTION => {
                let roll = Elements(body).find(|(id, _)| *id == POSE_ROLL);
                entry.roll = roll.map_or(0.0, |(_, body)| float(body));
            }
            _ => {}
        }
    }
}

/// The elements in a slice; ends where one does not fit.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, size) = header(&mut self.0)?;
        let (body, rest) = self.0.split_at_checked(usize::try_from(size).ok()?)?;
        self.0 = rest;
        Some((id, body))
    }
}

/// An element's id, marker included, and size (RFC 8794 §5 and §6).
fn header(rest: &mut &[u8]) -> Option<(u32, u64)> {
    let id_length = usize::try_from(rest.first()?.leading_zeros()).ok()? + 1;
    let (id, tail) = rest.split_at_checked(id_length).filter(|_| id_length <= 4)?;
    let size_length = usize::try_from(tail.first()?.leading_zeros()).ok()? + 1;
    let (size, tail) = tail.split_at_checked(size_length).filter(|_| size_length <= 8)?;
    *rest = tail;
    let id = u32::try_from(unsigned(id)).ok()?;
    // All ones means unknown: the rest of the file.
    Some((id, unsigned(size) & ((1 << (7 * size_length)) - 1)))
}

fn unsigned(body: &[u8]) -> u64 {
    body.iter().take(8).fold(0, |all, &byte| all << 8 | u64::from(byte))
}

fn float(body: &[u8]) -> f64 {
    match *body {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// An element with a size of four bytes.
    fn element(id: u32, body: &[u8]) -> Vec<u8> {
        let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
        let size = (u32::try_from(body.len()).expect("short") | 0x1000_0000).to_be_bytes();
        [&id, &size[..], body].concat()
    }

    #[test]
    fn the_track_list_is_found_and_read() {
        let pose = element(PROJECTION, &element(POSE_ROLL, &(-90f32).to_be_bytes()));
        let picture = [
            element(PIXEL_WIDTH, &[2, 0xD0]),
            element(PIXEL_HEIGHT, &[2, 0x40]),
            element(DISPLAY_WIDTH, &[4, 0]),
            element(DISPLAY_HEIGHT, &[2, 0x40]),
            pose,
        ];
        let track = [
            element(TRACK_NUMBER, &[1]),
            element(TRACK_TYPE, &[1]),
            element(CODEC_ID, b"V_FFV1"),
            element(CONTENT_ENCODINGS, &[]),
            element(VIDEO, &picture.concat()),
        ];
        let tracks_list = element(TRACKS, &element(TRACK_ENTRY, &track.concat()));
        let file = [
            element(EBML, b"x"),
            element(SEGMENT, &[element(0xEC, &[0; 9]), tracks_list].concat()),
        ];
        let entries = tracks(&mut Cursor::new(file.concat())).expect("read");
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((entry.number, entry.codec_id.as_str(), entry.packed), (1, "V_FFV1", true));
        assert_eq!(entry.pixel_aspect(), Some((1024 * 576, 720 * 576)));
        assert_eq!(entry.rotation(), 90);
    }

    #[test]
    fn nonsense_gives_no_entries() {
        for bytes in [&b""[..], &[0; 64], &[0xff; 64], b"\x1A\x45\xDF\xA3\x80\x1A\x45\xDF\xA3\x80"]
        {
            assert_eq!(tracks(&mut Cursor::new(bytes)).expect("read"), []);
        }
    }
}
