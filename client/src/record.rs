//! `--record`: writes what arrives, untouched, on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use media::record::Recorder;
use proto::{Packet, StreamDescription};

use crate::output::remark;

/// Most payload that waits for the disk, bytes: some seconds of anything.
const WAITING: usize = 64 << 20;

/// What an entry costs beside its payload, bytes.
const OVERHEAD: usize = 256;
/// Most times a stream may start anew, each with a file of its own: more is a broken source.
const RESTARTS: u32 = 100;

/// A recording that runs beside the player. A failure ends it with a sentence; playing goes on.
#[derive(Debug)]
pub struct Recording {
    tap: Tap,
    thread: JoinHandle<()>,
}

/// Where the recording is fed.
#[derive(Clone, Debug)]
pub struct Tap {
    to_thread: Sender<Entry>,
    waiting: Arc<AtomicUsize>,
    failed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Entry {
    Describe(Box<Described>),
    Packet(Packet),
    Finish,
    Discard,
}

#[derive(Debug)]
struct Described {
    stream: StreamDescription,
    /// Its timeline begins anew.
    restarted: bool,
}

/// Whether a file's name says that it can be recorded.
#[must_use]
pub fn is_recordable(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|e| e.eq_ignore_ascii_case("mkv") || e.eq_ignore_ascii_case("mp4"))
}

impl Recording {
    /// Gets ready to record to `path`; the file comes with the first packet. That it can be made is
    /// tried at once, so that the user knows before anything is played.
    pub fn start(path: PathBuf) -> std::io::Result<Self> {
        std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let (to_thread, entries) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let failed = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            path,
            waiting: waiting.clone(),
            failed: failed.clone(),
            recorder: None,
            described: None,
            restarts: 0,
        };
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || writer.run(&entries))?;
        Ok(Self { tap: Tap { to_thread, waiting, failed }, thread })
    }

    /// Where to feed it.
    #[must_use]
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Completes the file; gives whether everything was recorded.
    #[must_use]
    pub fn finish(self) -> bool {
        self.tap.send(Entry::Finish);
        self.thread.join().is_ok() && !self.tap.failed.load(Ordering::Relaxed)
    }

    /// Takes back what was written: nothing was played, and a file would be in the next try's way.
    pub fn discard(self) {
        self.tap.send(Entry::Discard);
        let _ = self.thread.join();
    }
}

impl Tap {
    /// From here on packets are of this stream; `restarted` if its timeline begins anew.
    pub fn describe(&self, stream: StreamDescription, restarted: bool) {
        self.offer(Entry::Describe(Box::new(Described { stream, restarted })));
    }

    /// Takes a packet in.
    pub fn packet(&self, packet: Packet) {
        self.offer(Entry::Packet(packet));
    }

    fn offer(&self, entry: Entry) {
        let bytes = entry.bytes();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) <= WAITING {
            self.send(entry);
            return;
        }
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        if !self.failed.swap(true, Ordering::Relaxed) {
            remark("the recording has ended: the disk is too slow");
        }
    }

    fn send(&self, entry: Entry) {
        // The thread reads to the end; it can only be gone after a panic, which `finish` tells.
        let _ = self.to_thread.send(entry);
    }
}

impl Entry {
    /// What it costs while it waits.
    fn bytes(&self) -> usize {
        match self {
            Self::Packet(packet) => packet.payload.len() + OVERHEAD,
            Self::Describe(described) => {
                let config = |track: &proto::Track| track.codec_config.len() + OVERHEAD;
                described.stream.tracks.iter().map(config).sum::<usize>() + OVERHEAD
            }
            Self::Finish | Self::Discard => 0,
        }
    }
}

struct Writer {
    path: PathBuf,
    waiting: Arc<AtomicUsize>,
    failed: Arc<AtomicBool>,
    recorder: Option<Recorder>,
    described: Option<Box<Described>>,
    restarts: u32,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        while let Ok(entry) = entries.recv() {
            self.waiting.fetch_sub(entry.bytes(), Ordering::Relaxed);
            match entry {
                Entry::Finish => break,
                Entry::Discard => return self.discard(),
                Entry::Describe(described) => self.described = Some(described),
                Entry::Packet(packet) => self.packet(&packet),
            }
        }
        if let Some(Err(error)) = self.recorder.take().map(Recorder::finish) {
            self.fail(error);
        }
    }

    fn discard(self) {
        let Some(recorder) = self.recorder else { return };
        let path = recorder.path().to_owned();
        drop(recorder);
        if let Err(error) = std::fs::remove_file(&path) {
            remark(format_args!("{} could not be removed: {error}", path.display()));
        }
    }

    fn packet(&mut self, packet: &Packet) {
        // A file begins with its first packet: descriptions alone make none.
        if let Some(described) = self.described.take()
            && let Err(error) = self.begin(&described)
        {
            self.fail(error);
        }
        if self.failed.load(Ordering::Relaxed) {
            self.recorder = None;
        } else if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.write(packet)
        {
            self.fail(error);
        }
    }

    /// Opens the file, or the next one for a stream that does not go on as it was.
    fn begin(&mut self, described: &Described) -> Result<(), RecordError> {
        let Some(recorder) = &mut self.recorder else {
            self.recorder = Some(Recorder::create(&self.path, &described.stream)?);
            return Ok(());
        };
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(RecordError::Restless);
        }
        let before = recorder.path().to_owned();
        recorder.describe(&described.stream, described.restarted)?;
        if recorder.path() != before {
            let path = recorder.path().display();
            remark(format_args!("the stream starts anew: recording to {path}"));
        }
        Ok(())
    }

    fn fail(&self, error: impl std::fmt::Display) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            remark(format_args!("the recording has ended: {error}"));
        }
    }
}

/// Why a recording does not go on.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Recorder(#[from] media::record::Error),
    #[error("the stream starts anew all the time")]
    Restless,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_we_write_are_recordable() {
        for (name, fine) in [("a.mkv", true), ("A.MP4", true), ("a.avi", false), ("mkv", false)] {
            assert_eq!(is_recordable(Path::new(name)), fine, "{name}");
        }
    }

    #[test]
    fn a_discarded_recording_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.mkv");
        let recording = Recording::start(path.clone()).expect("starts");
        let tap = recording.tap();
        let audio = proto::stream::Audio {
            codec: proto::stream::AudioCodec::Opus,
            sample_rate: 48_000,
            channels: 2,
        };
        let track = proto::Track {
            media: proto::stream::Media::Audio(audio),
            codec_config: Vec::new().into(),
            language: String::new(),
        };
        tap.describe(
            StreamDescription {
                name: "a".into(),
                title: String::new(),
                live: true,
                run: 1,
                duration_us: None,
                tracks: vec![track],
            },
            false,
        );
        let mut packet = Packet::default();
        packet.header.key = true;
        tap.packet(packet);
        recording.discard();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_exists_is_left_alone_and_an_empty_recording_leaves_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.mkv");
        let recording = Recording::start(path.clone()).expect("starts");
        assert!(recording.finish());
        assert!(!path.exists());
        std::fs::write(&path, "precious").expect("writes");
        let again = Recording::start(path.clone()).expect_err("exists");
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("reads"), b"precious");
    }
}
