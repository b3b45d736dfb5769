//! The thread that decodes sound and feeds the card.

use std::time::Duration;

use media::Sound;
use media::decode::{self, AudioDecoder};
use proto::Track;
use proto::conn::now;
use proto::time::Stamp;

use crate::jitter::{Item, Taken, Timed};
use crate::shared::Shared;
use crate::sound::{Fed, Stretcher};

/// How long to wait for packets before looking around.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait for room before the card: it takes its next bite every 50 ms.
const ROOM: Duration = Duration::from_millis(10);
/// Sound that is later than this when there is room for it at last is not worth offering,
/// microseconds.
const STALE_US: i64 = 200_000;

/// Decodes until the buffer is closed.
pub fn run(shared: &Shared) {
    let mut decoder = None;
    let mut stretcher = None;
    loop {
        match shared.audio.take(PATIENCE) {
            Taken::Closed => return,
            Taken::Nothing => {}
            Taken::Item(Item::Start(track)) => {
                decoder = start(shared, &track);
                stretcher = None;
            }
            Taken::Item(Item::Packet(timed)) => {
                if let Some(ready) = &mut decoder
                    && let Err(error) = packet(shared, ready, &mut stretcher, &timed)
                {
                    decoder = None;
                    give_up(shared, &error);
                }
            }
            Taken::Item(Item::End) => shared.board.update(|status| status.decoded.1 = true),
        }
    }
}

fn start(shared: &Shared, track: &Track) -> Option<AudioDecoder> {
    AudioDecoder::new(track).map_err(|error| give_up(shared, &error)).ok()
}

fn give_up(shared: &Shared, error: &decode::Error) {
    let reason = format!("the sound cannot be played: {error}");
    shared.board.update(|status| status.undecodable = Some(reason));
}

fn packet(
    shared: &Shared,
    decoder: &mut AudioDecoder,
    stretcher: &mut Option<Stretcher>,
    timed: &Timed,
) -> Result<(), decode::Error> {
    let Some(mut sound) = decoder.decode(&timed.packet)? else { return Ok(()) };
    let decoded = now();
    shared.stats.decoded_sound(decoded);
    let times = timed.times();
    if let Some(cue) = times.cue()
        && !shared.headless
    {
        sound = at_speed(stretcher, sound, cue.rate);
    }
    sound.pts_us = times.captured(sound.pts_us).0;
    if shared.headless {
        if !shared.stats.has_picture() {
            shared.stats.latency_us(decoded.us_since(Stamp(sound.pts_us)));
        }
    } else {
        if !timed.backlog {
            let on_the_way_us = decoded.us_since(Stamp(sound.pts_us));
            shared.schedule.sound_needs_us(on_the_way_us.saturating_add(shared.desk.path_us()));
        }
        feed(shared, &sound, times.number());
    }
    Ok(())
}

/// The sound of a recording that is played so fast. What cannot be stretched stays silent.
fn at_speed(stretcher: &mut Option<Stretcher>, sound: Sound, rate: f64) -> Sound {
    if rate == 1.0 {
        return sound;
    }
    if stretcher.as_ref().is_none_or(|stretcher| !stretcher.fits(&sound, rate)) {
        *stretcher = Stretcher::new(&sound, rate);
    }
    match stretcher {
        Some(stretcher) => stretcher.stretch(sound),
        None => Sound { samples: Vec::new(), ..sound },
    }
}

/// Hands sound to the card, waiting for room while there is one.
fn feed(shared: &Shared, sound: &Sound, cue: u64) {
    while shared.desk.feed(sound, cue) == Fed::Full {
        let due = shared.schedule.due(Stamp(sound.pts_us));
        if shared.desk.is_closed() || now().us_since(due) > STALE_US {
            return;
        }
        std::thread::sleep(ROOM);
    }
}
