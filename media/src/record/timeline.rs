//! Where a recording starts.

use proto::packet::PacketHeader;
use proto::{Track, stream::Media};

use crate::mux::run_up_us;

/// When a packet is presented and decoded, microseconds from the start of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) pts_us: i64,
    pub(super) dts_us: i64,
}

/// Sets time 0 and leaves out what comes before it.
pub(super) struct Timeline {
    /// The picture track whose first key frame starts the recording; without one any packet does.
    starts_with: Option<u16>,
    /// Of each track.
    run_up_us: Vec<i64>,
    origin_us: Option<i64>,
}

impl Timeline {
    pub(super) fn new(tracks: &[Track]) -> Self {
        let is_video = |track: &Track| matches!(track.media, Media::Video(_));
        Self {
            starts_with: tracks.iter().position(is_video).and_then(|i| u16::try_from(i).ok()),
            run_up_us: tracks.iter().map(run_up_us).collect(),
            origin_us: None,
        }
    }

    /// `None` for what comes before the start, and for tracks that were never described.
    pub(super) fn place(&mut self, header: &PacketHeader) -> Option<Times> {
        let run_up_us = *self.run_up_us.get(usize::from(header.track))?;
        let may_start = self.starts_with.is_none_or(|track| track == header.track && header.key);
        let origin_us = match self.origin_us {
            Some(origin_us) => origin_us,
            None if may_start => *self.origin_us.insert(header.pts_us),
            None => return None,
        };
        let times = Times {
            pts_us: header.pts_us.checked_sub(origin_us)?,
            dts_us: header.dts_us.checked_sub(origin_us)?,
        };
        (times.pts_us.checked_add(run_up_us)? >= 0).then_some(times)
    }

    /// Time 0 is the packets' own, whatever comes first.
    pub(super) fn start_at_zero(&mut self) {
        self.origin_us = Some(0);
    }

    pub(super) fn has_started(&self) -> bool {
        self.origin_us.is_some()
    }
}
