//! Boxes of the ISO base media file format (ISO/IEC 14496-12 §4.2).

/// Appends a box: its size, its type and what `fill` writes.
pub(super) fn put_box(out: &mut Vec<u8>, kind: &[u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    fill(out);
    let size = u32::try_from(out.len() - start).unwrap_or(0);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a full box: a box with version and flags.
pub(super) fn put_full(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        out.push(version);
        out.extend(&flags.to_be_bytes()[1..]);
        fill(out);
    });
}

/// Appends an MPEG-4 descriptor (ISO/IEC 14496-1 §8.3.3).
pub(super) fn put_descriptor(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    let size = content.len();
    out.push(tag);
    for shift in [21, 14, 7] {
        out.push(0x80 | u8::try_from(size >> shift & 0x7f).unwrap_or(0));
    }
    out.push(u8::try_from(size & 0x7f).unwrap_or(0));
    out.extend(content);
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}
