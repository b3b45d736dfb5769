//! Viewers in a process of their own: connect, subscribe, then read and throw away.
//!
//! Speaks with the benchmark over its pipes: says `ready`, answers each line with what it has got.

use std::cell::RefCell;
use std::io::{BufRead, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use proto::conn::now;
use proto::dial::dial;
use proto::message::Subscribe;
use proto::{Message, Role};
use tokio::io::{AsyncBufReadExt, BufReader, Interest};
use tokio::net::TcpStream;

/// What all viewers together have got.
#[derive(Default)]
struct Got {
    bytes: u64,
    frames: u64,
    missing: u64,
    /// Publisher to viewer, microseconds.
    delays: Vec<u32>,
}

/// The benchmark's end of the pipes.
pub(crate) struct Sink {
    child: Child,
    input: ChildStdin,
    output: std::io::BufReader<ChildStdout>,
}

/// An answer of the viewers.
pub(crate) struct Sample {
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) missing: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Sink {
    /// Starts `viewers` of a kind (`discard`, `measure`, `stall`, `raw`, `rtmp`) on `address`.
    pub(crate) fn start(kind: &str, address: &str, viewers: usize) -> Self {
        let buffer_us = BUFFER_US.load(Ordering::Relaxed).to_string();
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["sink", kind, address, &viewers.to_string(), &buffer_us])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sink");
        let input = child.stdin.take().expect("piped");
        let output = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let mut sink = Self { child, input, output };
        assert_eq!(sink.line(), "ready", "viewers could not connect");
        sink
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("sink");
        line.trim().to_owned()
    }

    /// What they have got so far.
    pub(crate) fn sample(&mut self) -> Sample {
        writeln!(self.input, "sample").expect("sink");
        let line = self.line();
        let numbers: Vec<f64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
        let [bytes, frames, missing, p50_ms, p99_ms, max_ms] = numbers[..] else {
            panic!("sink said '{line}'")
        };
        let [bytes, frames, missing] = [bytes, frames, missing].map(|n| n as u64);
        Sample { bytes, frames, missing, p50_ms, p99_ms, max_ms }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The viewers' process.
pub(crate) fn main(args: &[String]) {
    let [kind, address, viewers, buffer_us] = args else {
        panic!("sink KIND ADDRESS VIEWERS BUFFER_US")
    };
    set_buffer_us(buffer_us.parse().expect("a number"));
    let viewers: usize = viewers.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("rt");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let got = Rc::new(RefCell::new(Got::default()));
        for _ in 0..viewers {
            match kind.as_str() {
                "measure" => measure(address, got.clone()).await,
                "rtmp" => discard(crate::rtmp::play(address).await, got.clone()),
                "raw" => discard(TcpStream::connect(address).await.expect("connect"), got.clone()),
                _ => {
                    let viewer = subscribe(address).await;
                    let (read, _) = viewer.reader.into_parts();
                    let socket = read.reunite(viewer.writer.into_inner()).expect("halves");
                    match kind.as_str() {
                        "discard" => discard(socket, got.clone()),
                        "stall" => std::mem::forget(socket),
                        other => panic!("viewers of kind {other}"),
                    }
                }
            }
        }
        println!("ready");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = lines.next_line().await {
            println!("{}", answer(&mut got.borrow_mut()));
        }
    });
}

fn answer(got: &mut Got) -> String {
    got.delays.sort_unstable();
    let ms = |share: f64| {
        let last = got.delays.len().saturating_sub(1) as f64;
        got.delays.get((last * share) as usize).map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    let (p50, p99, max) = (ms(0.5), ms(0.99), ms(1.0));
    format!("{} {} {} {p50} {p99} {max}", got.bytes, got.frames, got.missing)
}

async fn subscribe(address: &str) -> proto::dial::Dialled {
    let mut viewer = dial(address, Role::View, None, "bench").await.expect("dial");
    let subscribe = Subscribe { stream: None, buffer_us: BUFFER_US.load(Ordering::Relaxed) };
    viewer.writer.write(&Message::Subscribe(subscribe)).await.expect("subscribe");
    viewer
}

/// What viewers say they buffer, microseconds.
static BUFFER_US: AtomicU32 = AtomicU32::new(0);

/// Sets what the viewers of the next sink say they buffer.
pub(crate) fn set_buffer_us(us: u32) {
    BUFFER_US.store(us, Ordering::Relaxed);
}

/// Reads as cheaply as the kernel can: with `MSG_TRUNC` bytes are counted, not copied (tcp(7)).
fn discard(socket: TcpStream, got: Rc<RefCell<Got>>) {
    tokio::task::spawn_local(async move {
        let mut nothing = [std::mem::MaybeUninit::<u8>::uninit(); 1 << 20];
        loop {
            if socket.readable().await.is_err() {
                return;
            }
            let read = socket.try_io(Interest::READABLE, || {
                let flags = rustix::net::RecvFlags::TRUNC;
                let (_, length) = rustix::net::recv(&socket, &mut nothing, flags)?;
                Ok(length)
            });
            match read {
                Ok(0) => return,
                Ok(bytes) => got.borrow_mut().bytes += bytes as u64,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    });
}

async fn measure(address: &str, got: Rc<RefCell<Got>>) {
    let viewer = subscribe(address).await;
    tokio::task::spawn_local(async move {
        // All of it: without its writing half the connection would be half closed.
        let mut viewer = viewer;
        let mut next = None;
        while let Ok(message) = viewer.reader.read().await {
            let now = now();
            let mut got = got.borrow_mut();
            if let Message::Packet(packet) = message {
                got.bytes += packet.payload.len() as u64;
                got.frames += 1;
                let sequence = packet.header.sequence;
                got.missing += sequence - next.unwrap_or(sequence);
                next = Some(sequence + 1);
                let delay = now.us_since(packet.header.captured_at_us).max(0);
                got.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
            }
        }
    });
}
