//! Decoded sound.

/// A stretch of decoded sound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sound {
    /// When its first sample sounds, microseconds on the stream's timeline.
    pub pts_us: i64,
    /// Hz, as the decoder gave it.
    pub sample_rate: u32,
    /// As the decoder gave it.
    pub channels: u16,
    /// Interleaved, nominally -1.0..=1.0.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Samples of each channel.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }

    /// How long it sounds, microseconds.
    #[must_use]
    pub fn duration_us(&self) -> i64 {
        let frames = i64::try_from(self.frames()).unwrap_or(i64::MAX);
        frames.saturating_mul(1_000_000) / i64::from(self.sample_rate.max(1))
    }

    /// Without what sounds before 0; `None` if nothing is left.
    pub(crate) fn without_run_up(mut self) -> Option<Self> {
        if self.pts_us < 0 {
            let rate = i64::from(self.sample_rate.max(1));
            // Rounded up: half a sample early is still early.
            let early = (-self.pts_us).saturating_mul(rate).saturating_add(999_999) / 1_000_000;
            let early = usize::try_from(early).unwrap_or(usize::MAX).min(self.frames());
            self.samples.drain(..early * usize::from(self.channels));
            self.pts_us += i64::try_from(early).unwrap_or(0) * 1_000_000 / rate;
        }
        (!self.samples.is_empty()).then_some(self)
    }
}
