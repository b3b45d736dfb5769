//! The thread that decodes pictures.

use std::sync::Arc;
use std::time::Duration;

use media::decode::{self, VideoDecoder};
use proto::Track;
use proto::conn::now;
use proto::stream::{Media, Video};
use proto::time::Stamp;

use crate::cue::Times;
use crate::jitter::{Item, Taken, Timed};
use crate::shared::{Board, Shared};
use crate::stage::Frame;

/// A packet that is later than this is worth skipping to the next key frame for, microseconds: at
/// 250 ms everybody sees that picture and sound are apart.
const LATE_US: i64 = 250_000;
/// How long to wait for packets before looking around.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is said then.
const DAMAGED: &str = "the pictures come damaged from their source, none can be shown";
/// So long without a single whole picture is worth a word, microseconds.
const DAMAGED_US: i64 = 2_000_000;

/// Decodes until the buffer is closed.
pub fn run(shared: &Shared) {
    let mut decoding = Decoding { shared, current: None };
    loop {
        match shared.video.take(PATIENCE) {
            Taken::Closed => return,
            Taken::Nothing => {}
            Taken::Item(Item::Start(track)) => decoding.start(&track),
            Taken::Item(Item::Packet(timed)) => decoding.packet(&timed),
            Taken::Item(Item::End) => {
                decoding.flush();
                decoding.show_held();
                shared.board.update(|status| status.decoded.0 = true);
            }
        }
    }
}

struct Decoding<'a> {
    shared: &'a Shared,
    current: Option<Current>,
}

struct Current {
    decoder: VideoDecoder,
    video: Arc<Video>,
    times: Times,
    /// What is decoded now is there to catch up with.
    backlog: bool,
    /// The last picture of a recording before the one it is played from: shown if it lasts so long.
    held: Option<Frame>,
    skipped: u64,
    /// Since when every picture has come damaged, and whether that was said.
    damaged: Option<(Stamp, bool)>,
}

impl Decoding<'_> {
    fn start(&mut self, track: &Track) {
        self.flush();
        self.current = None;
        let Media::Video(video) = &track.media else { return };
        match VideoDecoder::new(track) {
            Ok(decoder) => {
                let video = Arc::new(video.clone());
                self.current = Some(Current {
                    decoder,
                    video,
                    times: Times::Live { shift_us: 0 },
                    backlog: false,
                    held: None,
                    skipped: 0,
                    damaged: None,
                });
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn packet(&mut self, timed: &Timed) {
        let Some(current) = &mut self.current else { return };
        if self.shared.is_late(timed) {
            let due = now().plus_us(-self.shared.schedule.delay_us());
            let skipped = self.shared.video.skip_to_key(due);
            if skipped > 0 {
                // What is skipped to needs nothing of what is left out, this packet included.
                self.shared.stats.dropped(skipped as u64 + 1);
                return;
            }
        }
        current.times = timed.times();
        current.backlog = timed.backlog;
        let started = now();
        let result = current.decoder.decode(&timed.packet);
        self.shared.schedule.picture_took_us(now().us_since(started));
        let broken = current.decoder.skipped();
        let lost = broken - current.skipped;
        self.shared.stats.dropped(lost);
        current.skipped = broken;
        if lost > 0 {
            current.complain(&self.shared.board);
        }
        match result {
            Ok(pictures) => self.show(pictures),
            Err(error) => {
                self.current = None;
                self.give_up(&error);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(current) = &mut self.current {
            let pictures = current.decoder.flush();
            self.show(pictures);
        }
    }

    fn show(&mut self, pictures: Vec<media::Picture>) {
        let Some(current) = &mut self.current else { return };
        if !pictures.is_empty() && current.damaged.take().is_some_and(|(_, said)| said) {
            self.shared.board.update(|status| {
                // The sound may have its own complaint.
                status.undecodable.take_if(|reason| reason == DAMAGED);
            });
        }
        for picture in pictures {
            let decoded = now();
            let captured = current.times.captured(picture.pts_us);
            let cue = current.times.cue();
            if cue.is_none_or(|cue| picture.pts_us >= cue.position_us) {
                self.shared.stats.decoded_picture(decoded);
            }
            let before = cue.map(|cue| picture.pts_us <= cue.position_us);
            let frame = Frame {
                picture,
                video: current.video.clone(),
                captured,
                backlog: before.unwrap_or(current.backlog),
                cue: current.times.number(),
            };
            if self.shared.headless {
                if !frame.backlog {
                    self.shared.stats.latency_us(decoded.us_since(captured));
                }
            } else if before == Some(true) {
                current.held = Some(frame);
            } else {
                current.held.take().into_iter().for_each(|held| self.shared.stage.push(held));
                self.shared.stage.push(frame);
            }
        }
    }

    fn show_held(&mut self) {
        if let Some(held) = self.current.as_mut().and_then(|current| current.held.take()) {
            self.shared.stage.push(held);
        }
    }

    fn give_up(&self, error: &decode::Error) {
        let reason = format!("the picture cannot be shown: {error}");
        self.shared.board.update(|status| status.undecodable = Some(reason));
    }
}

impl Current {
    /// A picture was lost. One is nothing; when there is none for seconds, people want to know why.
    fn complain(&mut self, board: &Board) {
        let now = now();
        let (since, said) = self.damaged.get_or_insert((now, false));
        if !*said && now.us_since(*since) > DAMAGED_US {
            *said = true;
            board.update(|status| status.undecodable = Some(DAMAGED.to_owned()));
        }
    }
}

impl Shared {
    fn is_late(&self, timed: &Timed) -> bool {
        !self.headless && now().us_since(self.schedule.due(timed.captured)) > LATE_US
    }
}
