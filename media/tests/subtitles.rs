//! Subtitles within movies as ffmpeg writes them, and beside them.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

use media::subtitle;

const SRT: &str = "1\n00:00:01,000 --> 00:00:02,500\nJa?\n\n2\n00:00:03,000 --> 00:00:04,000\n\
                   <i>Nein.</i>\n";

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/city-360p-7s-silent.mp4")
}

/// A movie with two texts in it, of these codecs.
fn with_texts(folder: &Path, name: &str, codecs: [&str; 2]) -> PathBuf {
    let (text, movie) = (folder.join("text.srt"), folder.join(name));
    std::fs::write(&text, SRT).unwrap();
    let said = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(sample())
        .arg("-i")
        .arg(&text)
        .args(["-map", "0:v", "-map", "1", "-map", "1", "-c:v", "copy"])
        .args(["-c:s:0", codecs[0], "-c:s:1", codecs[1]])
        .args(["-metadata:s:s:0", "language=ger", "-metadata:s:s:0", "title=Kurz"])
        .arg(&movie)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    movie
}

#[test]
fn texts_within_a_movie_are_read_as_webvtt() {
    let folder = tempfile::tempdir().unwrap();
    for (name, codecs) in [("a.mkv", ["subrip", "ass"]), ("b.mp4", ["mov_text", "mov_text"])] {
        let movie = with_texts(folder.path(), name, codecs);
        let found = subtitle::within(&movie);
        assert_eq!(found.len(), 2, "{name}");
        assert_eq!(found[0].track.language, "ger", "{name}");
        assert_eq!(found[1].track.language, "", "{name}");
        assert_ne!(found[0].track.key, found[1].track.key);
        if name == "a.mkv" {
            assert_eq!(found[0].track.title, "Kurz");
        }
        for found in found {
            let text = found.read().unwrap();
            assert!(text.starts_with("WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nJa?\n"), "{text}");
            assert!(text.contains("\n00:00:03.000 --> 00:00:04.000\n<i>Nein.</i>\n"), "{text}");
        }
    }
}

#[test]
fn a_file_beside_a_movie_is_its_subtitles() {
    let folder = tempfile::tempdir().unwrap();
    let movie = folder.path().join("film.mp4");
    std::fs::copy(sample(), &movie).unwrap();
    std::fs::write(folder.path().join("film.en.srt"), SRT).unwrap();
    let found = subtitle::beside(&movie);
    assert_eq!((found.len(), found[0].track.language.as_str()), (1, "en"));
    assert!(found[0].read().unwrap().contains("Nein."));
    assert!(subtitle::within(&movie).is_empty());
    std::fs::write(folder.path().join("film.en.srt"), "no cue in it").unwrap();
    let said = found[0].read().unwrap_err().to_string();
    assert!(said.contains("film.en.srt: the subtitles are empty"), "{said}");
}

#[test]
fn what_is_no_movie_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    assert!(subtitle::within(&path).is_empty() && subtitle::beside(&path).is_empty());
    std::fs::write(&path, b"no movie").unwrap();
    assert!(subtitle::within(&path).is_empty());
}
