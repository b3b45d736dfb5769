//! Texts within a movie: found by ffprobe, read out by ffmpeg as WebVTT.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Failure, Input, Stderr, Tools, os, probe};

/// What ffmpeg calls subtitles that are texts; others are pictures.
const TEXTS: [&str; 8] =
    ["subrip", "ass", "ssa", "webvtt", "mov_text", "text", "subviewer", "microdvd"];
/// Those of them that are kept as they are; others become SubRip.
const KEPT: [&str; 4] = ["subrip", "ass", "ssa", "webvtt"];
/// How often it is looked whether they are still wanted.
const LOOK: Duration = Duration::from_millis(100);
/// All of a movie has to be read: a disk takes so long for the largest.
const PATIENCE: Duration = Duration::from_secs(600);

/// A stream of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// Its number in the movie.
    pub(crate) index: u32,
    /// As the movie says; empty if it does not.
    pub(crate) language: String,
    /// For people; empty if there is none.
    pub(crate) title: String,
    is_kept: bool,
}

/// All streams of text; `None` without ffprobe, or if it cannot read the movie.
pub(crate) fn list(movie: &Path) -> Option<Vec<Text>> {
    let probe = probe::run(&Tools::default(), &Input::File(movie.to_owned())).ok()?;
    let is_text = |stream: &probe::Stream| {
        stream.codec_type == "subtitle" && TEXTS.contains(&stream.codec_name.as_str())
    };
    let text = |stream: &probe::Stream| {
        let tags = &stream.tags;
        let known = tags.language != "und";
        let language = if known { tags.language.clone() } else { String::new() };
        let is_kept = KEPT.contains(&stream.codec_name.as_str());
        Text { index: stream.index, language, title: tags.title.clone(), is_kept }
    };
    Some(probe.streams.iter().filter(|stream| is_text(stream)).map(text).collect())
}

/// The text of a stream as WebVTT, at most `most` bytes of it; or the last that ffmpeg said.
pub(crate) fn read(movie: &Path, index: u32, most: usize) -> Result<Vec<u8>, String> {
    let arguments = os(&["-map", &format!("0:{index}"), "-f", "webvtt", "pipe:1"]);
    let mut child = start(movie, &arguments, Stdio::piped())?;
    let stderr = Stderr::collect(&mut child);
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.map(|stdout| stdout.take(most as u64).read_to_end(&mut text));
        // Nobody waits any more if it took too long.
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver.recv_timeout(PATIENCE);
    // Read to its end, too long, or too slow: it has nothing more to say.
    let _ = child.kill();
    let _ = child.wait();
    match text {
        Ok(Some(text)) if !text.is_empty() => Ok(text),
        Err(RecvTimeoutError::Timeout) => Err("it takes too long".to_owned()),
        _ => Err(stderr.last_line()),
    }
}

/// Writes streams of text into a Matroska file of at most about `most` bytes; or the last that ffmpeg said.
pub(crate) fn keep(
    movie: &Path,
    texts: &[Text],
    to: &Path,
    most: u64,
    is_wanted: &dyn Fn() -> bool,
) -> Result<(), String> {
    let mut arguments = os(&["-y"]);
    for (number, text) in texts.iter().enumerate() {
        let codec = if text.is_kept { "copy" } else { "subrip" };
        let map = format!("0:{}", text.index);
        arguments.extend(os(&["-map", &map, &format!("-c:s:{number}"), codec]));
    }
    arguments.extend(os(&["-fs", &most.to_string(), "-f", "matroska"]));
    // What stands before a colon would be a protocol.
    let mut named = OsString::from("file:");
    named.push(to);
    arguments.push(named);
    let mut child = start(movie, &arguments, Stdio::null())?;
    let stderr = Stderr::collect(&mut child);
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => return Err(stderr.last_line()),
            Ok(None) if is_wanted() && began.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("it takes too long, or is not wanted any more".to_owned())
}

/// Starts ffmpeg on a movie.
fn start(movie: &Path, arguments: &[OsString], stdout: Stdio) -> Result<Child, String> {
    let child = Command::new(&Tools::default().ffmpeg)
        .args(os(&["-nostdin", "-hide_banner", "-loglevel", "error"]))
        .args(Input::File(movie.to_owned()).arguments())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn();
    child.map_err(|error| match Failure::of_spawn(error) {
        Failure::Spawn(error) => error.to_string(),
        _ => "it is not installed; apt install ffmpeg".to_owned(),
    })
}
