//! EBML (RFC 8794): how Matroska writes numbers and elements.

/// The longest form of an element's size, so that it can be filled in later.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// A size known only afterwards, in the form of [`UNKNOWN_SIZE`] (§4.3).
pub(super) fn long_size(size: u64) -> [u8; 8] {
    let mut bytes = size.to_be_bytes();
    bytes[0] = 0x01;
    bytes
}

/// A variable-length number in its shortest form (§4).
pub(super) fn vint(value: u64) -> Vec<u8> {
    // All ones is reserved, so each length holds one number less.
    let length = (1..8).find(|&n| value < (1 << (7 * n)) - 1).unwrap_or(8);
    let marked = value | 1 << (7 * length);
    marked.to_be_bytes()[8 - length..].to_vec()
}

/// Elements in a buffer. Identifiers are written as the standards print them, marker included.
#[derive(Default)]
pub(super) struct Elements {
    bytes: Vec<u8>,
}

impl Elements {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn id(&mut self, id: u32) {
        let skip = id.leading_zeros() as usize / 8;
        self.bytes.extend(&id.to_be_bytes()[skip..]);
    }

    pub(super) fn binary(&mut self, id: u32, content: &[u8]) {
        self.id(id);
        self.bytes.extend(vint(content.len() as u64));
        self.bytes.extend(content);
    }

    pub(super) fn unsigned(&mut self, id: u32, value: u64) {
        let skip = (value.leading_zeros() as usize / 8).min(7);
        self.binary(id, &value.to_be_bytes()[skip..]);
    }

    pub(super) fn float(&mut self, id: u32, value: f64) {
        self.binary(id, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, id: u32, value: &str) {
        self.binary(id, value.as_bytes());
    }

    pub(super) fn master(&mut self, id: u32, fill: impl FnOnce(&mut Self)) {
        let mut children = Self::default();
        fill(&mut children);
        self.binary(id, &children.bytes);
    }

    /// Room for elements that come later; `size` is that of the whole, 2 to 127 bytes.
    pub(super) fn void(&mut self, size: usize) {
        self.binary(0xec, &vec![0; size - 2]);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_shortest_form_that_is_not_reserved() {
        // RFC 8794 §4.4, table 2 and the reserved values.
        assert_eq!(vint(0), [0x80]);
        assert_eq!(vint(2), [0x82]);
        assert_eq!(vint(126), [0xfe]);
        assert_eq!(vint(127), [0x40, 0x7f]);
        assert_eq!(vint(16_382), [0x7f, 0xfe]);
        assert_eq!(vint(16_383), [0x20, 0x3f, 0xff]);
        assert_eq!(long_size(5), [1, 0, 0, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn an_element_is_its_identifier_its_size_and_its_content() {
        let mut elements = Elements::default();
        elements.master(0x1f43_b675, |cluster| cluster.unsigned(0xe7, 300));
        assert_eq!(elements.into_bytes(), [0x1f, 0x43, 0xb6, 0x75, 0x84, 0xe7, 0x82, 1, 44]);
    }
}
