//! The limit to come near: files to sockets by `sendfile(2)`, nothing else, in a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};

/// The benchmark's end.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: String,
}

impl Bare {
    /// Sends every `.seg` in a folder to so many viewers when all have come, then waits to be ended.
    pub(crate) fn start(folder: &Path, viewers: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .arg("bare")
            .arg(folder)
            .arg(viewers.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut address).expect("an address");
        Self { child, address: address.trim().to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A viewer: how far it is in which file.
struct Place {
    socket: TcpStream,
    file: usize,
    at: u64,
}

/// The sender's process.
pub(crate) fn main(args: &[String]) {
    let [folder, viewers] = args else { panic!("bare FOLDER VIEWERS") };
    let viewers: usize = viewers.parse().expect("a number");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    println!("{}", listener.local_addr().expect("address"));
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .collect();
    names.sort();
    let files: Vec<(File, u64)> = names
        .iter()
        .map(|path| {
            let file = File::open(path).expect("open");
            let length = file.metadata().expect("length").len();
            (file, length)
        })
        .collect();
    let accept = |_| {
        let (socket, _) = listener.accept().expect("accept");
        socket.set_nonblocking(true).expect("nonblocking");
        Place { socket, file: 0, at: 0 }
    };
    let mut places: Vec<Place> = (0..viewers).map(accept).collect();
    let done = |place: &Place| place.file >= files.len();
    while places.iter().any(|place| !done(place)) {
        let unfinished = || places.iter().filter(|place| !done(place));
        let mut polled: Vec<PollFd<'_>> =
            unfinished().map(|place| PollFd::new(&place.socket, PollFlags::OUT)).collect();
        poll(&mut polled, None).expect("poll");
        drop(polled);
        for place in places.iter_mut().filter(|place| place.file < files.len()) {
            let (file, length) = &files[place.file];
            let left = (length - place.at) as usize;
            let _ = rustix::fs::sendfile(&place.socket, file, Some(&mut place.at), left);
            if place.at >= *length {
                (place.file, place.at) = (place.file + 1, 0);
            }
        }
    }
    std::thread::park();
}
