//! Where feeding begins and goes on in a reel.

use super::reel::{Place, Reel};

/// The next packet to feed, and where pictures begin to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) next: (u64, usize),
    pub(super) pictures: (u64, usize),
}

/// Where it goes on after what will never come, microseconds; `None` where there is no such hole.
pub(super) fn beyond_gone(reel: &Reel, position_us: i64) -> Option<i64> {
    let at = reel.at(position_us);
    let mut there = reel.from(at).skip_while(|(number, _)| reel.place(*number) == Place::Gone);
    let there_us = match there.next() {
        Some((number, _)) if number == at => reel.start_us(),
        Some((_, segment)) => segment.start_us,
        None => reel.end_us(),
    };
    (there_us > position_us).then_some(there_us)
}

pub(super) fn video_track(reel: &Reel) -> Option<u16> {
    reel.description().video().map(|(index, _, _)| index)
}

/// Where feeding begins for a position; `None` while the segments it takes are not here.
pub(super) fn locate(reel: &Reel, position_us: i64) -> Option<Cursor> {
    let at = reel.at(position_us);
    let video = video_track(reel);
    let mut start = None;
    let mut pictures = None;
    for number in reel.key_before(at)..=at {
        match reel.place(number) {
            Place::Held(packets) => {
                start.get_or_insert((number, 0));
                let key = packets.iter().rposition(|packet| {
                    let header = &packet.header;
                    Some(header.track) == video && header.key && header.pts_us <= position_us
                });
                pictures = key.map(|index| (number, index)).or(pictures);
            }
            Place::Gone => (start, pictures) = (None, None),
            Place::Awaited | Place::Beyond => return None,
        }
    }
    let next = start.unwrap_or((at + 1, 0));
    Some(Cursor { next, pictures: pictures.unwrap_or(next) })
}
