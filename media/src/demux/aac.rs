//! What an AudioSpecificConfig says (ISO/IEC 14496-3 §1.6.2.1).

/// Sampling frequencies by their index (§1.6.3.4).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// AAC-LC that the decoders play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lc {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
}

/// Reads a configuration; the error says why it is not plain AAC-LC in mono or stereo.
pub(crate) fn lc(config: &[u8]) -> Result<Lc, String> {
    parse(config).unwrap_or_else(|| Err("has an AAC set-up that cannot be read".into()))
}

fn parse(config: &[u8]) -> Option<Result<Lc, String>> {
    let mut bits = Bits::new(config);
    let object_type = bits.object_type()?;
    let sample_rate = bits.rate()?;
    let channels = bits.take(4)?;
    match object_type {
        2 => {}
        5 | 29 => return Some(Err("is HE-AAC".into())),
        other => return Some(Err(format!("is AAC of object type {other}"))),
    }
    if bits.take(1)? == 1 {
        return Some(Err("is AAC with frames of 960 samples".into()));
    }
    if bits.take(1)? == 1 {
        bits.take(14)?; // coreCoderDelay
    }
    bits.take(1)?; // extensionFlag
    if matches!(channels, 1 | 2) && bits.says_sbr() {
        return Some(Err("is HE-AAC".into()));
    }
    Some(match channels {
        1 | 2 => Ok(Lc { sample_rate, channels: u16::try_from(channels).ok()? }),
        7 => Err("has 8 channels".into()),
        0 => Err("has channels of its own arrangement".into()),
        more => Err(format!("has {more} channels")),
    })
}

/// The first 16 bytes as one number: no configuration we play is longer.
struct Bits {
    left: u128,
    count: u32,
}

impl Bits {
    fn new(config: &[u8]) -> Self {
        let mut first = [0; 16];
        let length = config.len().min(16);
        first[..length].copy_from_slice(&config[..length]);
        Self { left: u128::from_be_bytes(first), count: u32::try_from(length * 8).unwrap_or(0) }
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        self.count = self.count.checked_sub(count)?;
        let value = u32::try_from(self.left >> (128 - count)).ok()?;
        self.left <<= count;
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            known => Some(known),
        }
    }

    fn rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24),
            index => RATES.get(usize::try_from(index).ok()?).copied(),
        }
    }

    /// Backward-compatible signalling of SBR: a sync word after the plain configuration.
    fn says_sbr(&mut self) -> bool {
        self.take(11) == Some(0x2b7) && self.object_type() == Some(5) && self.take(1) == Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lc_passes_and_the_rest_says_why_not() {
        assert_eq!(lc(&[0x11, 0x90]), Ok(Lc { sample_rate: 48_000, channels: 2 }));
        assert_eq!(lc(&[0x12, 0x08]), Ok(Lc { sample_rate: 44_100, channels: 1 }));
        // As ffmpeg writes it: the sync word says that there is no SBR.
        assert_eq!(
            lc(&[0x11, 0x90, 0x56, 0xe5, 0x00]),
            Ok(Lc { sample_rate: 48_000, channels: 2 })
        );
        assert_eq!(lc(&[0x13, 0x10, 0x56, 0xe5, 0x98]), Err("is HE-AAC".into()));
        assert_eq!(lc(&[0x2b, 0x11, 0x88, 0x00]), Err("is HE-AAC".into()));
        assert_eq!(lc(&[0x11, 0xb0]), Err("has 6 channels".into()));
        for cut in [&[][..], &[0x11]] {
            assert!(lc(cut).is_err());
        }
    }
}
