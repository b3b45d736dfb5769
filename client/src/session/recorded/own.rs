//! Segments of a movie of one's own, in place of a connection.

use std::sync::Arc;

use proto::limits;
use proto::recording::NoSegment;
use proto::stream::fitting_text;
use tokio::sync::mpsc::channel;

use super::link::{Link, Said};
use crate::local::Local;

/// Reads segments on a thread of their own as they are asked for.
pub(super) fn start(local: Arc<Local>) -> Link {
    let (ask, mut asked) = channel::<proto::recording::Fetch>(limits::FETCHES);
    let (say, said) = channel(1);
    let read = move || {
        let mut movie = local.segmented();
        while let Some(fetch) = asked.blocking_recv() {
            let number = fetch.segment;
            let packets = match &mut movie {
                Ok(movie) => movie
                    .packets(usize::try_from(number).unwrap_or(usize::MAX))
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let answer = match packets {
                Ok(packets) => {
                    let bytes = packets.iter().map(|packet| packet.payload.len()).sum();
                    Said::Segment(fetch.id, number, packets, bytes)
                }
                Err(reason) => {
                    let (later, reason) = (false, fitting_text(&reason));
                    Said::Missing(fetch.id, NoSegment { number, later, reason })
                }
            };
            if say.blocking_send(answer).is_err() {
                return;
            }
        }
    };
    Link::of(ask, said, tokio::task::spawn_blocking(read))
}
