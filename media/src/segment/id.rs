//! What tells a movie's content from any other's: its length, its tracks, the table of its packets and
//! some of its bytes. Not its name, and not all of it: that would take as long as reading it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use proto::recording::{Digester, RecordingId};
use proto::stream::Media;
use proto::{PacketHeader, Track};

/// Bytes that are looked at in the beginning, the middle and the end of a file.
const SAMPLE: u64 = 64 << 10;

/// Makes the number while the packets are gone through.
pub(super) struct Maker {
    digester: Digester,
    /// Packets not yet digested: one call for many.
    table: Vec<u8>,
}

impl Maker {
    pub(super) fn new(tracks: &[Track]) -> Self {
        let mut maker = Self { digester: Digester::default(), table: Vec::new() };
        for track in tracks {
            maker.track(track);
        }
        maker
    }

    fn track(&mut self, track: &Track) {
        let kind = match &track.media {
            Media::Video(v) => format!(
                "{:?} {}x{} {:?} {} {:?}",
                v.codec, v.width, v.height, v.pixel_aspect, v.rotation, v.frame_rate
            ),
            Media::Audio(a) => format!("{:?} {} {}", a.codec, a.sample_rate, a.channels),
        };
        for field in [kind.as_bytes(), &track.codec_config, track.language.as_bytes()] {
            self.digester.update(&(field.len() as u64).to_le_bytes());
            self.digester.update(field);
        }
    }

    /// A line of the table.
    pub(super) fn packet(&mut self, header: &PacketHeader, size: usize) {
        self.table.extend(header.track.to_le_bytes());
        self.table.extend(header.pts_us.to_le_bytes());
        self.table.extend(header.dts_us.to_le_bytes());
        self.table.extend((size as u64).to_le_bytes());
        self.table.push(u8::from(header.key));
        if self.table.len() >= SAMPLE as usize {
            self.digester.update(&self.table);
            self.table.clear();
        }
    }

    /// The number of the movie in `file`.
    pub(super) fn finish(mut self, file: &Path) -> io::Result<RecordingId> {
        self.digester.update(&self.table);
        let mut file = File::open(file)?;
        let length = file.seek(SeekFrom::End(0))?;
        self.digester.update(&length.to_le_bytes());
        let mut bytes = Vec::new();
        for from in [0, (length / 2).saturating_sub(SAMPLE / 2), length.saturating_sub(SAMPLE)] {
            file.seek(SeekFrom::Start(from))?;
            bytes.clear();
            (&mut file).take(SAMPLE).read_to_end(&mut bytes)?;
            self.digester.update(&bytes);
        }
        Ok(self.digester.finish().into())
    }
}
