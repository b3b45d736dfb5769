//! Recordings from a library through relays with a disk, on real processes.

use std::path::Path;
use std::time::Duration;

use tests::process::{Process, relay, server, start};
use tests::recorded::Watcher;
use tests::{MOVIE, SILENT, ffprobe, sample};

const NAME: &str = "big-buck-bunny-480p-30s";

/// A folder with movies that nobody writes to any more.
fn library(movies: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let old = std::time::SystemTime::now() - Duration::from_secs(3_600);
    for movie in movies {
        let to = folder.path().join(movie);
        std::fs::copy(sample(movie), &to).expect("copy");
        let file = std::fs::File::options().write(true).open(&to).expect("open");
        file.set_modified(old).expect("a time");
    }
    folder
}

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().display().to_string()
}

fn cached(origin: &str, cache: &str) -> (Process, String) {
    relay(&["--origin", origin, "--cache-dir", cache])
}

/// Compares what came with what ffprobe says of the movie.
fn compare(got: &[proto::Packet], movie: &Path) {
    let wanted = ffprobe::packets(movie);
    assert_eq!(got.len(), wanted.len());
    for (video, track) in [(true, 0), (false, 1)] {
        let wanted = wanted.iter().filter(|p| p.video == video);
        let got = got.iter().filter(|p| p.header.track == track);
        for (number, (wanted, got)) in wanted.zip(got).enumerate() {
            let off = (wanted.pts_us - got.header.pts_us).abs();
            assert!(off <= 1, "packet {number}: {} {}", wanted.pts_us, got.header.pts_us);
            assert_eq!(wanted.key, got.header.key, "packet {number}");
            assert!(wanted.payload == got.payload, "bytes of packet {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movie_is_the_origins_through_relay_disk_and_restart() {
    let (films, cache) = (library(&[MOVIE, SILENT]), tempfile::tempdir().expect("folder"));
    let (origin, from) = server(&["--library", &path(&films)]);
    let (near, address) = cached(&from, &path(&cache));
    let mut first = Watcher::open_soon(&address, NAME).await;
    compare(&first.all().await.expect("all of it"), &sample(MOVIE));
    near.kill();
    origin.kill();

    // The origin is gone, the relay was killed: the disk has it.
    let (_near, address) = cached(&from, &path(&cache));
    let mut second = Watcher::open_soon(&address, NAME).await;
    compare(&second.all().await.expect("all of it"), &sample(MOVIE));
    // What nobody watched is not there, and that is said.
    assert!(Watcher::open(&address, "city-360p-7s-silent").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_disk_is_found_said_and_mended() {
    let (films, cache) = (library(&[MOVIE]), tempfile::tempdir().expect("folder"));
    let (_origin, from) = server(&["--library", &path(&films)]);
    let (mut near, address) = cached(&from, &path(&cache));
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    viewer.all().await.expect("all of it");
    let shelf = cache.path().join(viewer.index.id.to_string());
    let segment = |number: u64| shelf.join(format!("{number:010}.seg"));
    let mut bytes = std::fs::read(segment(2)).expect("a segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(segment(2), bytes).expect("write");
    std::fs::write(segment(3), b"cut").expect("write");
    std::fs::remove_file(segment(4)).expect("remove");
    compare(&viewer.all().await.expect("all of it"), &sample(MOVIE));
    near.line("segment 2 of");
    near.line("segment 3 of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_at_any_moment_loses_nothing_it_had() {
    let (films, cache) = (library(&[MOVIE]), tempfile::tempdir().expect("folder"));
    let (_origin, from) = server(&["--library", &path(&films)]);
    // scripts/test-crash asks for more.
    let rounds = std::env::var("CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8u64);
    for round in 0..rounds {
        let (near, address) = cached(&from, &path(&cache));
        let mut viewer = Watcher::open_soon(&address, NAME).await;
        let count = viewer.index.segments.len() as u64;
        let shelf = cache.path().join(viewer.index.id.to_string());
        // What was given out by now was kept before.
        let mut kept = Vec::new();
        for number in 0..=round % count {
            viewer.segment((number + round) % count).await.expect("a segment");
            kept.push((number + round) % count);
        }
        // Killed in the middle of fetching the rest.
        let rest = tokio::spawn(async move { viewer.all().await });
        tokio::time::sleep(Duration::from_micros(700 * (round * 37 % 64))).await;
        near.kill();
        let _ = rest.await;
        for number in kept {
            assert!(shelf.join(format!("{number:010}.seg")).exists(), "round {round}: {number}");
        }
        let (code, said) =
            start("cache-server", &["cache", "verify", "--cache-dir", &path(&cache)]).end();
        assert_eq!(code, 0, "round {round}: {said:?}");
        if round % 10 == 9 {
            // From an empty folder again: there is nothing left to fetch in one that is full.
            std::fs::remove_dir_all(&shelf).expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_looked_after_by_hand() {
    let (films, cache) = (library(&[MOVIE]), tempfile::tempdir().expect("folder"));
    let (_origin, from) = server(&["--library", &path(&films)]);
    let _ = Watcher::open_soon(&from, NAME).await;
    let folder = path(&cache);
    let chore = |args: &[&str]| {
        let args = [&["cache"], args, &["--cache-dir", &folder]].concat();
        let (code, said) = start("cache-server", &args).end();
        (code, said.join("\n"))
    };
    let (code, said) = chore(&["prefetch", "--origin", &from, NAME]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = chore(&["list", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&said).expect("a line");
    assert_eq!((code, line["name"].as_str()), (0, Some(NAME)), "{said}");
    assert_eq!(line["segments"], line["segments_of"], "{said}");
    // What any player opens is, packet by packet, what the origin has.
    let out = cache.path().join("out.mkv");
    let (code, said) = chore(&["export", NAME, &out.display().to_string()]);
    assert_eq!(code, 0, "{said}");
    let hashes = |movie: &Path| {
        let hashes = ffprobe::hashes(movie, "0:v:0", Some("h264_mp4toannexb"));
        hashes.into_iter().map(|(_, hash)| hash).collect::<Vec<_>>()
    };
    let exported = hashes(&out);
    assert!(exported.len() > 500);
    assert_eq!(exported, hashes(&sample(MOVIE)));
    let (code, said) = chore(&["remove", NAME]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = chore(&["export", NAME, &out.display().to_string()]);
    assert!(code == 1 && said.contains("no recording"), "{said}");
}

#[test]
fn a_cache_folder_that_cannot_be_used_is_said() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let folder = file.path().display().to_string();
    let args = ["--origin", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--cache-dir", &folder];
    let (code, said) = start("cache-server", &args).end();
    let all = said.join("\n");
    assert!(code == 1 && all.contains("--cache-dir") && !all.contains("panicked"), "{all}");

    let cache = tempfile::tempdir().expect("folder");
    let (_first, _) = cached("127.0.0.1:1", &path(&cache));
    let folder = path(&cache);
    let args = ["--origin", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--cache-dir", &folder];
    let (code, said) = start("cache-server", &args).end();
    assert!(code == 1 && said.join("\n").contains("in use"), "{said:?}");
}
