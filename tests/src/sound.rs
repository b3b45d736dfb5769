//! A private sound server, and an ear for it.

use std::process::Command;

use tempfile::TempDir;

use crate::eventually;
use crate::process::Process;

/// Samples a second of everything here.
pub const RATE: usize = 48_000;

/// Most cards of one server.
pub const MOST_CARDS: usize = PLACES.len();
/// The channels of its sink; not the one for low frequencies, into which nothing is mixed.
const PLACES: [&str; 8] = [
    "front-left",
    "front-right",
    "rear-left",
    "rear-right",
    "front-center",
    "rear-center",
    "side-left",
    "side-right",
];

/// A sound server with a sound card that nobody hears. Needs PulseAudio.
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
    channels: usize,
}

impl Sound {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no PulseAudio.
    #[must_use]
    pub fn start() -> Self {
        Self::with_cards(1)
    }

    /// Starts one with several sound cards, `card1` and so on, which one ear hears at once: they are
    /// the channels of one sink, so that what is recorded of them is aligned to the sample.
    ///
    /// # Panics
    /// As [`Sound::start`]; when there are to be more than [`MOST_CARDS`].
    #[must_use]
    pub fn with_cards(cards: usize) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let socket = folder.path().join("socket").display().to_string();
        let mut command = Command::new("pulseaudio");
        let channels = if cards > 1 { cards } else { 2 };
        let map = PLACES[..channels].join(",");
        command
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"])
            .args(["--disable-shm", "--log-level=error"])
            // Without rewinds the card starts at once, as real ones do.
            .args(["-L", &format!("module-native-protocol-unix auth-anonymous=1 socket={socket}")])
            .args([
                "-L",
                &format!(
                    "module-null-sink sink_name=card rate=48000 channels={channels} channel_map={map} \
                     norewinds=1"
                ),
            ]);
        if cards > 1 {
            // Where those play that were given no card.
            command.args(["-L", "module-null-sink sink_name=nowhere rate=48000 norewinds=1"]);
        }
        for (card, place) in PLACES[..channels].iter().enumerate().filter(|_| cards > 1) {
            let name = card + 1;
            command.args([
                "-L",
                &format!(
                    "module-remap-sink sink_name=card{name} master=card channels=1 \
                     channel_map={place} master_channel_map={place} remix=no"
                ),
            ]);
        }
        let server = Process::spawn("pulseaudio", command);
        eventually("the sound server", || std::fs::exists(&socket).ok()?.then_some(()));
        let sound = Self { _server: server, folder };
        if cards > 1 {
            sound.pactl(&["set-default-sink", "nowhere"]);
        }
        sound
    }

    /// What `PULSE_SERVER` must be for its users.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.path().join("socket").display())
    }

    /// Programs that open a card from now on open this one (1 and so on), and so do those that were
    /// given none.
    ///
    /// # Panics
    /// When there is no such card.
    pub fn next_card(&self, card: usize) {
        self.pactl(&["set-default-sink", &format!("card{card}")]);
    }

    /// Waits until a program plays, and gives it a card for good: 1 and so on.
    ///
    /// # Panics
    /// When it never plays, or there is no such card.
    pub fn give_card(&self, player: &Process, card: usize) {
        let input = eventually("something is played", || {
            let inputs = self.pactl(&["list", "sink-inputs"]);
            let id = format!("application.process.id = \"{}\"", player.id());
            let block = inputs.split("Sink Input #").find(|block| block.contains(&id))?;
            block.lines().next().map(|number| number.trim().to_owned())
        });
        self.pactl(&["move-sink-input", &input, &format!("card{card}")]);
    }

    fn pactl(&self, args: &[&str]) -> String {
        let output = Command::new("pactl")
            .env("PULSE_SERVER", self.address())
            .env("LC_ALL", "C")
            .args(args)
            .output()
            .expect("pactl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Records what is played from now on.
    ///
    /// # Panics
    /// When there is no `parec`.
    #[must_use]
    pub fn record(&self) -> Recording {
        self.record_channels(1)
    }

    /// Records so many cards at once, a channel each.
    ///
    /// # Panics
    /// As [`Sound::record`].
    #[must_use]
    pub fn record_channels(&self, channels: usize) -> Recording {
        let path = self.folder.path().join("recording.raw");
        let mut command = Command::new("parec");
        command
            .env("PULSE_SERVER", self.address())
            .args(["--device=card.monitor", "--format=s16le", "--rate=48000"])
            .arg(format!("--channels={channels}"))
            .args(["--latency-msec=10", "--file-format=raw"])
            .arg(&path);
        if channels > 1 {
            command
                .args(["--no-remix", &format!("--channel-map={}", PLACES[..channels].join(","))]);
        }
        let process = Process::spawn("parec", command);
        eventually("the recording", || std::fs::metadata(&path).ok().filter(|m| m.len() > 0));
        Recording { process, path, channels }
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

    /// What was heard of each card so far; all are aligned to the sample.
    ///
    /// # Panics
    /// As [`Recording::heard`].
    #[must_use]
    pub fn heard_each(&self) -> Vec<Vec<f32>> {
        let heard = self.heard();
        let of = |card| heard.iter().skip(card).step_by(self.channels).copied().collect();
        let mut each: Vec<Vec<f32>> = (0..self.channels).map(of).collect();
        let shortest = each.iter().map(Vec::len).min().unwrap_or(0);
        each.iter_mut().for_each(|samples| samples.truncate(shortest));
        each
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
