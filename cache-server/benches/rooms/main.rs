//! Rooms under load: one relay, 200 rooms of 10 members each, all of whom report, ping and talk while
//! somebody uses the remote control every few seconds.
//!
//!     cargo bench -p cache-server --bench rooms -- [SECONDS [ROOMS [MEMBERS]]]
//!
//! Counts what is lost or comes in another order, times each command from its sending to its arrival
//! at every member, and looks at the relay's memory and processor time. Exit code 1 if anything was
//! lost, reordered or refused.

#[path = "../../tests/common/mod.rs"]
mod common;
mod member;
mod os;
mod room;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use common::process::Process;
use common::{Member, Relay};
use tokio::sync::{Barrier, Semaphore, watch};
use tokio::task::JoinSet;

use member::Tally;
use room::Room;

/// Connections that are made at a time.
const DIALLING: usize = 32;
/// What is under way at the end has so long to arrive.
const DRAIN: Duration = Duration::from_secs(5);

/// What all members share.
struct Load {
    address: String,
    dialling: Semaphore,
    /// All are in their rooms.
    ready: Barrier,
    stage: watch::Receiver<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    /// Nothing new is said.
    Draining,
    Over,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<u64>().ok());
    let length = Duration::from_secs(numbers.next().unwrap_or(600));
    let rooms = numbers.next().unwrap_or(200).clamp(1, 1_000) as usize;
    let members = numbers.next().unwrap_or(10).clamp(1, 50) as usize;
    relay::process::fit_to_descriptors(&mut relay::Limits::default());
    let origin = Relay::without_rooms().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rooms.sqlite");
    let most = (rooms * members + 100).to_string();
    let relay = Process::start(
        origin.address,
        &[
            "--rooms-file".as_ref(),
            file.as_os_str(),
            "--max-connections-per-address".as_ref(),
            most.as_ref(),
        ],
    );
    Member::dial_to(&relay.address).await.sees_film().await;
    println!("{rooms} rooms of {members} members for {} s", length.as_secs());
    let tally = run(&relay, rooms, members, length).await;
    let clean = tally.is_clean();
    tally.print();
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(relay: &Process, rooms: usize, members: usize, length: Duration) -> Tally {
    let (stage, following) = watch::channel(Stage::Running);
    let load = Arc::new(Load {
        address: relay.address.clone(),
        dialling: Semaphore::new(DIALLING),
        ready: Barrier::new(rooms * (members + 1) + 1),
        stage: following,
    });
    let mut all = JoinSet::new();
    let mut driven = JoinSet::new();
    for _ in 0..rooms {
        let (room, orders) = Room::new(members);
        driven.spawn(room.clone().drive(load.clone()));
        for (index, order) in orders.into_iter().enumerate() {
            all.spawn(member::run(load.clone(), room.clone(), index, order));
        }
    }
    load.ready.wait().await;
    let cpu = os::cpu(relay.id());
    println!("all are in; the relay holds {}", os::memory(relay.id()));
    for part in ["middle", "end"] {
        tokio::time::sleep(length / 2).await;
        println!("{part}: the relay holds {}", os::memory(relay.id()));
    }
    println!("the relay used {}", os::share(cpu, os::cpu(relay.id()), length));
    stage.send_replace(Stage::Draining);
    let mut tally = Tally::default();
    while let Some(room) = driven.join_next().await {
        tally.add_commands(room.expect("a room's driver ends"));
    }
    tokio::time::sleep(DRAIN).await;
    stage.send_replace(Stage::Over);
    while let Some(heard) = all.join_next().await {
        tally.add(heard.expect("a member's task ends"));
    }
    tally
}
