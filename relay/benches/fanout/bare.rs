//! The limit to come near: one thread, one file, `sendfile(2)` to every socket, nothing else.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::ours::Pace;

/// Sends frames to all who connected.
pub(crate) struct Bare {
    listener: TcpListener,
    sockets: Vec<TcpStream>,
}

impl Bare {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        Self { listener, sockets: Vec::new() }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().expect("address").to_string()
    }

    pub(crate) fn accept(&mut self, viewers: usize) {
        while self.sockets.len() < viewers {
            let (socket, _) = self.listener.accept().expect("accept");
            socket.set_nonblocking(true).expect("nonblocking");
            socket.set_nodelay(true).expect("nodelay");
            self.sockets.push(socket);
        }
    }

    /// Sends `count` frames at their pace, all in one file; a new file every GOP.
    pub(crate) fn publish(&mut self, pace: Pace, count: u64) {
        let frame = vec![0x5a; pace.bytes];
        let started = Instant::now();
        let mut file = None;
        for i in 0..count {
            let due = started + Duration::from_secs_f64(i as f64 / pace.fps);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let offset = (i % pace.gop) * pace.bytes as u64;
            if offset == 0 {
                let flags = rustix::fs::MemfdFlags::CLOEXEC;
                file = Some(File::from(rustix::fs::memfd_create("bare", flags).expect("memfd")));
            }
            let file = file.as_ref().expect("made at the GOP's start");
            file.write_all_at(&frame, offset).expect("write");
            self.send(file, offset, pace.bytes);
        }
    }

    fn send(&self, file: &File, offset: u64, length: usize) {
        let end = offset + length as u64;
        let mut unfinished: Vec<(&TcpStream, u64)> = Vec::new();
        for socket in &self.sockets {
            let mut at = offset;
            let _ = rustix::fs::sendfile(socket, file, Some(&mut at), length);
            if at < end {
                unfinished.push((socket, at));
            }
        }
        while !unfinished.is_empty() {
            let mut polled: Vec<PollFd<'_>> =
                unfinished.iter().map(|(s, _)| PollFd::new(*s, PollFlags::OUT)).collect();
            poll(&mut polled, None).expect("poll");
            let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            for ((socket, at), _) in unfinished.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                let left = (end - *at) as usize;
                let _ = rustix::fs::sendfile(*socket, file, Some(at), left);
            }
            unfinished.retain(|(_, at)| *at < end);
        }
    }
}
