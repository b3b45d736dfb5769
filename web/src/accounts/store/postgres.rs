//! A PostgreSQL server of a test's own: Debian's, in a temporary folder, reached through a socket there.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// It refuses to run as root: then it runs as nobody.
const NOBODY: u32 = 65_534;

pub(super) struct Server {
    folder: tempfile::TempDir,
    server: Child,
}

impl Server {
    /// `None` where PostgreSQL is not installed.
    pub(super) fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().expect("a folder");
        let is_root = std::fs::metadata("/proc/self")
            .is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
        let password = folder.path().join("password");
        std::fs::write(&password, "secret").expect("a file");
        if is_root {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("may give it away");
            chown(&password, Some(NOBODY), Some(NOBODY)).expect("may give it away");
        }
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("ours");
        let run = |name: &str, args: &[&OsStr]| {
            let mut command = Command::new(programs.join(name));
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.current_dir(folder.path());
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let data = folder.path().join("data");
        let flags =
            ["-U", "relay", "-A", "scram-sha-256", "--no-sync", "--no-locale", "-E", "UTF8"];
        let mut args: Vec<&OsStr> = flags.iter().map(OsStr::new).collect();
        let pwfile = format!("--pwfile={}", password.display());
        args.extend([OsStr::new(&pwfile), OsStr::new("-D"), data.as_os_str()]);
        assert!(run("initdb", &args).status().expect("starts").success(), "initdb");
        let args =
            [OsStr::new("-D"), data.as_os_str(), OsStr::new("-k"), folder.path().as_os_str()];
        let quick = ["-c", "listen_addresses=", "-c", "fsync=off"].map(OsStr::new);
        let server = run("postgres", &[&args[..], &quick].concat()).spawn().expect("starts");
        Some(Self { folder, server })
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://relay:secret@localhost/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where Debian puts the newest.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql")).ok()?;
    let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}
