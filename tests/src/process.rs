//! A program under test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use crate::PATIENCE;

/// A running program and what it said so far.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// The path of one of our programs, as cargo built it beside the tests.
///
/// # Panics
/// When it has not been built (`cargo build --workspace --bins`).
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("own path");
    let folder = tests.parent().and_then(|deps| deps.parent()).expect("target folder");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: cargo build --workspace --bins", path.display());
    path
}

/// One of our programs, to be run without what this machine may have.
#[must_use]
pub fn command(name: &str) -> Command {
    wrapped(program(name))
}

/// A program that starts one of ours, to be run in the same way.
#[must_use]
pub fn wrapped(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "PUBLISH_TOKEN", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// Starts one of our programs with these arguments.
#[must_use]
pub fn start(name: &str, args: &[&str]) -> Process {
    let mut command = command(name);
    command.args(args);
    Process::spawn(name, command)
}

/// Starts a server on a free port of the loopback; its address.
#[must_use]
pub fn server(args: &[&str]) -> (Process, String) {
    listening("server", args)
}

/// Starts a relay on a free port of the loopback, without a page unless it is asked for one; its
/// address.
#[must_use]
pub fn relay(args: &[&str]) -> (Process, String) {
    let page: &[&str] = if args.contains(&"--http") { &[] } else { &["--no-http"] };
    listening("cache-server", &[args, page].concat())
}

fn listening(name: &str, args: &[&str]) -> (Process, String) {
    let listen: &[&str] =
        if args.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let mut process = start(name, &[args, listen, &["--no-announce"]].concat());
    let line = process.line("listening on");
    let address = line.rsplit(' ').next().unwrap_or_default().to_owned();
    (process, address)
}

impl Process {
    /// Starts `command`, listening to all it says.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn_as_it_is(name, command)
    }

    /// As [`Process::spawn`]; what it reads is what is typed by [`Process::types`].
    #[must_use]
    pub fn spawn_typing(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        Self::spawn_as_it_is(name, command)
    }

    /// Types a line.
    ///
    /// # Panics
    /// When it does not read any more, or never did.
    pub fn types(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("reads");
        writeln!(input, "{line}").expect("reads on");
    }

    fn spawn_as_it_is(name: &str, mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = channel();
        listen(child.stdout.take().expect("piped"), sender.clone());
        listen(child.stderr.take().expect("piped"), sender);
        Self { name: name.to_owned(), child, lines, said: Vec::new() }
    }

    /// Its number, for signals.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `part`.
    ///
    /// # Panics
    /// When the program ends or hangs without saying it.
    pub fn line(&mut self, part: &str) -> String {
        self.line_where(part, |line| line.contains(part))
    }

    /// A line that contains `part` and was said already, or else is waited for.
    ///
    /// # Panics
    /// As [`Process::line`].
    pub fn line_ever(&mut self, part: &str) -> String {
        let said = self.said.iter().find(|line| line.contains(part)).cloned();
        said.unwrap_or_else(|| self.line(part))
    }

    /// Whether it has said a line that contains `part` and was not waited for yet.
    pub fn said(&mut self, part: &str) -> bool {
        let new: Vec<String> = self.lines.try_iter().collect();
        let found = new.iter().any(|line| line.contains(part));
        self.said.extend(new);
        found
    }

    /// Waits for a line of statistics for which `fine` holds.
    ///
    /// # Panics
    /// As [`Process::line`].
    pub fn statistics(
        &mut self,
        what: &str,
        mut fine: impl FnMut(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let mut found = serde_json::Value::Null;
        self.line_where(what, |line| {
            found = serde_json::from_str(line).unwrap_or_default();
            found.is_object() && fine(&found)
        });
        found
    }

    fn line_where(&mut self, what: &str, mut fine: impl FnMut(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let tail = self.said.len().saturating_sub(20);
                panic!("{} never said '{what}':\n{}", self.name, self.said[tail..].join("\n"));
            };
            self.said.push(line.clone());
            if fine(&line) {
                return line;
            }
        }
    }

    /// Waits for its end; its exit code and all it said.
    ///
    /// # Panics
    /// When it hangs, or a signal ended it.
    pub fn end(mut self) -> (i32, Vec<String>) {
        let status = self.status();
        // Both pipes are closed now: the listeners end.
        self.said.extend(self.lines.iter());
        let said = std::mem::take(&mut self.said);
        (status.code().unwrap_or_else(|| panic!("{status}:\n{}", said.join("\n"))), said)
    }

    fn status(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            if started.elapsed() > PATIENCE {
                let _ = self.child.kill();
                self.said.extend(self.lines.try_iter());
                panic!("{} does not end:\n{}", self.name, self.said.join("\n"));
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Asks it to stop, as a user or a system would, and waits for its end.
    #[must_use]
    pub fn stop(self) -> (i32, Vec<String>) {
        self.signal("TERM");
        self.end()
    }

    /// Ends it at once, without a chance to say goodbye.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// When there is no `kill`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if to.send(line).is_err() {
                return;
            }
        }
    });
}
