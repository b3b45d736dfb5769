//! Where a JPEG ends in a camera's buffer.
//!
//! A driver's buffer is longer than the picture in it, and behind the picture lie the remains of
//! older, longer ones, end markers included; a thumbnail in the header has an end marker too. So
//! the markers are walked (ITU-T T.81 Annex B) from the start to the end of the first picture.

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const TEM: u8 = 0x01;

/// The picture at the start of `buffer`, up to and with its end marker; `None` if it does not
/// begin with a JPEG or does not hold a whole one.
#[must_use]
pub(super) fn first(buffer: &[u8]) -> Option<&[u8]> {
    if buffer.get(..2)? != [0xFF, SOI] {
        return None;
    }
    let mut at = 2;
    loop {
        let marker = next_marker(buffer, &mut at)?;
        match marker {
            EOI => return buffer.get(..at),
            // Markers without a length: TEM, RST0 to RST7.
            TEM | 0xD0..=0xD7 => {}
            SOI => return None,
            _ => {
                let length = buffer.get(at..at + 2)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
                if marker == SOS {
                    skip_scan(buffer, &mut at)?;
                }
            }
        }
    }
}

/// Reads a marker at `at`: 0xFF, as often as it is repeated as filling, and the code.
fn next_marker(buffer: &[u8], at: &mut usize) -> Option<u8> {
    if *buffer.get(*at)? != 0xFF {
        return None;
    }
    while *buffer.get(*at)? == 0xFF {
        *at += 1;
    }
    let code = *buffer.get(*at)?;
    *at += 1;
    (code != 0).then_some(code)
}

/// Moves to the marker that ends a scan: within it 0xFF is followed by 0 (stuffing) or a restart.
fn skip_scan(buffer: &[u8], at: &mut usize) -> Option<()> {
    loop {
        *at += buffer.get(*at..)?.iter().position(|byte| *byte == 0xFF)?;
        match *buffer.get(*at + 1)? {
            0 | 0xD0..=0xD7 => *at += 2,
            0xFF => *at += 1,
            _ => return Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SOI, an APP1 with a whole thumbnail in it, a frame header, a scan with stuffing and a
    /// restart marker, EOI.
    fn picture(scan: &[u8]) -> Vec<u8> {
        let mut jpeg = vec![0xFF, 0xD8];
        jpeg.extend([0xFF, 0xE1, 0, 8, 0xFF, 0xD8, 1, 2, 0xFF, 0xD9]);
        jpeg.extend([0xFF, 0xFF, 0xC0, 0, 4, 9, 9]);
        jpeg.extend([0xFF, 0xDA, 0, 3, 7]);
        jpeg.extend(scan);
        jpeg.extend([0xFF, 0x00, 5, 0xFF, 0xD3, 6, 0xFF, 0xD9]);
        jpeg
    }

    #[test]
    fn the_remains_of_older_pictures_are_cut_off() {
        let newer = picture(&[1, 2, 3]);
        let older = picture(&[9; 4000]);
        let mut buffer = newer.clone();
        buffer.extend(&older[newer.len()..]);
        buffer.resize(10_000, 0);
        assert_eq!(first(&buffer), Some(&newer[..]));
        assert_eq!(first(&newer), Some(&newer[..]));
    }

    #[test]
    fn several_scans_are_one_picture() {
        let mut jpeg = picture(&[1]);
        jpeg.truncate(jpeg.len() - 2);
        jpeg.extend([0xFF, 0xC4, 0, 2, 0xFF, 0xDA, 0, 2, 8, 8, 0xFF, 0xD9]);
        assert_eq!(first(&jpeg), Some(&jpeg[..]));
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_survived() {
        let whole = picture(&[1, 2, 3]);
        for length in 0..whole.len() {
            assert_eq!(first(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xFF;
            assert!(first(&damaged).is_none_or(|jpeg| jpeg.len() <= damaged.len()));
        }
    }

    #[test]
    fn what_is_no_jpeg_is_refused() {
        for bytes in [&b""[..], b"\xFF", b"RIFF....AVI ", &[0; 64], &[0xFF; 64]] {
            assert_eq!(first(bytes), None);
        }
    }
}
