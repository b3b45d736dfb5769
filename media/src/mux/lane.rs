//! One track's packets on their way into a fragment.

use bytes::Bytes;
use proto::stream::Media;
use proto::{Packet, Track};

use super::Muxed;
use super::boxes::{put_full, put_u32, put_u64};

/// Length of a packet that nothing is known of, microseconds: a picture's at 25 a second.
const GUESS_US: i64 = 40_000;

#[derive(Debug)]
pub(super) struct Lane {
    /// Of its packets.
    pub(super) index: u16,
    pub(super) timescale: u32,
    lead_us: i64,
    /// Decoding times only grow, whatever came over the network.
    next_dts: u64,
    /// Between the last two packets, ticks.
    distance: u32,
    /// Its length is known only when its successor comes.
    last: Option<Sample>,
    /// Those of the fragment, whose lengths are known.
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    /// Ticks.
    dts: u64,
    /// Presentation after decoding, ticks.
    offset: i32,
    /// Ticks.
    duration: u32,
    key: bool,
    pub(super) payload: Bytes,
}

/// Ticks a second of a track.
#[must_use]
pub fn timescale(track: &Track) -> u32 {
    match &track.media {
        // Microseconds keep the packets' times as they are.
        Media::Video(_) => 1_000_000,
        Media::Audio(audio) => audio.sample_rate.max(1),
    }
}

impl Lane {
    pub(super) fn new(muxed: &Muxed) -> Self {
        Self {
            index: muxed.index,
            timescale: timescale(&muxed.track),
            lead_us: muxed.lead_us,
            next_dts: 0,
            distance: 0,
            last: None,
            samples: Vec::new(),
        }
    }

    /// Rounded from the start, so that errors do not add up.
    pub(super) fn ticks(&self, us: i64) -> i64 {
        let us = i128::from(us.saturating_add(self.lead_us));
        let ticks = (us * i128::from(self.timescale) + 500_000).div_euclid(1_000_000);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    pub(super) fn push(&mut self, packet: &Packet, pts_us: i64, dts_us: i64) {
        let dts = self.ticks(dts_us).max(0).unsigned_abs().max(self.next_dts);
        if let Some(mut last) = self.last.take() {
            last.duration = u32::try_from(dts - last.dts).unwrap_or(u32::MAX);
            self.distance = last.duration;
            self.samples.push(last);
        }
        self.next_dts = dts.saturating_add(1);
        let offset = self.ticks(pts_us).saturating_sub(i64::try_from(dts).unwrap_or(i64::MAX));
        let length_us = i64::from(packet.header.duration_us);
        let duration = self.ticks(length_us) - self.ticks(0);
        self.last = Some(Sample {
            dts,
            offset: i32::try_from(offset).unwrap_or(0),
            duration: u32::try_from(duration).unwrap_or(0),
            key: packet.header.key,
            payload: packet.payload.clone(),
        });
    }

    pub(super) fn settle(&mut self) {
        let Some(mut last) = self.last.take() else { return };
        if last.duration == 0 {
            let guess = u32::try_from(self.ticks(GUESS_US) - self.ticks(0)).unwrap_or(1);
            last.duration = if self.distance > 0 { self.distance } else { guess };
        }
        self.samples.push(last);
    }

    /// Of all payloads.
    pub(super) fn bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.payload.len()).sum()
    }

    /// Appends the content of a `traf` (§8.8.6 ff.); gives where its data offset is to be filled in.
    pub(super) fn describe(&self, id: u32, out: &mut Vec<u8>) -> usize {
        // Data offsets count from the start of the moof.
        put_full(out, b"tfhd", 0, 0x02_0000, |out| put_u32(out, id));
        put_full(out, b"tfdt", 1, 0, |out| {
            put_u64(out, self.samples.first().map_or(0, |sample| sample.dts));
        });
        let mut offset_at = 0;
        // Data offset; and of each sample its length, size, flags and composition offset.
        put_full(out, b"trun", 1, 0xf01, |out| {
            put_u32(out, u32::try_from(self.samples.len()).unwrap_or(0));
            offset_at = out.len();
            put_u32(out, 0);
            for sample in &self.samples {
                put_u32(out, sample.duration);
                put_u32(out, u32::try_from(sample.payload.len()).unwrap_or(0));
                // §8.8.3.1: depends on no other sample, or does and is no sync sample
                put_u32(out, if sample.key { 0x0200_0000 } else { 0x0101_0000 });
                out.extend(sample.offset.to_be_bytes());
            }
        });
        offset_at
    }
}
