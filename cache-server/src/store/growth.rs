//! What was added to an index that grows: a line a segment, appended, so that a long recording costs no
//! more a segment than a short one. `docs/CACHE.md` describes it.
//!
//! The number of a line is its place. Half a line, which a process that was killed or a full disk leaves,
//! is no line; the next one overwrites it.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use proto::limits;
use proto::recording::{Digest, Digester, Index, RecordingId, SegmentInfo};

/// Bytes of a line.
const LINE: usize = 32;
/// What of them its check is of.
const CHECKED: usize = 24;

fn check(id: RecordingId, number: u64, line: &[u8]) -> Digest {
    let mut digester = Digester::default();
    digester.update(&id.0);
    digester.update(&number.to_le_bytes());
    digester.update(&line[..CHECKED]);
    digester.finish()
}

fn encode(id: RecordingId, number: u64, segment: &SegmentInfo) -> [u8; LINE] {
    let mut line = [0; LINE];
    line[..8].copy_from_slice(&segment.start_us.to_le_bytes());
    line[8..12].copy_from_slice(&segment.duration_us.to_le_bytes());
    line[12..16].copy_from_slice(&segment.bytes.to_le_bytes());
    line[16] = u8::from(segment.key);
    let check = check(id, number, &line);
    line[CHECKED..].copy_from_slice(&check.0[..LINE - CHECKED]);
    line
}

fn decode(id: RecordingId, number: u64, line: &[u8]) -> Option<SegmentInfo> {
    let four = |from: usize| u32::from_le_bytes(std::array::from_fn(|i| line[from + i]));
    let segment = SegmentInfo {
        start_us: i64::from_le_bytes(std::array::from_fn(|i| line[i])),
        duration_us: four(8),
        bytes: four(12),
        key: line[16] == 1,
    };
    (encode(id, number, &segment) == line).then_some(segment)
}

/// Appends what an index has and the file has not.
pub(super) fn append(index: &Index, path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let there = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX) / LINE;
    let added = index.segments.get(there..).unwrap_or_default();
    let mut lines = Vec::with_capacity(added.len() * LINE);
    for (number, segment) in (index.first + there as u64..).zip(added) {
        lines.extend_from_slice(&encode(index.id, number, segment));
    }
    file.seek(SeekFrom::Start((there * LINE) as u64))?;
    file.write_all(&lines)?;
    file.sync_data()
}

/// Adds what is in the file, up to what cannot be believed.
pub(super) fn add_to(index: &mut Index, path: &Path) {
    let most = (limits::SEGMENTS * LINE) as u64;
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > most) {
        return;
    }
    let lines = fs::read(path).unwrap_or_default();
    for (place, line) in lines.chunks_exact(LINE).enumerate().skip(index.segments.len()) {
        let Some(segment) = decode(index.id, index.first + place as u64, line) else { break };
        index.segments.push(segment);
    }
    // Checked as the wire would: damage may be made to look whole.
    if index.validate().is_err() {
        index.segments.clear();
    }
}
