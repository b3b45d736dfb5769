//! `server --library` as a program: what it says, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// The program, killed with the test.
struct Program(Child);

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_server"))
            .args(["--listen", "127.0.0.1:0", "--no-announce"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("starts"))
    }

    /// Reads its words up to a line that begins so.
    fn says(&mut self, beginning: &str) -> String {
        let stdout = self.0.stdout.as_mut().expect("is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.find(|line| line.starts_with(beginning)).expect("it says so")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_empty_folder_is_served_until_a_signal() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut server = Program::start(&["--library", path, "--work-dir", path]);
    assert_eq!(server.says("library:"), format!("library: 0 movies so far in {path}"));
    assert!(server.0.try_wait().expect("is asked").is_none(), "it goes on");
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    assert!(server.0.wait().expect("ends").success());
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    for (folder, said) in [
        ("/nowhere/movies", "--library a folder"),
        (file!(), ""),
        ("Cargo.toml", "is not a folder"),
    ] {
        let mut server = Program::start(&["--library", folder]);
        assert_eq!(server.0.wait().expect("ends").code(), Some(1), "{folder}");
        let mut words = String::new();
        let stderr = server.0.stderr.as_mut().expect("is piped");
        stderr.read_to_string(&mut words).expect("UTF-8");
        assert!(words.starts_with("server: ") && words.contains(said), "{words}");
        assert_eq!(words.trim_end().lines().count(), 1, "{words}");
    }
}

#[test]
fn broken_files_are_named_up_to_a_number() {
    let folder = tempfile::tempdir().expect("folder");
    for number in 0..25 {
        let path = folder.path().join(format!("{number}.mp4"));
        std::fs::write(&path, "not a movie").expect("written");
        let file = std::fs::File::options().append(true).open(&path).expect("opens");
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        file.set_modified(long_ago).expect("is set");
    }
    let path = folder.path().to_str().expect("UTF-8");
    let mut server = Program::start(&["--library", path, "--work-dir", path]);
    server.says("library: 0 movies");
    let _ = server.0.kill();
    let mut words = String::new();
    server.0.stderr.as_mut().expect("is piped").read_to_string(&mut words).expect("UTF-8");
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.len(), 21, "{words}");
    assert!(lines[..20].iter().all(|line| line.contains(".mp4 is not a movie")), "{words}");
    assert_eq!(lines[20], "library: 5 more files cannot be served (25 in all)");
}
