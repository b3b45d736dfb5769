//! Percentiles of times in bounded memory.

/// Steps in every doubling: a percentile is right to 1/32.
const STEPS: usize = 32;
/// Doublings from 1 µs on: up to 12 days.
const DOUBLINGS: usize = 40;

/// Counts times in steps that grow with them. Negative times count as 0.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS * DOUBLINGS], total: 0 }
    }
}

impl Histogram {
    /// Counts one time, microseconds.
    pub fn add(&mut self, us: i64) {
        let count = &mut self.counts[step(us)];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The time that `percent` of all times do not exceed, microseconds.
    #[must_use]
    pub fn percentile(&self, percent: u32) -> Option<f64> {
        let rank = (self.total * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        });
        found.map(middle)
    }
}

/// Which step a time falls into: small times one by one, larger ones by their leading bits.
fn step(us: i64) -> usize {
    let us = u64::try_from(us).unwrap_or(0);
    let bits = (u64::BITS - us.leading_zeros()) as usize;
    let fine = STEPS.trailing_zeros() as usize + 1;
    if bits <= fine {
        return us as usize;
    }
    let shift = bits - fine;
    let index = shift * STEPS + (us >> shift) as usize;
    index.min(STEPS * DOUBLINGS - 1)
}

/// The middle of a step.
fn middle(step: usize) -> f64 {
    if step < 2 * STEPS {
        return step as f64;
    }
    let shift = step / STEPS - 1;
    let leading = step - shift * STEPS;
    (leading as f64 + 0.5) * (shift as f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_thirtysecond() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        for us in 1..=100_000 {
            histogram.add(us);
        }
        for percent in [1, 50, 90, 99, 100] {
            let exact = f64::from(percent) * 1000.0;
            let found = histogram.percentile(percent).expect("has samples");
            assert!((found - exact).abs() <= exact / 32.0, "p{percent}: {found}");
        }
        histogram.clear();
        assert_eq!(histogram.percentile(50), None);
    }

    #[test]
    fn every_time_has_a_step() {
        for us in [i64::MIN, -1, 0, 1, 63, 64, 65, 1 << 30, i64::MAX] {
            let step = step(us);
            assert!(step < STEPS * DOUBLINGS, "{us}");
            let clamped = us.clamp(0, 1 << 44) as f64;
            assert!((middle(step) - clamped).abs() <= clamped / 32.0 + 0.5 || us > 1 << 44, "{us}");
        }
    }
}
