//! What every source does alike: waits for viewers, writes runs, holds a stream, stops.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use proto::conn::now;
use proto::time::Stamp;
use proto::{Packet, Track};
use relay::{Source, Writer};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::Error;

/// A run that nobody watches any more goes on this long: a viewer that reconnects finds it where
/// it left it.
const LINGER: Duration = Duration::from_secs(5);
/// A sleeping source looks up this often for whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// Tells the sources' threads to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops when `flag` turns true.
    #[must_use]
    pub fn new(flag: watch::Receiver<bool>) -> Self {
        Self(flag)
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Sleeps; `false` if it is time to end.
    #[must_use]
    pub fn sleep(&self, length: Duration) -> bool {
        self.sleep_until(now() + length)
    }

    /// Sleeps until `moment` of [`now`]; `false` if it is time to end.
    #[must_use]
    pub fn sleep_until(&self, moment: Stamp) -> bool {
        while !self.is_set() {
            let Ok(left @ 1..) = u64::try_from(moment.us_since(now())) else { return true };
            std::thread::sleep(Duration::from_micros(left).min(NAP));
        }
        false
    }
}

/// A source's side of its stream.
#[derive(Debug)]
pub struct Stage {
    source: Source,
    stop: Stop,
    runtime: Handle,
    viewers: watch::Receiver<usize>,
    alone_since: Option<Instant>,
}

impl Stage {
    /// The stage of `source`; `runtime` serves it.
    #[must_use]
    pub fn new(source: Source, stop: Stop, runtime: Handle) -> Self {
        let viewers = source.viewers();
        Self { source, stop, runtime, viewers, alone_since: None }
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Tells the source to end.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Waits for a viewer; `false` if it is time to end.
    #[must_use]
    pub fn wait_for_viewer(&mut self) -> bool {
        self.alone_since = None;
        let (viewers, stop) = (&mut self.viewers, &mut self.stop.0);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => false,
                wanted = viewers.wait_for(|viewers| *viewers > 0) => wanted.is_ok(),
            }
        })
    }

    /// Whether nobody has watched for a while, or it is time to end.
    #[must_use]
    pub fn is_over(&mut self) -> bool {
        if *self.viewers.borrow() > 0 {
            self.alone_since = None;
        } else if self.alone_since.get_or_insert_with(Instant::now).elapsed() > LINGER {
            return true;
        }
        self.stop.is_set()
    }

    /// Begins a run.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn start(&self, tracks: Vec<Track>, duration_us: Option<u64>) -> Result<Run, Error> {
        let _runtime = self.runtime.enter();
        let name = self.name().to_owned();
        match self.source.start(tracks, duration_us) {
            Ok(writer) => Ok(Run { name, writer: Arc::new(Mutex::new(writer)), held: false }),
            Err(source) => Err(Error::Append { name, source }),
        }
    }
}

/// A run being written. Dropping it (and its [`Pen`]s) ends the run.
#[derive(Debug)]
pub struct Run {
    name: String,
    writer: Arc<Mutex<Writer>>,
    held: bool,
}

impl Run {
    /// Appends a packet.
    pub fn append(&self, packet: Packet) {
        write(&self.writer, &self.name, packet);
    }

    /// Whether a viewer needs a key frame soon; asking clears it.
    #[must_use]
    pub fn take_key_frame_request(&self) -> bool {
        lock(&self.writer).take_key_frame_request()
    }

    /// The source is away: viewers are told once.
    pub fn hold(&mut self, reason: &str) {
        if !self.held {
            self.held = true;
            lock(&self.writer).hold(reason);
        }
    }

    /// Whether viewers were told that the source is away.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The source is back, if it was away.
    pub fn resume(&mut self) {
        if self.held {
            self.held = false;
            lock(&self.writer).resume();
        }
    }

    /// What follows is coded otherwise.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn describe(&self, tracks: Vec<Track>) -> Result<(), Error> {
        lock(&self.writer)
            .describe(tracks)
            .map_err(|source| Error::Append { name: self.name.clone(), source })
    }

    /// For another thread that writes to this run.
    #[must_use]
    pub fn pen(&self) -> Pen {
        Pen { name: self.name.clone(), writer: self.writer.clone() }
    }
}

/// Appends to a [`Run`] from another thread.
#[derive(Clone, Debug)]
pub struct Pen {
    name: String,
    writer: Arc<Mutex<Writer>>,
}

impl Pen {
    /// Appends a packet.
    pub fn append(&self, packet: Packet) {
        write(&self.writer, &self.name, packet);
    }
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(|e| e.into_inner())
}

/// A packet that finds no room is left out: the viewers see a gap, the stream goes on.
fn write(writer: &Mutex<Writer>, name: &str, packet: Packet) {
    if let Err(error) = lock(writer).append(packet) {
        tracing::warn!("{name}: a packet was left out: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_ends_when_told_to() {
        let (flag, stopped) = watch::channel(false);
        let stop = Stop::new(stopped);
        let before = now();
        assert!(stop.sleep(Duration::from_millis(3)));
        assert!(now().us_since(before) >= 3_000);
        let sleeper = {
            let stop = stop.clone();
            std::thread::spawn(move || stop.sleep(Duration::from_secs(3600)))
        };
        flag.send_replace(true);
        assert!(!sleeper.join().expect("ends"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_run_waits_for_a_viewer_or_the_end() {
        let node = relay::Node::new(relay::Config::default());
        let source = node.add_stream("test", "", true).expect("is new");
        let (flag, stopped) = watch::channel(false);
        let mut stage = Stage::new(source, Stop::new(stopped), Handle::current());
        assert!(!stage.is_over(), "nobody has been away for long");
        let waiting = tokio::task::spawn_blocking(move || stage.wait_for_viewer());
        flag.send_replace(true);
        assert!(!waiting.await.expect("ends"));
    }
}
