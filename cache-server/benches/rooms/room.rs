//! One room under load: its remote control is used every few seconds, and each time it is seen at whom
//! and when that arrives.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use proto::Message;
use proto::room::{Going, Remote, RoomCode, Timeline};
use tokio::sync::{mpsc, watch};

use crate::{Load, Stage};

/// Time between two commands; each room begins at another moment.
const EVERY: Duration = Duration::from_secs(3);
/// A command that has not arrived by then is lost.
const LOST: Duration = Duration::from_secs(10);

/// What its members share.
pub(crate) struct Room {
    members: usize,
    /// `None` until the first member made it.
    pub(crate) code: watch::Sender<Option<RoomCode>>,
    orders: Vec<mpsc::Sender<Message>>,
    command: Mutex<Option<Command>>,
    done: tokio::sync::Notify,
}

/// A command under way.
struct Command {
    remote: Remote,
    sent: Instant,
    /// Who has it, and after how long.
    arrived: Vec<Option<Duration>>,
}

/// What became of the commands.
#[derive(Default)]
pub(crate) struct Commands {
    /// From sending to arrival, at each member.
    pub(crate) each: Vec<Duration>,
    /// From sending to arrival at the last.
    pub(crate) last: Vec<Duration>,
    pub(crate) lost: usize,
}

impl Room {
    pub(crate) fn new(members: usize) -> (Arc<Self>, Vec<mpsc::Receiver<Message>>) {
        let (orders, ordered) = (0..members).map(|_| mpsc::channel(1)).unzip();
        let room = Self {
            members,
            code: watch::Sender::new(None),
            orders,
            command: Mutex::default(),
            done: tokio::sync::Notify::new(),
        };
        (Arc::new(room), ordered)
    }

    fn command(&self) -> MutexGuard<'_, Option<Command>> {
        self.command.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A member has a new timeline.
    pub(crate) fn arrived(&self, member: usize, timeline: &Timeline) {
        let mut command = self.command();
        let Some(command) = command.as_mut().filter(|command| does(command.remote, timeline))
        else {
            return;
        };
        if command.arrived[member].is_some() {
            return;
        }
        command.arrived[member] = Some(command.sent.elapsed());
        if command.arrived.iter().all(Option::is_some) {
            self.done.notify_one();
        }
    }

    /// Uses the remote control until nothing new is to be said.
    pub(crate) async fn drive(self: Arc<Self>, load: Arc<Load>) -> Commands {
        let mut commands = Commands::default();
        load.ready.wait().await;
        let mut stage = load.stage.clone();
        tokio::time::sleep(EVERY.mul_f64(rand::random())).await;
        for turn in 0u16.. {
            let over = tokio::time::timeout(EVERY, stage.wait_for(|now| *now > Stage::Running));
            if over.await.is_ok() {
                break;
            }
            let remote = match turn % 4 {
                0 => Remote::Speed(500 + turn % 1_500),
                1 => Remote::Pause,
                2 => Remote::Seek(i64::from(turn) * 100_000),
                _ => Remote::Play,
            };
            self.send(remote).await;
            let arrived = tokio::time::timeout(LOST, self.done.notified()).await;
            commands.add(self.command().take(), arrived.is_ok());
        }
        commands
    }

    async fn send(&self, remote: Remote) {
        let arrived = vec![None; self.members];
        *self.command() = Some(Command { remote, sent: Instant::now(), arrived });
        let by = rand::random_range(0..self.members);
        // A member whose connection broke says so in its tally.
        let _ = self.orders[by].send(Message::Remote(remote)).await;
    }
}

impl Commands {
    fn add(&mut self, command: Option<Command>, arrived: bool) {
        let Some(command) = command else { return };
        if !arrived {
            self.lost += 1;
        }
        let each = command.arrived.into_iter().flatten();
        let each: Vec<Duration> = each.collect();
        self.last.extend(each.iter().max().copied().filter(|_| arrived));
        self.each.extend(each);
    }
}

/// Whether this timeline is what that command brings about.
fn does(remote: Remote, timeline: &Timeline) -> bool {
    match remote {
        Remote::Play => timeline.going == Going::Playing,
        Remote::Pause => timeline.going == Going::Paused,
        Remote::Seek(to) => timeline.position_us == to,
        Remote::Speed(permille) => timeline.speed_permille == permille,
    }
}
