//! The format of what stands on the disk; `docs/CACHE.md` describes it.
//!
//! A file is a head of 64 bytes and a body. The head says what the body is, how long, and its digest:
//! a file that was cut, or of which a bit flipped, is not believed. Files are written beside their
//! place and renamed, so that a name never stands for half a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use proto::recording::{Digest, Digester, RecordingId};

/// Bytes before the body.
pub const HEAD: u64 = 64;
/// First bytes of a segment's file; the last one is the version of the format.
pub const SEGMENT: [u8; 8] = *b"INSTSEG1";
/// First bytes of an index' file.
pub const INDEX: [u8; 8] = *b"INSTIDX1";
/// First bytes of a poster's file.
pub const POSTER: [u8; 8] = *b"INSTPST1";
/// First bytes of the file that says which subtitles there are.
pub const SUBTITLES: [u8; 8] = *b"INSTSBS1";
/// First bytes of a file with the text of subtitles.
pub const SUBTITLE: [u8; 8] = *b"INSTSUB1";

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// [`SEGMENT`], [`INDEX`], [`POSTER`], [`SUBTITLES`] or [`SUBTITLE`].
    pub kind: [u8; 8],
    /// Of the recording.
    pub id: RecordingId,
    /// Of the segment; key of a subtitle; 0 for anything else.
    pub number: u64,
    /// Length of the body, bytes.
    pub bytes: u32,
    /// Of the body.
    pub digest: Digest,
}

impl Head {
    fn encode(&self) -> [u8; HEAD as usize] {
        let mut head = [0; HEAD as usize];
        head[..8].copy_from_slice(&self.kind);
        head[8..24].copy_from_slice(&self.id.0);
        head[24..32].copy_from_slice(&self.number.to_le_bytes());
        head[32..36].copy_from_slice(&self.bytes.to_le_bytes());
        head[40..56].copy_from_slice(&self.digest.0);
        let check = Digest::of(&head[..56]);
        head[56..].copy_from_slice(&check.0[..8]);
        head
    }

    fn decode(head: &[u8; HEAD as usize]) -> Option<Self> {
        let part = |from: usize| -> [u8; 8] { std::array::from_fn(|i| head[from + i]) };
        let half = |from: usize| -> [u8; 16] { std::array::from_fn(|i| head[from + i]) };
        let read = Self {
            kind: part(0),
            id: RecordingId(half(8)),
            number: u64::from_le_bytes(part(24)),
            bytes: u32::from_le_bytes(std::array::from_fn(|i| head[32 + i])),
            digest: Digest(half(40)),
        };
        // What is spelt otherwise than we would is not ours, or damaged.
        (read.encode() == *head).then_some(read)
    }
}

/// Why a file is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The system cannot read it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The head is not one, or another file's.
    #[error("its head is damaged")]
    Head,
    /// It is shorter or longer than its head says.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// As the head says, bytes.
        expected: u64,
        /// As it is, bytes.
        found: u64,
    },
    /// The body is not what it was.
    #[error("its content is damaged")]
    Body,
}

impl Damage {
    /// Whether there is simply no file.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads the head and compares it with the file's length and what it is to be.
///
/// # Errors
/// See [`Damage`].
pub fn look(file: &mut File, kind: [u8; 8], id: RecordingId, number: u64) -> Result<Head, Damage> {
    let found = file.metadata()?.len();
    let mut head = [0; HEAD as usize];
    if found < HEAD {
        return Err(Damage::Length { expected: HEAD, found });
    }
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    let head = Head::decode(&head).ok_or(Damage::Head)?;
    if (head.kind, head.id, head.number) != (kind, id, number) {
        return Err(Damage::Head);
    }
    let expected = HEAD + u64::from(head.bytes);
    if found != expected {
        return Err(Damage::Length { expected, found });
    }
    Ok(head)
}

/// Reads the body and compares it with its digest.
///
/// # Errors
/// See [`Damage`].
pub fn verify(file: &mut File, head: &Head) -> Result<(), Damage> {
    let mut digester = Digester::default();
    let mut buffer = vec![0; 256 << 10];
    file.seek(SeekFrom::Start(HEAD))?;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => digester.update(&buffer[..read]),
        }
    }
    if digester.finish() == head.digest { Ok(()) } else { Err(Damage::Body) }
}

/// Writes a file beside its place and moves it there when it is whole and on the disk.
///
/// # Errors
/// The system's: no room, no permission, a disk that fails.
pub fn write(path: &Path, beside: &Path, head: &Head, body: &[u8]) -> io::Result<()> {
    let written = (|| {
        let mut file = File::create(beside)?;
        file.write_all(&head.encode())?;
        file.write_all(body)?;
        // A name must not survive a power cut that its bytes did not.
        file.sync_data()?;
        std::fs::rename(beside, path)
    })();
    if written.is_err() {
        // Half a file is nobody's; if it cannot be removed it is at the next start.
        let _ = std::fs::remove_file(beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RecordingId = RecordingId([3; 16]);

    fn a_file() -> (tempfile::TempDir, std::path::PathBuf, Head) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        let body = b"packets".repeat(1_000);
        let digest = Digest::of(&body);
        let bytes = body.len() as u32;
        let head = Head { kind: SEGMENT, id: ID, number: 7, bytes, digest };
        write(&path, &folder.path().join("b"), &head, &body).expect("written");
        (folder, path, head)
    }

    fn check(path: &Path) -> Result<Head, Damage> {
        let mut file = File::open(path)?;
        let head = look(&mut file, SEGMENT, ID, 7)?;
        verify(&mut file, &head).map(|()| head)
    }

    #[test]
    fn what_was_written_is_believed() {
        let (folder, path, head) = a_file();
        assert_eq!(check(&path).expect("whole"), head);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
        let mut file = File::open(&path).expect("open");
        assert!(matches!(look(&mut file, SEGMENT, ID, 8), Err(Damage::Head)), "another segment");
        assert!(matches!(look(&mut file, INDEX, ID, 7), Err(Damage::Head)), "another kind");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_believed() {
        let (_folder, path, _) = a_file();
        let whole = std::fs::read(&path).expect("read");
        for at in (0..whole.len()).step_by(37).chain(0..HEAD as usize) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).expect("write");
            assert!(check(&path).is_err(), "bit flipped in byte {at}");
        }
        for length in [0, 1, 63, 64, 65, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("write");
            assert!(check(&path).is_err(), "cut to {length}");
        }
        std::fs::write(&path, [&whole[..], b"x"].concat()).expect("write");
        assert!(check(&path).is_err(), "longer");
    }
}
