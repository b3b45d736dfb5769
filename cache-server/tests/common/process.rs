//! The program itself, as a process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// `cache-server`, relaying an origin; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Process {
    pub(crate) fn start(origin: SocketAddr, more: &[&OsStr]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cache-server"))
            .args(["--origin", &origin.to_string(), "--listen", "127.0.0.1:0", "--no-announce"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        Self { child, address: address.expect("it listens") }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
