//! Whatever ffmpeg opens, by its URL: a network camera, a web stream, a screen.
//!
//! ffmpeg is read on a thread of its own, so that one that hangs is noticed. A live input that is
//! lost is held and dialled again; one that has an end is served like a movie.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use media::demux::{Movie, Stopper};
use proto::conn::now;
use proto::retry::Backoff;
use proto::time::Stamp;
use proto::{Packet, Track};

use super::Feed;
use super::stage::{Run, Stage};
use crate::Error;
use crate::pace::{Pacer, Slack, Splice};
use crate::say::say;

/// Packets read ahead of their time: a piece of a web stream, some six seconds.
const AHEAD: usize = 512;
/// An input that gives nothing for this long is said to be away.
const SILENCE: Duration = Duration::from_secs(2);
/// After this it is given up, and dialled anew.
const GIVEN_UP: Duration = Duration::from_secs(15);
/// How often is looked for silence, and for the end.
const LOOK_UP: Duration = Duration::from_millis(200);
/// First and longest pause before dialling again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An input that could be opened. It is closed again until a viewer wants it: what is not read goes
/// stale.
pub struct Input {
    url: String,
    title: String,
    tracks: Vec<Track>,
    way: String,
    has_end: bool,
}

/// What the reading thread says.
enum Read {
    /// And when it arrived.
    Packet(Packet, Stamp),
    /// The input is over, or was lost for this reason.
    Over(Option<String>),
}

impl Input {
    /// Dials `url` to see what it is.
    ///
    /// # Errors
    /// What ffmpeg says of it.
    pub fn open(url: &str) -> Result<Self, Error> {
        let movie = Movie::open_input(url)?;
        Ok(Self {
            url: url.to_owned(),
            title: movie.title().to_owned(),
            tracks: movie.tracks().to_vec(),
            way: movie.way().to_string(),
            has_end: movie.duration_us().is_some(),
        })
    }

    /// Serves the input until nobody watches or it is over.
    fn play(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let mut movie = Movie::open_input(&self.url)?;
        let mut run = stage.start(movie.tracks().to_vec(), movie.duration_us())?;
        let slack = (!self.has_end).then(Slack::default);
        let mut timeline = Timeline { pacer: Pacer::new(now()), splice: Splice::default(), slack };
        loop {
            self.tracks = movie.tracks().to_vec();
            let Some(lost) = feed(&mut run, stage, movie, &mut timeline)? else { return Ok(()) };
            if self.has_end {
                return Ok(());
            }
            hold(&mut run, stage, &lost);
            let Some(again) = self.dial_again(stage) else { return Ok(()) };
            if again.tracks() != self.tracks {
                run.describe(again.tracks().to_vec())?;
            }
            timeline.splice.next_pass(None);
            timeline.pacer = Pacer::new(now().plus_us(-timeline.splice.offset_us()));
            movie = again;
        }
    }

    /// Dials until it succeeds; `None` if nobody wants it any more.
    fn dial_again(&self, stage: &mut Stage) -> Option<Movie> {
        let mut pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while !stage.is_over() && stage.stop().sleep(pause.step()) {
            match Movie::open_input(&self.url) {
                Ok(movie) => return Some(movie),
                Err(error) => tracing::debug!("{}: {error}", stage.name()),
            }
        }
        None
    }
}

struct Timeline {
    pacer: Pacer,
    splice: Splice,
    /// `None` for an input that has an end: it is in no hurry.
    slack: Option<Slack>,
}

impl Timeline {
    /// Makes up for what piled up before the input was served.
    fn keep_up(&mut self, packet: &Packet, arrived: Stamp) {
        let due = self.pacer.captured_at(packet.header.dts_us);
        if let Some(us) = self.slack.as_mut().and_then(|slack| slack.watch(arrived, due)) {
            self.pacer.advance(us);
        }
    }
}

/// Ends the reading thread, which may be waiting for ffmpeg.
struct Reading {
    packets: Receiver<Read>,
    stopper: Stopper,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

/// Sends what `movie` gives. `None` if nobody wants it any more, else why it is over.
fn feed(
    run: &mut Run,
    stage: &mut Stage,
    movie: Movie,
    timeline: &mut Timeline,
) -> Result<Option<String>, Error> {
    let reading = read(movie)?;
    let mut heard = Instant::now();
    while !stage.is_over() {
        match reading.packets.recv_timeout(LOOK_UP) {
            Ok(Read::Packet(mut packet, arrived)) => {
                heard = Instant::now();
                if run.is_held() {
                    say!("{}: the input is back", stage.name());
                    run.resume();
                }
                timeline.splice.place(&mut packet.header);
                timeline.keep_up(&packet, arrived);
                if !super::movie::send(run, stage, &mut timeline.pacer, packet) {
                    return Ok(None);
                }
            }
            Ok(Read::Over(reason)) => {
                return Ok(Some(reason.unwrap_or_else(|| "the input ended".to_owned())));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Some("the input ended".to_owned())),
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > GIVEN_UP => {
                return Ok(Some("the input sends nothing".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > SILENCE => {
                hold(run, stage, "the input sends nothing");
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    Ok(None)
}

/// Says once that the input is away.
fn hold(run: &mut Run, stage: &Stage, reason: &str) {
    if !run.is_held() {
        say!("{}: {reason}; viewers are held until it is back", stage.name());
        run.hold(reason);
    }
}

/// Reads `movie` on a thread, which ends when the [`Reading`] is dropped.
fn read(movie: Movie) -> Result<Reading, Error> {
    let (sender, packets) = sync_channel(AHEAD);
    let stopper = movie.stopper();
    std::thread::Builder::new().name("input".to_owned()).spawn(move || pump(movie, &sender))?;
    Ok(Reading { packets, stopper })
}

fn pump(mut movie: Movie, sender: &SyncSender<Read>) {
    loop {
        let read = match movie.next_packet() {
            Ok(Some(packet)) => Read::Packet(packet, now()),
            Ok(None) => Read::Over(movie.note().map(str::to_owned)),
            Err(error) => Read::Over(Some(error.to_string())),
        };
        let over = matches!(read, Read::Over(_));
        if sender.send(read).is_err() || over {
            return;
        }
    }
}

impl Feed for Input {
    fn name(&self) -> String {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let host = rest.split(['/', '?', '#']).next().unwrap_or("");
        // What stands before an @ is a password.
        library::stream_name(host.rsplit('@').next().unwrap_or(""), "input")
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn is_live(&self) -> bool {
        !self.has_end
    }

    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn way(&self) -> String {
        self.way.clone()
    }

    fn run(mut self: Box<Self>, mut stage: Stage) -> Result<(), Error> {
        while stage.wait_for_viewer() {
            if let Err(error) = self.play(&mut stage) {
                say!("{}: {error}", stage.name());
                // Viewers wait for the stream meanwhile; trying at once would hammer the input.
                if !stage.stop().sleep(FIRST_PAUSE) {
                    break;
                }
            }
        }
        Ok(())
    }
}
