//! A few tasks a log that serve all its cursors.
//!
//! Each task (a shard, one for two processors) is woken once for what was appended and then serves its
//! viewers in a row. A viewer that keeps up costs one system call a bunch and no wake-up of its own.
//! Only one whose socket is full gets a future that waits for it, until it has caught up again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use proto::conn::now;
use proto::time::Stamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::cursor::{Outcome, Viewer};
use crate::log::Log;
use crate::outlet::Outlet;

/// Viewers served in a row before other tasks get their turn: a millisecond at most.
const TURN: usize = 128;
/// Viewers on their way to a shard.
const QUEUE: usize = 64;

/// Serves the viewers of one log. Dropping it lets the tasks end when their viewers have.
pub(crate) struct Fanout {
    shards: Vec<(mpsc::Sender<Seat>, Arc<Notify>)>,
    next: AtomicUsize,
}

/// A viewer, and whom to tell when it is done.
struct Seat {
    viewer: Viewer,
    done: oneshot::Sender<(Box<dyn Outlet>, Outcome)>,
}

impl Fanout {
    /// Starts the shards of a log.
    pub(crate) fn start(log: &Arc<Log>, stall: Duration) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of them: the other half has the receiving end of the network and the sources to do.
        // One shard alone sends some 70 Gbit/s.
        let shards = (0..processors.div_ceil(2).min(8)).map(|_| {
            let (sender, arrivals) = mpsc::channel(QUEUE);
            let poke = Arc::new(Notify::new());
            tokio::spawn(Shard::new(log.clone(), stall).run(arrivals, poke.clone()));
            (sender, poke)
        });
        Self { shards: shards.collect(), next: AtomicUsize::new(0) }
    }

    /// Serves `viewer` until it is done; gives its outlet back, or `None` if the service is over.
    pub(crate) async fn serve(&self, viewer: Viewer) -> Option<Done> {
        let (done, outcome) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        let (shard, poke) = &self.shards[turn];
        // A viewer is served once; where it is not, there is nobody to poke.
        let _ = viewer.control.shard.set(poke.clone());
        shard.send(Seat { viewer, done }).await.ok()?;
        Some(outcome)
    }
}

/// Comes when a viewer is done.
pub(crate) type Done = oneshot::Receiver<(Box<dyn Outlet>, Outcome)>;

struct Shard {
    log: Arc<Log>,
    stall: Duration,
    /// Viewers that have all there is.
    idle: Vec<Seat>,
    /// Viewers whose socket is full.
    busy: FuturesUnordered<CatchUp>,
    /// When the first bunch is due that was held back.
    due_us: Option<i64>,
}

impl Shard {
    fn new(log: Arc<Log>, stall: Duration) -> Self {
        Self { log, stall, idle: Vec::new(), busy: FuturesUnordered::new(), due_us: None }
    }

    async fn run(mut self, mut arrivals: mpsc::Receiver<Seat>, poke: Arc<Notify>) {
        let mut changes = self.log.changes();
        let mut look = tokio::time::interval(self.stall / 4);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open || !self.idle.is_empty() || !self.busy.is_empty() {
            let due = self.due_us.map(|due| due.saturating_sub(now().0).max(0) as u64);
            tokio::select! {
                arrival = arrivals.recv(), if open => match arrival {
                    Some(seat) => self.advance(seat),
                    None => open = false,
                },
                Some((seat, outcome)) = self.busy.next(), if !self.busy.is_empty() => {
                    self.settle(seat, outcome);
                }
                changed = changes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.serve_idle().await;
                }
                _ = look.tick(), if !self.busy.is_empty() => self.find_stalled(),
                () = poke.notified() => self.serve_idle().await,
                () = wait_us(due) => self.serve_idle().await,
            }
        }
    }

    /// One round over all viewers that keep up.
    async fn serve_idle(&mut self) {
        self.due_us = None;
        let mut moment = now();
        let mut kept = 0;
        for turn in 0..self.idle.len() {
            if turn % TURN == TURN - 1 {
                tokio::task::yield_now().await;
                moment = now();
            }
            let viewer = &mut self.idle[kept].viewer;
            if viewer.may_wait(moment.0) {
                if viewer.is_behind() {
                    let due = viewer.due_us();
                    self.due_us = Some(self.due_us.map_or(due, |first| first.min(due)));
                }
                kept += 1;
                continue;
            }
            match poll_once(viewer, moment) {
                Poll::Ready(None) => kept += 1,
                other => {
                    // The last one takes its place; it comes next.
                    let seat = self.idle.swap_remove(kept);
                    match other {
                        Poll::Ready(Some(outcome)) => seat.leave(outcome),
                        _ => self.wait_for(seat),
                    }
                }
            }
        }
    }

    fn advance(&mut self, mut seat: Seat) {
        match poll_once(&mut seat.viewer, now()) {
            Poll::Ready(outcome) => self.settle(seat, outcome),
            Poll::Pending => self.wait_for(seat),
        }
    }

    fn settle(&mut self, seat: Seat, outcome: Option<Outcome>) {
        match outcome {
            None => self.idle.push(seat),
            Some(outcome) => seat.leave(outcome),
        }
    }

    fn wait_for(&mut self, seat: Seat) {
        let progress = seat.viewer.progress();
        self.busy.push(CatchUp { seat: Some(seat), progress, since: Instant::now() });
    }

    /// Ends the service of viewers that have taken nothing for too long.
    fn find_stalled(&mut self) {
        let now = Instant::now();
        for waiting in self.busy.iter_mut() {
            let Some(seat) = &waiting.seat else { continue };
            let progress = seat.viewer.progress();
            // Progress within a segment that nobody else needs does not count: it costs memory.
            let counts = progress.0 != waiting.progress.0 || !seat.viewer.keeps_dropped_segment();
            if progress != waiting.progress && counts {
                (waiting.progress, waiting.since) = (progress, now);
            } else if now.duration_since(waiting.since) >= self.stall {
                seat.viewer.control.stall();
            }
        }
    }
}

impl Seat {
    fn leave(self, outcome: Outcome) {
        // A session that is gone needs no answer.
        let _ = self.done.send((self.viewer.outlet, outcome));
    }
}

/// Advances without waiting: whoever is not done at once is waited for by a [`CatchUp`].
fn poll_once(viewer: &mut Viewer, now: Stamp) -> Poll<Option<Outcome>> {
    viewer.poll_advance(&mut Context::from_waker(Waker::noop()), now)
}

async fn wait_us(us: Option<u64>) {
    match us {
        Some(us) => tokio::time::sleep(Duration::from_micros(us)).await,
        None => std::future::pending().await,
    }
}

/// Waits until a viewer has all there is or is done.
struct CatchUp {
    seat: Option<Seat>,
    /// Where it was when it last took something, as far as anybody looked.
    progress: (u64, u64, usize),
    since: Instant,
}

impl Future for CatchUp {
    type Output = (Seat, Option<Outcome>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        #[allow(clippy::expect_used, reason = "a future is not polled after it was ready")]
        let mut seat = self.seat.take().expect("polled after it was ready");
        match seat.viewer.poll_advance(cx, now()) {
            Poll::Ready(outcome) => Poll::Ready((seat, outcome)),
            Poll::Pending => {
                self.seat = Some(seat);
                Poll::Pending
            }
        }
    }
}
