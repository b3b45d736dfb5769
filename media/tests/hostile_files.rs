//! Files as nobody meant them: cut anywhere, overwritten anywhere. What is not refused gives packets
//! that can be sent. (`fuzz/` looks deeper.)

mod demuxed;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use demuxed::{check_mp4, check_reader, goes_forward};
use proptest::prelude::*;
use proptest::sample::Index;

const PICTURE: &str = "testsrc=size=64x48:rate=10:duration=1";
const SOUND: &str = "sine=sample_rate=48000:duration=1";

/// A small file made by ffmpeg: its name and its options.
fn make(folder: &Path, name: &str, options: &str) -> Vec<u8> {
    let file = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y"])
        .args(["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND])
        .args(options.split_whitespace())
        .arg(&file)
        .status()
        .expect("ffmpeg starts: this test needs it (Debian: apt install ffmpeg)");
    assert!(status.success(), "ffmpeg could not make {name}");
    std::fs::read(file).expect("what ffmpeg made")
}

/// Makes each file once.
fn made(files: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    files.iter().map(|(name, options)| make(folder.path(), name, options)).collect()
}

fn mp4s() -> &'static [Vec<u8>] {
    static MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MADE.get_or_init(|| {
        made(&[
            ("whole.mp4", "-c:v libx264 -pix_fmt yuv420p -g 5 -c:a aac"),
            ("front.mp4", "-c:v libx264 -pix_fmt yuv420p -g 5 -c:a aac -movflags faststart"),
            (
                "fragments.mp4",
                "-c:v libx264 -pix_fmt yuv420p -g 5 -c:a aac -movflags frag_keyframe+empty_moov",
            ),
            ("camera.mov", "-c:v mjpeg -pix_fmt yuvj420p -an"),
        ])
    })
}

fn matroskas() -> &'static [Vec<u8>] {
    static MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MADE.get_or_init(|| {
        made(&[
            ("movie.mkv", "-c:v libx264 -pix_fmt yuv420p -g 5 -c:a aac"),
            ("camera.mkv", "-c:v mjpeg -pix_fmt yuvj420p -c:a flac"),
            ("sound.webm", "-vn -c:a libopus"),
        ])
    })
}

fn sounds() -> &'static [Vec<u8>] {
    static MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MADE.get_or_init(|| {
        made(&[
            ("sound.mp3", "-vn"),
            ("sound.flac", "-vn"),
            ("sound.wav", "-vn"),
            ("sound.ogg", "-vn -c:a libopus"),
        ])
    })
}

/// What happens to a file: overwritten in some places, then cut.
#[derive(Clone, Debug)]
struct Damage {
    file: Index,
    overwritten: Vec<(Index, [u8; 4])>,
    cut: Option<Index>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let overwritten = proptest::collection::vec(any::<(Index, [u8; 4])>(), 0..6);
    (any::<Index>(), overwritten, proptest::option::of(any::<Index>()))
        .prop_map(|(file, overwritten, cut)| Damage { file, overwritten, cut })
}

fn damaged(files: &[Vec<u8>], damage: &Damage) -> Vec<u8> {
    let mut data = damage.file.get(files).clone();
    for (at, with) in &damage.overwritten {
        let at = at.index(data.len());
        let end = data.len().min(at + with.len());
        data[at..end].copy_from_slice(&with[..end - at]);
    }
    if let Some(cut) = &damage.cut {
        data.truncate(cut.index(data.len()));
    }
    data
}

#[test]
fn whole_files_are_read_whole() {
    let read = mp4s().iter().map(|file| check_mp4(file));
    let read = read.chain(matroskas().iter().map(|file| check_reader(file, true)));
    let read = read.chain(sounds().iter().map(|file| check_reader(file, false)));
    for packets in read {
        assert!(packets.len() >= 10, "ten pictures, or a second of sound");
        assert!(goes_forward(&packets), "decoding goes back in time");
        assert!(packets.iter().all(|p| p.header.dts_us <= p.header.pts_us), "decoded too late");
    }
}

proptest! {
    #[test]
    fn damaged_mp4_files_do_no_harm(damage in damage()) {
        check_mp4(&damaged(mp4s(), &damage));
    }

    #[test]
    fn damaged_matroska_files_do_no_harm(damage in damage()) {
        check_reader(&damaged(matroskas(), &damage), true);
    }

    #[test]
    fn damaged_sound_files_do_no_harm(damage in damage()) {
        check_reader(&damaged(sounds(), &damage), false);
    }

    #[test]
    fn random_bytes_do_no_harm(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check_mp4(&data);
        check_reader(&data, true);
        check_reader(&data, false);
    }
}
