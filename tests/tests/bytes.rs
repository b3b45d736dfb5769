//! Every byte of a movie, from its file through origin, relay and the relay's disk to a viewer, while
//! others seek in it. Takes the movies of `samples/`, or the files that `BYTES_OF` names, one a line
//! (`scripts/test-bytes`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use media::demux::{Movie, Way};
use proto::recording::{Digest, Index};
use proto::stream::{AudioCodec, Media, VideoCodec};
use proto::{Packet, PacketHeader};
use rand::Rng;
use tempfile::TempDir;
use tests::ffprobe::hashes;
use tests::process::{relay, server, start};
use tests::recorded::Watcher;
use tests::{MOVIE, SILENT, sample};

/// Viewers that seek while one collects everything.
const SEEKERS: usize = 20;
/// Segments each of them looks at, at least.
const SEEKS: usize = 5;
/// A long movie that has to be converted takes its time.
const CONVERSION: Duration = Duration::from_secs(4 * 3_600);

/// A packet without its bytes: what a long movie's worth of fits into memory.
type Print = (PacketHeader, Digest);

/// What the origin says of a movie: its index, and each segment's packets.
struct Truth {
    index: Index,
    segments: Vec<Vec<Print>>,
}

fn prints(packets: &[Packet]) -> Vec<Print> {
    packets.iter().map(|packet| (packet.header, Digest::of(&packet.payload))).collect()
}

impl Truth {
    /// As the origin at `address` has it; `Err` says why it has not.
    async fn of(address: &str, name: &str) -> Result<Self, String> {
        let started = Instant::now();
        let mut watcher = loop {
            match Watcher::open(address, name).await {
                Err(said) if said.contains("ask again") && started.elapsed() < CONVERSION => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                other => break other?,
            }
        };
        let mut segments = Vec::new();
        for number in 0..watcher.index.segments.len() as u64 {
            segments.push(prints(&watcher.segment(number).await?));
        }
        Ok(Self { index: watcher.index, segments })
    }

    fn check(&self, number: u64, got: &[Packet]) {
        let wanted = &self.segments[number as usize];
        assert_eq!(wanted.len(), got.len(), "packets of segment {number}");
        for (at, (wanted, got)) in wanted.iter().zip(prints(got)).enumerate() {
            assert_eq!(*wanted, got, "packet {at} of segment {number}");
        }
    }

    /// A viewer that collects all of it, beside others that seek, from the relay at `address`.
    async fn compare(self: &Arc<Self>, address: &str, name: &str) {
        let over = Arc::new(AtomicBool::new(false));
        let seekers: Vec<_> = (0..SEEKERS)
            .map(|_| {
                let (truth, over) = (self.clone(), over.clone());
                let (address, name) = (address.to_owned(), name.to_owned());
                tokio::spawn(async move { truth.seek(&address, &name, &over).await })
            })
            .collect();
        let mut viewer = Watcher::open_soon(address, name).await;
        assert_eq!(viewer.index, self.index);
        for number in 0..self.segments.len() as u64 {
            self.check(number, &viewer.segment(number).await.expect("a segment"));
        }
        over.store(true, Ordering::Relaxed);
        for seeker in seekers {
            seeker.await.expect("what a seeker got is the origin's");
        }
    }

    async fn seek(&self, address: &str, name: &str, over: &AtomicBool) {
        let mut viewer = Watcher::open_soon(address, name).await;
        let mut seeks = 0;
        while seeks < SEEKS || !over.load(Ordering::Relaxed) {
            let number = rand::rng().random_range(0..self.segments.len() as u64);
            self.check(number, &viewer.segment(number).await.expect("a segment"));
            seeks += 1;
        }
    }
}

/// A folder with one movie that nobody writes to any more; what it is called there.
fn library(movie: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let ending = movie.extension().unwrap_or_default();
    let copy = folder.path().join("movie").with_extension(ending);
    std::fs::copy(movie, &copy).expect("copy");
    let file = std::fs::File::options().write(true).open(&copy).expect("open");
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).expect("a time");
    (folder, copy)
}

