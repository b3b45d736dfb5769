//! A relay that serves from its disk, beside a bare `sendfile` loop of the same files.

use std::io::Write;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::path::Path;

use proto::dial::dial;
use proto::recording::{Digest, Fetch, Index, Open, Segment};
use proto::{Message, Role};
use rustix::net::RecvFlags;
use tests::recorded::Watcher;
use tests::tape::{NAME, Origin};

use crate::bare::Bare;
use crate::{cached, prefetch, runtime, sorted};

const VIEWERS: usize = 20;
const SEGMENTS: u64 = 50;
/// Of a segment: some seconds of a good picture.
const BYTES: usize = 4_000_000;
/// Segments a viewer has asked for and not got.
const AHEAD: usize = 2;

pub(crate) fn case() {
    println!(
        "{VIEWERS} viewers of a recording of {} MB from a warm cache: the sender's CPU-seconds a \
         delivered gigabyte, median of 3",
        SEGMENTS * BYTES as u64 / 1_000_000
    );
    println!("| relay | bare sendfile loop | ratio |");
    println!("| --- | --- | --- |");
    let runtime = runtime();
    let cache = tempfile::tempdir().expect("folder");
    let folder = cache.path().display().to_string();
    let origin = runtime.block_on(async { Origin::start(SEGMENTS, BYTES) });
    prefetch(&origin.address, NAME, &folder);
    let (relay, near) = cached(&origin.address, &folder);
    // Once, so that the relay has verified it and the system has it in memory.
    let index = runtime.block_on(Watcher::open_soon(&near, NAME)).index;
    let shelf = cache.path().join(index.id.to_string());
    serve(&runtime, relay.id(), &near, 1);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        ours.push(serve(&runtime, relay.id(), &near, VIEWERS));
        bare.push(serve_bare(&shelf));
    }
    let (ours, bare) = (sorted(ours)[1], sorted(bare)[1]);
    println!("| {ours:.3} | {bare:.3} | {:.2} |", ours / bare);
}

async fn open(address: &str) -> (TcpStream, Index) {
    let mut viewer = dial(address, Role::View, None, "bench").await.expect("dial");
    let open = Message::Open(Open { stream: Some(NAME.to_owned()) });
    viewer.writer.write(&open).await.expect("write");
    let Ok(Message::Index(index)) = viewer.reader.read().await else { panic!("no index") };
    let (read, _) = viewer.reader.into_parts();
    let socket = read.reunite(viewer.writer.into_inner()).expect("halves");
    let socket = socket.into_std().expect("a socket");
    socket.set_nonblocking(false).expect("blocking");
    (socket, index)
}

/// Reads as cheaply as the kernel can: with `MSG_TRUNC` bytes are counted, not copied (tcp(7)).
fn discard(socket: &TcpStream, bytes: u64) {
    let mut nothing = [MaybeUninit::<u8>::uninit(); 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let most = left.min(nothing.len() as u64) as usize;
        let (_, got) = rustix::net::recv(socket, &mut nothing[..most], RecvFlags::TRUNC)
            .expect("what was asked for");
        assert!(got > 0, "closed with {left} bytes to come");
        left -= got as u64;
    }
}

/// Fetches all of it, some segments ahead; how many bytes came.
fn fetch(mut socket: &TcpStream, index: &Index) -> u64 {
    let ask = |number: usize| {
        let fetch = Fetch { id: index.id, segment: number as u64 };
        Message::Fetch(fetch).encode()
    };
    let mut got = 0;
    for number in 0..AHEAD {
        socket.write_all(&ask(number)).expect("write");
    }
    for (number, line) in index.segments.iter().enumerate() {
        let head = Segment { number: number as u64, bytes: line.bytes, digest: Digest([0; 16]) };
        let bytes = Message::Segment(head).encode().len() as u64 + u64::from(line.bytes);
        discard(socket, bytes);
        got += bytes;
        if number + AHEAD < index.segments.len() {
            socket.write_all(&ask(number + AHEAD)).expect("write");
        }
    }
    got
}

/// CPU-seconds of the relay for each gigabyte that so many viewers get.
fn serve(runtime: &tokio::runtime::Runtime, pid: u32, address: &str, viewers: usize) -> f64 {
    let all: Vec<_> = (0..viewers).map(|_| runtime.block_on(open(address))).collect();
    let before = cpu_seconds(pid);
    let threads: Vec<_> = all
        .into_iter()
        .map(|(socket, index)| std::thread::spawn(move || fetch(&socket, &index)))
        .collect();
    let got: u64 = threads.into_iter().map(|thread| thread.join().expect("a viewer")).sum();
    (cpu_seconds(pid) - before) / (got as f64 / 1e9)
}

fn serve_bare(shelf: &Path) -> f64 {
    let files = std::fs::read_dir(shelf).expect("folder").flatten();
    let segments = files.filter(|f| f.path().extension().is_some_and(|end| end == "seg"));
    let bytes: u64 = segments.map(|f| f.metadata().expect("length").len()).sum();
    let bare = Bare::start(shelf, VIEWERS);
    let threads: Vec<_> = (0..VIEWERS)
        .map(|_| {
            let socket = TcpStream::connect(&bare.address).expect("connect");
            std::thread::spawn(move || discard(&socket, bytes))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a viewer"));
    cpu_seconds(bare.id()) / ((bytes * VIEWERS as u64) as f64 / 1e9)
}

/// User and system time of a process, seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold spaces.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / rustix::param::clock_ticks_per_second() as f64
}
