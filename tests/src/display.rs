//! A private X display, and eyes and fingers for it.

use std::process::{Command, Stdio};

use crate::process::Process;

/// A screen nobody else draws on. Needs Xvfb, xdotool and ffmpeg.
#[derive(Debug)]
pub struct Display {
    _server: Process,
    /// As `DISPLAY` names it.
    pub name: String,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

impl Display {
    /// Starts a screen of this size on a free display number.
    ///
    /// # Panics
    /// When there is no Xvfb.
    #[must_use]
    pub fn start(width: usize, height: usize) -> Self {
        let mut command = Command::new("Xvfb");
        let screen = format!("{width}x{height}x24");
        // The server writes the number it chose to its standard output.
        command.args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset"]);
        let mut server = Process::spawn("Xvfb", command);
        let number = server.number();
        Self { _server: server, name: format!(":{number}"), width, height }
    }

    /// All that is on the screen, `0x00RRGGBB`, row by row.
    ///
    /// # Panics
    /// When ffmpeg cannot look at it.
    #[must_use]
    pub fn screenshot(&self) -> Vec<u32> {
        let size = format!("{}x{}", self.width, self.height);
        let output = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-nostdin", "-f", "x11grab", "-draw_mouse", "0"])
            .args(["-video_size", &size, "-i", &self.name])
            .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgra", "-"])
            .stderr(Stdio::inherit())
            .output()
            .expect("ffmpeg");
        let pixel = |p: &[u8]| u32::from_be_bytes([0, p[2], p[1], p[0]]);
        output.stdout.chunks_exact(4).map(pixel).collect()
    }

    /// Presses and releases a key (by its X name) in the window that has such a title.
    ///
    /// # Panics
    /// When xdotool is missing.
    pub fn press(&self, title: &str, key: &str) {
        let window = self.window(title);
        let status = Command::new("xdotool")
            .env("DISPLAY", &self.name)
            .args(["windowfocus", "--sync", &window, "key", key])
            .status();
        assert!(status.expect("xdotool").success(), "key {key}");
    }

    /// Waits for the window with such a title; its number.
    #[must_use]
    pub fn window(&self, title: &str) -> String {
        crate::eventually(&format!("a window titled {title}"), || {
            let output = Command::new("xdotool")
                .env("DISPLAY", &self.name)
                .args(["search", "--onlyvisible", "--name", title])
                .output()
                .expect("xdotool");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().map(str::to_owned)
        })
    }
}

impl Process {
    /// Waits for a line that is a number.
    fn number(&mut self) -> u32 {
        let mut line = self.line("");
        loop {
            if let Ok(number) = line.trim().parse() {
                return number;
            }
            line = self.line("");
        }
    }
}
