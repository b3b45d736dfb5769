//! Boxes (ISO/IEC 14496-12 §4.2): walking them, and reading one from a file within bounds.
//!
//! Containers are walked here and only leaves are given to `mp4-atom`: so one odd box costs no more
//! than itself, and no depth of nesting in a hostile file reaches the stack.

use std::io::{self, Read, Seek, SeekFrom};

use mp4_atom::Atom;

/// A box's four letters.
pub(super) type Kind = [u8; 4];

/// The boxes in a slice: each one's kind and body. Ends where one does not fit.
#[derive(Clone, Copy)]
pub(super) struct Boxes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let available = u64::try_from(self.0.len()).ok()?;
        let header = Header::parse(self.0, available)?;
        let (whole, rest) = self.0.split_at_checked(usize::try_from(header.length).ok()?)?;
        self.0 = rest;
        Some((header.kind, &whole[header.before_body..]))
    }
}

impl<'a> Boxes<'a> {
    /// The first box of a kind.
    pub(super) fn find(mut self, kind: &Kind) -> Option<&'a [u8]> {
        self.find_map(|(found, body)| (found == *kind).then_some(body))
    }

    /// The first box of a kind, read; `None` if it is not there or cannot be read.
    pub(super) fn leaf<T: Atom>(self, kind: &Kind) -> Option<T> {
        leaf(self.find(kind)?)
    }
}

/// A box without boxes in it, read.
pub(super) fn leaf<T: Atom>(mut body: &[u8]) -> Option<T> {
    T::decode_body(&mut body).ok()
}

/// What stands before a box's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// 8, or 16 with a 64-bit length.
    before_body: usize,
    /// Of the whole box, bytes.
    length: u64,
}

impl Header {
    /// `available` is what is left of the parent or the file: what a length of 0 stands for.
    fn parse(bytes: &[u8], available: u64) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first_chunk::<4>()?;
        let (before_body, length) = match u32::from_be_bytes(*length) {
            0 => (8, available),
            1 => (16, u64::from_be_bytes(*rest.first_chunk::<8>()?)),
            short => (8, u64::from(short)),
        };
        (length >= u64::try_from(before_body).ok()?).then_some(Self {
            kind: *kind,
            before_body,
            length,
        })
    }
}

/// A box at the top of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopBox {
    pub(super) kind: Kind,
    /// First byte of the box.
    pub(super) start: u64,
    body: u64,
    /// First byte after it; may lie past the end of a truncated file.
    pub(super) end: u64,
}

impl TopBox {
    /// The box that begins at `start`; `None` at the end of the file or where no box can be.
    pub(super) fn read<R: Read + Seek>(
        file: &mut R,
        start: u64,
        file_length: u64,
    ) -> io::Result<Option<Self>> {
        let Some(available) = file_length.checked_sub(start).filter(|&n| n >= 8) else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(16);
        file.seek(SeekFrom::Start(start))?;
        file.take(16).read_to_end(&mut bytes)?;
        let header = Header::parse(&bytes, available);
        Ok(header.and_then(|header| {
            Some(Self {
                kind: header.kind,
                start,
                body: start + u64::try_from(header.before_body).ok()?,
                end: start.checked_add(header.length)?,
            })
        }))
    }

    /// Its body, if it is whole and no longer than `most` bytes.
    pub(super) fn body<R: Read + Seek>(
        &self,
        file: &mut R,
        file_length: u64,
        most: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let length = self.end.saturating_sub(self.body);
        if self.end > file_length || length > most {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(self.body))?;
        let mut body = Vec::new();
        file.take(length).read_to_end(&mut body)?;
        Ok((u64::try_from(body.len()).ok() == Some(length)).then_some(body))
    }
}
