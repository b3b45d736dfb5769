//! Watching without eyes and ears: decodes everything and says a line of statistics a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::announce::Announcer;
use crate::output;
use crate::shared::{Shared, Status};
use crate::stats::Snapshot;
use crate::watch::End;

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(1);
/// After the end of the stream, what is left has this long to be decoded.
const TAIL: Duration = Duration::from_secs(10);

/// Says a line a second until the stream is over or nobody reads any more. One more line, over the
/// whole run, ends it.
pub fn run(shared: &Arc<Shared>, json: bool, announcer: &mut Announcer) -> End {
    let mut status = Status::default();
    let mut due = Instant::now() + INTERVAL;
    let mut over_since = None;
    loop {
        let patience = due.saturating_duration_since(Instant::now());
        if let Some(news) = shared.board.wait(status.version, patience) {
            announcer.tell(&news);
            status = news;
        }
        if let Some(Err(_)) = status.outcome {
            return End::Failed;
        }
        if status.outcome.is_some() {
            let since = *over_since.get_or_insert_with(Instant::now);
            let decoded = status.decoded == (true, true) || status.last.is_none();
            if decoded || since.elapsed() > TAIL {
                break;
            }
        }
        if status.quit {
            break;
        }
        if Instant::now() >= due {
            due += INTERVAL;
            if !say(&shared.look(), json) {
                return End::Done;
            }
        }
    }
    let _ = say(&shared.summary(), json);
    End::Done
}

fn say(snapshot: &Snapshot, json: bool) -> bool {
    if !json {
        return output::line(snapshot);
    }
    match serde_json::to_string(snapshot) {
        Ok(line) => output::line(line),
        Err(error) => {
            tracing::error!("statistics: {error}");
            false
        }
    }
}