/// The whole way of one movie; `Err` says why it cannot go it.
async fn follow(movie: &Path) -> Result<String, String> {
    const NAME: &str = "movie";
    let (films, copy) = library(movie);
    let folder = films.path().display().to_string();
    let (mut origin, from) = server(&["--library", &folder]);
    if origin.line_ever(&format!("in {folder}")).contains(" 0 movies") {
        let why = Movie::open(&copy).err().map(|error| error.to_string());
        return Err(why.unwrap_or_else(|| "its name does not end like a movie's".to_owned()));
    }
    let truth = Arc::new(Truth::of(&from, NAME).await?);

    let cache = tempfile::tempdir().expect("folder");
    let cached = cache.path().display().to_string();
    let args = ["--origin", &from, "--cache-dir", &cached];
    let (near, address) = relay(&args);
    truth.compare(&address, NAME).await;
    near.kill();
    origin.kill();
    // The origin is gone and the relay was killed: all there is now is the disk.
    let (near, address) = relay(&args);
    truth.compare(&address, NAME).await;
    near.kill();

    let packets: usize = truth.segments.iter().map(Vec::len).sum();
    let said = format!("{packets} packets in {} segments are the origin's", truth.segments.len());
    let way = Movie::open(&copy).map_err(|error| error.to_string())?.way().clone();
    Ok(match way {
        Way::PassThrough => format!("{said}; {}", of_the_file(&copy, &truth, &cached)),
        Way::Ffmpeg { why } => format!("{said}, which converts it: {why}"),
    })
}

/// Compares what the relay's disk is exported to with the movie itself: ffmpeg's word for both.
fn of_the_file(movie: &Path, truth: &Truth, cache: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mkv");
    let args = ["cache", "export", "--cache-dir", cache, "movie", &out.display().to_string()];
    let (code, said) = start("cache-server", &args).end();
    assert_eq!(code, 0, "{said:?}");
    let mut compared = Vec::new();
    let mut start_s = 0.0;
    for track in &truth.index.description.tracks {
        let (map, filter, what) = match &track.media {
            // Length-prefixed or with start codes: the same hashes only if both are the one.
            Media::Video(video) if video.codec == VideoCodec::H264 => {
                ("0:v:0", Some("h264_mp4toannexb"), "pictures")
            }
            Media::Video(_) => ("0:v:0", None, "pictures"),
            // Cut otherwise than the file has it: no packets to compare.
            Media::Audio(audio) if audio.codec == AudioCodec::PcmS16Le => continue,
            Media::Audio(_) => ("0:a:0", None, "pieces of sound"),
        };
        let (wanted, got) = (hashes(movie, map, filter), hashes(&out, map, filter));
        assert!(!wanted.is_empty() && !got.is_empty(), "{what}: ffmpeg sees none");
        // What sounds before the first picture, or before its own beginning, is not exported.
        let missing = wanted.len().checked_sub(got.len()).expect("no more than the file has");
        let early = wanted.iter().take_while(|(at_s, _)| *at_s < start_s).count();
        let allowed = if map == "0:a:0" { early } else { 0 };
        assert!(missing <= allowed, "{what}: {missing} are missing, {allowed} may be");
        for (number, ((_, wanted), (_, got))) in wanted[missing..].iter().zip(&got).enumerate() {
            assert_eq!(wanted, got, "{what}: number {number}");
        }
        if map == "0:v:0" {
            start_s = wanted.iter().map(|(at_s, _)| *at_s).fold(f64::MAX, f64::min).max(0.0);
        }
        compared.push(format!("{} {what}", got.len()));
    }
    match compared.is_empty() {
        true => "nothing of it that ffmpeg could compare".to_owned(),
        false => format!("by ffmpeg's hashes {} are the file's", compared.join(" and ")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_a_movie_comes_out_of_the_relays_disk() {
    let named = std::env::var("BYTES_OF").ok();
    let movies: Vec<PathBuf> = match &named {
        Some(named) => named.lines().map(PathBuf::from).collect(),
        None => [MOVIE, SILENT, "big-buck-bunny-720p-5s.mp4"].map(sample).to_vec(),
    };
    let (mut skipped, mut failed) = (0, 0);
    for movie in movies.clone() {
        let path = movie.display().to_string();
        // A task of its own: the others are looked at even when one fails.
        match tokio::spawn(async move { follow(&movie).await }).await {
            Ok(Ok(said)) => println!("{path}: {said}"),
            Ok(Err(why)) if named.is_some() => {
                println!("{path}: skipped, it cannot be served: {why}");
                skipped += 1;
            }
            other => {
                println!("{path}: FAILED: {other:?}");
                failed += 1;
            }
        }
    }
    let whole = movies.len() - skipped - failed;
    println!("{whole} movies are whole, {failed} are not, {skipped} files were skipped");
    assert_eq!(failed, 0);
}
