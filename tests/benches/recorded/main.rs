//! What recordings cost, and how fast they are there: `cargo bench -p tests --bench recorded
//! [-- CASE...]`, after `cargo build --release --workspace --bins`.
//!
//! Cases: `warm` (a relay serves from its disk, beside a bare `sendfile` loop of as many bytes), `seek`
//! (a client's command to the decoded picture), `start` (of a relay with a large cache), `offload` (what
//! many viewers of one relay cost its origin).

#[cfg(target_os = "linux")]
mod bare;
#[cfg(target_os = "linux")]
mod seek;
#[cfg(target_os = "linux")]
mod warm;

use std::time::{Duration, Instant};

use rand::Rng;
use tests::process::{Process, relay, start};
use tests::recorded::Watcher;
use tests::tape::{NAME, Origin};

#[cfg(target_os = "linux")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|first| first == "bare") {
        return bare::main(&args[1..]);
    }
    let cases: [(&str, fn()); 4] =
        [("warm", warm::case), ("seek", seek::case), ("start", starting), ("offload", offload)];
    for (name, case) in cases {
        if args.is_empty() || args.iter().any(|wanted| wanted == name) {
            case();
            println!();
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark reads /proc and compares with sendfile(2): Linux only");
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("runtime")
}

/// A relay with that folder, of an origin that is there or not.
fn cached(origin: &str, cache: &str) -> (Process, String) {
    relay(&["--origin", origin, "--cache-dir", cache])
}

/// Fills a cache folder with a whole recording.
fn prefetch(origin: &str, name: &str, cache: &str) {
    let args = ["cache", "prefetch", "--origin", origin, "--cache-dir", cache, name];
    let (code, said) = start("cache-server", &args).end();
    assert_eq!(code, 0, "{said:?}");
}

fn starting() {
    println!("Start of a relay to its first answered index, origin away, median of 5");
    println!("| segments on the disk | time |");
    println!("| --- | --- |");
    let runtime = runtime();
    for segments in [10, 10_000] {
        let cache = tempfile::tempdir().expect("folder");
        let folder = cache.path().display().to_string();
        let address = {
            let origin = runtime.block_on(async { Origin::start(segments, 10_000) });
            prefetch(&origin.address, NAME, &folder);
            origin.address.clone()
        };
        let times = (0..5).map(|_| {
            let started = Instant::now();
            let (_relay, near) = cached(&address, &folder);
            let watcher = runtime.block_on(async { Watcher::open_soon(&near, NAME).await });
            assert_eq!(watcher.index.segments.len() as u64, segments);
            started.elapsed().as_secs_f64() * 1e3
        });
        println!("| {segments} | {:.0} ms |", sorted(times.collect())[2]);
    }
}

fn offload() {
    const VIEWERS: u64 = 50;
    println!("{VIEWERS} viewers of one movie through a relay, who begin within 3 s");
    println!("| movie | delivered | sent by the origin | sent / movie |");
    println!("| --- | --- | --- | --- |");
    runtime().block_on(async {
        let cache = tempfile::tempdir().expect("folder");
        let origin = Origin::start(50, 1_000_000);
        let (_relay, near) = cached(&origin.address, &cache.path().display().to_string());
        let viewers: Vec<_> = (0..VIEWERS)
            .map(|_| {
                let near = near.clone();
                tokio::spawn(async move {
                    let wait = rand::rng().random_range(0..3_000);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    let mut viewer = Watcher::open_soon(&near, NAME).await;
                    viewer.all().await.expect("all of it").len()
                })
            })
            .collect();
        for viewer in viewers {
            assert!(viewer.await.expect("a viewer") > 0);
        }
        let (sent, size) = (origin.tape.sent(), origin.tape.size());
        println!(
            "| {} MB | {} MB | {} MB | {:.3} |",
            size / 1_000_000,
            VIEWERS * size / 1_000_000,
            sent / 1_000_000,
            sent as f64 / size as f64
        );
    });
}
