//! A private sound server, and an ear for it.

use std::process::Command;

use tempfile::TempDir;

use crate::eventually;
use crate::process::Process;

/// Samples a second of everything here.
pub const RATE: usize = 48_000;

/// A sound server with one sound card that nobody hears. Needs PulseAudio.
#[derive(Debug)]
pub struct Sound {
    _server: Process,
    folder: TempDir,
}

/// What is being recorded.
#[derive(Debug)]
pub struct Recording {
    process: Process,
    path: std::path::PathBuf,
}

impl Sound {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no PulseAudio.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let socket = folder.path().join("socket").display().to_string();
        let mut command = Command::new("pulseaudio");
        command
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"])
            .args(["--disable-shm", "--log-level=error"])
            // Without rewinds the card starts at once, as real ones do.
            .args(["-L", "module-null-sink sink_name=card rate=48000 channels=2 norewinds=1"])
            .args(["-L", &format!("module-native-protocol-unix auth-anonymous=1 socket={socket}")]);
        let server = Process::spawn("pulseaudio", command);
        eventually("the sound server", || std::fs::exists(&socket).ok()?.then_some(()));
        Self { _server: server, folder }
    }

    /// What `PULSE_SERVER` must be for its users.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.path().join("socket").display())
    }

    /// Records what is played from now on.
    ///
    /// # Panics
    /// When there is no `parec`.
    #[must_use]
    pub fn record(&self) -> Recording {
        let path = self.folder.path().join("recording.raw");
        let mut command = Command::new("parec");
        command
            .env("PULSE_SERVER", self.address())
            .args(["--device=card.monitor", "--format=s16le", "--rate=48000", "--channels=1"])
            .args(["--latency-msec=10", "--file-format=raw"])
            .arg(&path);
        let process = Process::spawn("parec", command);
        eventually("the recording", || std::fs::metadata(&path).ok().filter(|m| m.len() > 0));
        Recording { process, path }
    }
}

impl Recording {
    /// What was heard so far, mono, -1 to 1.
    ///
    /// # Panics
    /// When the recording has vanished.
    #[must_use]
    pub fn heard(&self) -> Vec<f32> {
        let bytes = std::fs::read(&self.path).expect("recording");
        let sample = |b: &[u8]| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0;
        bytes.chunks_exact(2).map(sample).collect()
    }

    /// Ends the recording.
    #[must_use]
    pub fn finish(self) -> Vec<f32> {
        let heard = self.heard();
        self.process.kill();
        heard
    }
}

/// The picture's and the sound's loudness in steps of 10 ms, without their mean.
#[must_use]
pub fn envelope(samples: &[f32]) -> Vec<f32> {
    let loudness = |block: &[f32]| block.iter().map(|s| s.abs()).sum::<f32>() / block.len() as f32;
    let steps: Vec<f32> = samples.chunks(RATE / 100).map(loudness).collect();
    let mean = steps.iter().sum::<f32>() / steps.len().max(1) as f32;
    steps.iter().map(|step| step - mean).collect()
}

/// How alike two rows are where they are most alike: 1 for the same, 0 for nothing in common.
#[must_use]
pub fn likeness(part: &[f32], whole: &[f32]) -> f32 {
    let power = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    let most = whole.len().saturating_sub(part.len());
    let at = |shift: usize| {
        let other = &whole[shift..shift + part.len()];
        let both: f32 = part.iter().zip(other).map(|(a, b)| a * b).sum();
        both / (power(part) * power(other)).max(f32::EPSILON)
    };
    (0..=most).map(at).fold(0.0, f32::max)
}
