//! One track of a [`Reader`](super::Reader): its packets on their way, in order of decoding.

use std::collections::VecDeque;

use proto::stream::{AudioCodec, Media, VideoCodec};
use proto::{Packet, PacketHeader, Track};
use symphonia::core::units::TimeBase;

use super::mark::Pulled;
use super::reorder::{self, Reorder};
use crate::demux::rules;
use crate::h264;

/// Pictures looked at before the first is given, to see in which order they come.
const HEAD_PICTURES: usize = 20;

/// One of the tracks that are played.
pub(super) struct Pick {
    /// symphonia's number of it.
    pub(super) id: u32,
    time_base: TimeBase,
    /// Bytes of a NAL unit's length, for H.264.
    length_size: Option<usize>,
    /// How many pictures are held back; `None` if that is seen from the first ones only.
    depth: Option<usize>,
    /// For H.264, once the first pictures are seen.
    pub(super) reorder: Option<Reorder>,
    /// Encoder delay in front of what is heard, where times do not account for it: not in Matroska.
    delay: Option<i64>,
    /// What is added to times for it, microseconds; known with the first packet.
    shift_us: i64,
    /// A key frame has come: what precedes the first cannot be decoded.
    begun: bool,
    /// What a packet lasts where the container does not say, microseconds.
    usual_us: i64,
    pub(super) queue: VecDeque<Queued>,
}

/// A packet that waits for its turn.
pub(super) struct Queued {
    pub(super) packet: Packet,
    /// The state from which its decoding time was derived.
    pub(super) before: Option<Reorder>,
}

impl Pick {
    pub(super) fn new(
        from: &symphonia::core::formats::Track,
        track: &Track,
        is_matroska: bool,
    ) -> Self {
        let h264 = match &track.media {
            Media::Video(v) if v.codec == VideoCodec::H264 => rules::h264(&track.codec_config).ok(),
            _ => None,
        };
        let depth = match &h264 {
            Some(h264) => h264.sps.reorder_frames.and_then(|frames| usize::try_from(frames).ok()),
            None => Some(0),
        };
        Self {
            id: from.id,
            time_base: from.time_base.unwrap_or_default(),
            length_size: h264.map(|h264| h264.length_size),
            depth,
            reorder: None,
            delay: (!is_matroska).then(|| from.delay.unwrap_or(0).into()),
            shift_us: 0,
            begun: false,
            usual_us: usual_us(&track.media),
            queue: VecDeque::new(),
        }
    }

    /// As before the first packet.
    pub(super) fn rewind(&mut self) {
        self.queue.clear();
        self.reorder = None;
        self.begun = false;
    }

    /// Whether enough is queued to tell decoding times.
    pub(super) fn has_begun(&self) -> bool {
        let pictures = match self.length_size {
            Some(_) => self.depth.map_or(HEAD_PICTURES, |depth| depth + 2),
            None => 1,
        };
        self.queue.len() >= pictures
    }

    /// Its time as it is queued: before the reader's base is subtracted.
    pub(super) fn pts_us(&self, pts: i64) -> i64 {
        to_us(pts, self.time_base).saturating_add(self.shift_us)
    }

    /// What was added to symphonia's times, microseconds.
    pub(super) fn shift_us(&self) -> i64 {
        self.shift_us
    }

    /// As in the middle of the file, with nothing queued.
    pub(super) fn take_up(&mut self, reorder: Option<Reorder>) {
        self.queue.clear();
        self.reorder = reorder;
        self.begun = true;
    }

    /// Queues a packet with its times as symphonia gives them.
    pub(super) fn take_in(&mut self, pulled: &Pulled) {
        let Pulled { pick, pts, lasts, ref payload } = *pulled;
        let key = self.length_size.is_none_or(|size| h264::is_idr(payload, size));
        if !self.begun && !key {
            return;
        }
        let pts_us = to_us(pts, self.time_base);
        if let Some(delay) = self.delay.filter(|_| !self.begun) {
            self.shift_us = -pts_us - to_us(delay, self.time_base);
        }
        self.begun = true;
        let pts_us = pts_us.saturating_add(self.shift_us);
        let lasts_us = match to_us(lasts, self.time_base) {
            0 => self.usual_us,
            lasts_us => lasts_us,
        };
        let before = self.reorder.clone();
        let header = PacketHeader {
            track: u16::try_from(pick).unwrap_or(u16::MAX),
            key,
            pts_us,
            dts_us: self.reorder.as_mut().map_or(pts_us, |reorder| reorder.dts(pts_us)),
            duration_us: u32::try_from(lasts_us).unwrap_or(0),
            ..PacketHeader::default()
        };
        self.queue
            .push_back(Queued { packet: Packet { header, payload: payload.clone() }, before });
    }

    /// Once the first pictures are queued: their decoding times, and those of all that follow.
    pub(super) fn settle_order(&mut self) {
        if self.length_size.is_none() || self.queue.is_empty() {
            return;
        }
        let head = self.presentation_times();
        let depth = self.depth.unwrap_or_else(|| reorder::depth(&head));
        let mut reorder = Reorder::new(depth, &head);
        for Queued { packet, before } in &mut self.queue {
            *before = Some(reorder.clone());
            packet.header.dts_us = reorder.dts(packet.header.pts_us);
        }
        self.reorder = Some(reorder);
    }

    /// Of what is queued, in order of decoding.
    pub(super) fn presentation_times(&self) -> Vec<i64> {
        self.queue.iter().map(|queued| queued.packet.header.pts_us).collect()
    }

    /// From the first to the last packet queued, microseconds.
    pub(super) fn lag_us(&self) -> i64 {
        let dts = |queued: Option<&Queued>| queued.map_or(0, |q| q.packet.header.dts_us);
        dts(self.queue.back()).saturating_sub(dts(self.queue.front()))
    }
}

fn usual_us(media: &Media) -> i64 {
    match media {
        Media::Video(video) => video.fps().map_or(0, |fps| (1e6 / fps) as i64),
        // A frame is 1024 samples; of other codecs the containers say it.
        Media::Audio(audio) if audio.codec == AudioCodec::Aac => {
            1_024_000_000 / i64::from(audio.sample_rate.max(1))
        }
        Media::Audio(_) => 0,
    }
}

/// Ticks as microseconds, rounded to the nearest. Saturates far from anything real.
pub(super) fn to_us(ticks: i64, base: TimeBase) -> i64 {
    let (numer, denom) = (i128::from(base.numer.get()), i128::from(base.denom.get()));
    let us = (i128::from(ticks) * numer * 1_000_000 + denom / 2).div_euclid(denom);
    let far = i64::MAX / 8;
    i64::try_from(us).unwrap_or(i64::MAX).clamp(-far, far)
}
