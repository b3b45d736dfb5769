//! The cases and their tables.

use std::time::{Duration, Instant};

use crate::bare::Bare;
use crate::os;
use crate::others;
use crate::ours::{Ours, Pace};
use crate::sink::Sink;

/// Longest wait for what was sent to arrive.
const ARRIVE: Duration = Duration::from_secs(60);

pub(crate) fn main(names: &[String]) {
    let cases: [(&str, fn()); 4] =
        [("large", large), ("small", small), ("delay", delay), ("memory", memory)];
    for (name, case) in cases {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            case();
            println!();
        }
    }
}

/// CPU-seconds of `pid` for each gigabyte that reaches the viewers during `work`.
fn cost(pid: u32, sink: &mut Sink, expected: u64, work: impl FnOnce()) -> f64 {
    let (cpu, before) = (os::cpu_seconds(pid), sink.sample().bytes);
    work();
    let started = Instant::now();
    let mut got = sink.sample().bytes - before;
    while got < expected && started.elapsed() < ARRIVE {
        std::thread::sleep(Duration::from_millis(5));
        got = sink.sample().bytes - before;
    }
    if got < expected {
        println!("  only {got} of {expected} bytes arrived");
    }
    (os::cpu_seconds(pid) - cpu) / (got as f64 / 1e9)
}

fn ours(viewers: usize, pace: Pace, frames: u64) -> f64 {
    let mut relay = Ours::start();
    let mut sink = Sink::start("discard", &relay.address, viewers);
    relay.wait_for(viewers);
    let expected = frames * (pace.bytes * viewers) as u64;
    cost(std::process::id(), &mut sink, expected, || relay.publish(pace, frames))
}

fn bare(viewers: usize, pace: Pace, frames: u64) -> f64 {
    let mut bare = Bare::start();
    let address = bare.address();
    let starting = std::thread::spawn(move || Sink::start("raw", &address, viewers));
    bare.accept(viewers);
    let mut sink = starting.join().expect("sink");
    let expected = frames * (pace.bytes * viewers) as u64;
    cost(std::process::id(), &mut sink, expected, || bare.publish(pace, frames))
}

/// The middle of some runs: two noisy cores make outliers.
fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

fn large() {
    println!("Fan-out of 60 KB frames on loopback: the sender's CPU-seconds a delivered gigabyte");
    println!("| viewers | this relay | bare sendfile loop | ratio | iperf3's sender |");
    println!("| --- | --- | --- | --- | --- |");
    for (viewers, fps, frames) in [(100, 200.0, 1_000), (1000, 20.0, 100)] {
        let pace = Pace { fps, bytes: 60_000, gop: 60 };
        let (mut relay, mut loop_) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            relay.push(ours(viewers, pace, frames));
            loop_.push(bare(viewers, pace, frames));
        }
        let (relay, loop_) = (median(relay), median(loop_));
        let iperf = others::iperf3(viewers).map_or("-".to_owned(), |cost| format!("{cost:.3}"));
        println!("| {viewers} | {relay:.3} | {loop_:.3} | {:.2} | {iperf} |", relay / loop_);
    }
}

fn small() {
    const VIEWERS: usize = 500;
    println!(
        "720p30 at 3 Mbit/s to {VIEWERS} viewers: the sender's CPU-seconds a delivered gigabyte"
    );
    println!("| sender | CPU-s/GB |");
    println!("| --- | --- |");
    let pace = Pace { fps: 30.0, bytes: 12_500, gop: 60 };
    for (name, buffer_us) in [("each packet at once", 0), ("viewers that buffer 250 ms", 250_000)] {
        let cost = with_buffer(buffer_us, || ours(VIEWERS, pace, 300));
        println!("| this relay, {name} | {cost:.3} |");
    }
    println!("| bare sendfile loop, each packet at once | {:.3} |", bare(VIEWERS, pace, 300));
    match others::nginx_rtmp() {
        Some(nginx) => {
            let mut sink = Sink::start("rtmp", &nginx.address, VIEWERS);
            std::thread::sleep(Duration::from_secs(3));
            let ten_seconds = || std::thread::sleep(Duration::from_secs(10));
            let cost = cost(nginx.worker, &mut sink, 1, ten_seconds);
            println!("| nginx-rtmp | {cost:.3} |");
        }
        None => println!("| nginx-rtmp | not measured: needs libnginx-mod-rtmp and ffmpeg |"),
    }
}

fn with_buffer<T>(buffer_us: u32, run: impl FnOnce() -> T) -> T {
    crate::sink::set_buffer_us(buffer_us);
    let result = run();
    crate::sink::set_buffer_us(0);
    result
}

fn delay() {
    const VIEWERS: usize = 1000;
    println!("{VIEWERS} viewers of 720p30 at 4 Mbit/s, from publisher to viewer");
    println!("| frames delivered | missing | p50 | p99 | longest |");
    println!("| --- | --- | --- | --- | --- |");
    let pace = Pace { fps: 30.0, bytes: 16_667, gop: 60 };
    let mut relay = Ours::start();
    let mut sink = Sink::start("measure", &relay.address, VIEWERS);
    relay.wait_for(VIEWERS);
    let frames = 300;
    let expected = frames * (pace.bytes * VIEWERS) as u64;
    cost(std::process::id(), &mut sink, expected, || relay.publish(pace, frames));
    let got = sink.sample();
    println!(
        "| {} of {} | {} | {:.1} ms | {:.1} ms | {:.1} ms |",
        got.frames,
        frames * VIEWERS as u64,
        got.missing,
        got.p50_ms,
        got.p99_ms,
        got.max_ms
    );
}

fn memory() {
    const VIEWERS: usize = 1000;
    println!("Memory for {VIEWERS} viewers");
    println!("| | this process, a viewer | kernel, all TCP sockets |");
    println!("| --- | --- | --- |");
    let pace = Pace { fps: 30.0, bytes: 16_667, gop: 60 };
    for (name, kind) in [("viewers that read", "discard"), ("viewers that stop reading", "stall")] {
        let mut relay = Ours::start();
        relay.publish(pace, 60);
        let (own, kernel) = (os::own_memory(), os::kernel_tcp_memory());
        let _sink = Sink::start(kind, &relay.address, VIEWERS);
        relay.wait_for(VIEWERS);
        relay.publish(pace, 300);
        let own = (os::own_memory() - own) / VIEWERS as f64 / 1024.0;
        let kernel = (os::kernel_tcp_memory() - kernel) / 1e6;
        println!("| {name} | {own:.1} KiB | {kernel:.0} MB |");
    }
}
