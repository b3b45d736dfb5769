//! Films that people add: arriving in pieces, made ready, offered, renamed, removed; and what may go
//! wrong on the way.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use library::films::{FilmId, Films, Line, Owner, Refusal, Settings, Wish, limits};
use library::{Library, Settings as Folder};
use proto::StreamInfo;
use relay::Node;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

#[path = "../common/mod.rs"]
mod common;
mod fetched;
mod interrupted;

use common::PATIENCE;

const CITY: &str = "city-360p-7s-silent.mp4";
const BUNNY_51: &str = "big-buck-bunny-720p-5s.mp4";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name);
    std::fs::read(path).expect("a sample")
}

fn ana() -> Owner {
    Owner("ana".to_owned())
}

fn ben() -> Owner {
    Owner("ben".to_owned())
}

fn wish(name: &str, bytes: &[u8]) -> Wish {
    Wish { name: name.to_owned(), size: bytes.len() as u64, mark: String::new() }
}

/// A relay's folder.
struct Cinema {
    films: Films,
    node: Node,
    stop: watch::Sender<bool>,
    library: Library,
}

impl Cinema {
    fn open(settings: Settings) -> Self {
        let folder = settings.folder.clone();
        let runtime = Handle::current();
        let films = Films::open(settings, &runtime).expect("is ours");
        let node = Node::new(relay::Config::default());
        let (stop, stopped) = watch::channel(false);
        // Only the bell makes it look again in the time of a test.
        let every = Duration::from_secs(600);
        let folder = Folder { folder, work: Some(films.incoming()), every };
        let library = Library::start(folder, Some(films.clone()), &node, stopped, &runtime);
        Self { films, node, stop, library: library.expect("starts") }
    }

    fn usual(folder: &TempDir) -> Self {
        Self::open(settings(folder))
    }

    async fn catalogue(&self, is_so: impl Fn(&[StreamInfo]) -> bool) -> Vec<StreamInfo> {
        let waited = common::catalogue(&self.node, is_so).await;
        let films = || self.films.list(Some(&ana()));
        waited.unwrap_or_else(|other| panic!("still {other:?}, {:?}", films()))
    }

    /// What is said of a film to who added it, once it is so.
    async fn line(&self, id: FilmId, is_so: impl Fn(&Line) -> bool) -> Line {
        let waiting = async {
            loop {
                let mut lines = self.films.list(Some(&ana())).into_iter();
                match lines.find(|line| line.id == id.to_string()) {
                    Some(line) if is_so(&line) => return line,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("still {:?}", self.films.list(Some(&ana()))))
    }

    async fn add(&self, name: &str, bytes: &[u8]) -> FilmId {
        let (id, offset) = self.films.begin(&ana(), HERE, &wish(name, bytes)).expect("is taken");
        assert_eq!(offset, 0);
        self.send(id, 0, bytes).await.expect("is taken");
        id
    }

    async fn send(&self, id: FilmId, offset: u64, bytes: &[u8]) -> Result<u64, Refusal> {
        let mut writer = self.films.write(id, &ana(), offset).await?;
        writer.append(Bytes::copy_from_slice(bytes)).await?;
        writer.finish().await
    }

    async fn end(self) {
        self.films.stop();
        self.stop.send_replace(true);
        let ended = tokio::task::spawn_blocking(move || {
            while !self.library.is_finished() {
                std::thread::yield_now();
            }
        });
        timeout(PATIENCE, ended).await.expect("ends").expect("ends well");
    }
}

fn settings(folder: &TempDir) -> Settings {
    let reserve = 0;
    Settings { reserve, ..Settings::new(folder.path().to_owned(), 64 << 20, false) }
}

/// Opened again as soon as the one before has let go of the folder.
async fn again(folder: &TempDir) -> Cinema {
    let lock = std::fs::File::open(folder.path().join(".instep/lock")).expect("is there");
    let waited = tokio::task::spawn_blocking(move || lock.lock());
    timeout(PATIENCE, waited).await.expect("is let go of").expect("runs").expect("locks");
    Cinema::usual(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("readable").flatten();
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    all.retain(|path| path.is_file() && !path.ends_with("lock"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_was_added_is_a_recording() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let bytes = sample(CITY);
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("City Trip.mp4", &bytes)).expect("taken");
    // In pieces, each of which says where it belongs.
    let half = bytes.len() / 2;
    assert_eq!(cinema.send(id, 0, &bytes[..half]).await.expect("taken"), half as u64);
    let line = cinema.line(id, |line| line.arrived == half as u64).await;
    assert_eq!((line.stage, line.title.as_str(), line.mine), ("arriving", "City Trip", true));
    assert!((line.done.expect("is known") - 0.5).abs() < 0.01);
    let others = cinema.films.list(Some(&ben()));
    assert!(others.len() == 1 && !others[0].mine, "others see what is underway");
    assert!(cinema.node.catalogue().is_empty(), "nothing half is offered");
    assert_eq!(
        cinema.films.offset(id, &ana()).await.expect("is known"),
        (half as u64, bytes.len() as u64)
    );
    cinema.send(id, half as u64, &bytes[half..]).await.expect("taken");
    let known = |streams: &[StreamInfo]| {
        streams.first().and_then(|stream| stream.recording).is_some_and(|known| known.poster)
    };
    let catalogue = cinema.catalogue(known).await;
    assert_eq!((catalogue[0].name.as_str(), catalogue[0].live), ("City Trip", false));
    let line = cinema.line(id, |line| line.stream.is_some()).await;
    assert_eq!((line.stage, line.stream.as_deref()), ("ready", Some("City Trip")));
    assert!(cinema.films.list(Some(&ben())).is_empty(), "it is in the catalogue now");
    let stored = folder.path().join("added").join(format!("{id}.mp4"));
    assert!(std::fs::read(stored).expect("is there") == bytes, "every byte");
    assert!(files(&cinema.films.incoming()).is_empty());

    cinema.films.rename(id, &ana(), " Rom, <b>2026</b> ").expect("is renamed");
    let catalogue = cinema.catalogue(|streams| streams[0].title == "Rom, <b>2026</b>").await;
    assert_eq!(catalogue[0].name, "City Trip", "addresses stay");
    assert!(matches!(cinema.films.rename(id, &ben(), "mine"), Err(Refusal::NotYours)));
    for bad in ["", "  ", "two\nlines", &"ü".repeat(300)] {
        assert!(matches!(cinema.films.rename(id, &ana(), bad), Err(Refusal::Title)), "{bad}");
    }
    assert!(matches!(cinema.films.remove(id, &ben()), Err(Refusal::NotYours)));
    cinema.films.remove(id, &ana()).expect("is removed");
    cinema.catalogue(<[StreamInfo]>::is_empty).await;
    assert!(files(&folder.path().join("added")).is_empty());
    assert!(matches!(cinema.films.remove(id, &ana()), Err(Refusal::NoSuch)));
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_viewers_cannot_play_is_converted() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let id = cinema.add("Bunny.mp4", &sample(BUNNY_51)).await;
    let line = cinema.line(id, |line| matches!(line.stage, "ready" | "failed")).await;
    assert_eq!((line.stage, line.why), ("ready", None));
    let catalogue = cinema.catalogue(|streams| streams.len() == 1).await;
    assert!(catalogue[0].summary.contains("stereo"), "{}", catalogue[0].summary);
    let stored = folder.path().join("added").join(format!("{id}.mkv"));
    assert!(stored.is_file() && files(&cinema.films.incoming()).is_empty());
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_converted_keeps_its_subtitles() {
    let folder = tempfile::tempdir().expect("folder");
    let texts = folder.path().join("texts.srt");
    std::fs::write(&texts, "1\n00:00:01,000 --> 00:00:02,000\nHello\n").expect("written");
    let made = folder.path().join("made.mkv");
    let bunny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(BUNNY_51);
    let status = std::process::Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-i"])
        .args([&bunny, Path::new("-i"), &texts])
        .args(["-map", "0:v", "-map", "0:a", "-map", "1", "-map", "1", "-map", "1", "-c", "copy"])
        .args(["-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=fre"])
        .arg(&made)
        .status();
    assert!(status.expect("ffmpeg").success());
    let bytes = std::fs::read(&made).expect("made");
    std::fs::remove_file(made).expect("removed");
    std::fs::remove_file(texts).expect("removed");

    let cinema = Cinema::usual(&folder);
    let id = cinema.add("Bunny.mkv", &bytes).await;
    let line = cinema.line(id, |line| matches!(line.stage, "ready" | "failed")).await;
    assert_eq!((line.stage, line.why), ("ready", None));
    let added = folder.path().join("added");
    let found = media::subtitle::within(&added.join(format!("{id}.mkv")));
    let languages: Vec<&str> = found.iter().map(|found| found.track.language.as_str()).collect();
    assert_eq!(languages, ["ger", "fre", ""]);
    assert!(found.iter().all(|found| found.read().expect("a text").contains("Hello")));
    assert!(files(&cinema.films.incoming()).is_empty(), "{:?}", files(&cinema.films.incoming()));
    cinema.films.remove(id, &ana()).expect("is removed");
    assert!(files(&added).is_empty(), "{:?}", files(&added));
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_film_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let secret = folder.path().join("secret.mp4");
    std::fs::write(&secret, sample(CITY)).expect("written");
    let list =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:7,\nfile://{}\n", secret.display());
    let list = format!("{list}#EXT-X-ENDLIST\n");
    let joined = format!("ffconcat version 1.0\nfile {}\n", secret.display());
    let cut = &sample(CITY)[..2000];
    for (name, bytes) in [
        ("text.mp4", &b"just some text"[..]),
        ("cut off.mp4", cut),
        // What others have on this machine is not for who uploads a list of it.
        ("list.m3u8", list.as_bytes()),
        ("list.mp4", list.as_bytes()),
        ("joined.mkv", joined.as_bytes()),
        ("page.mp4", b"<!doctype html><script>alert(1)</script>"),
        ("noise.ts", &[0x47; 400]),
    ] {
        let id = cinema.add(name, bytes).await;
        let line = cinema.line(id, |line| matches!(line.stage, "ready" | "failed")).await;
        let why = line.why.unwrap_or_else(|| panic!("{name} is {}", line.stage));
        let path = folder.path().display().to_string();
        assert!(!why.contains(&path) && why.contains(&line.title), "{why}");
        assert!(cinema.films.list(Some(&ben())).is_empty(), "it is nobody else's business");
        cinema.films.remove(id, &ana()).expect("is dismissed");
    }
    assert!(files(&cinema.films.incoming()).is_empty());
    assert!(files(&folder.path().join("added")).is_empty());
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let begin = |size: u64, name: &str, from: IpAddr| {
        let wish = Wish { name: name.to_owned(), size, mark: String::new() };
        cinema.films.begin(&ana(), from, &wish)
    };
    assert!(matches!(begin(0, "a", HERE), Err(Refusal::Empty)));
    assert!(matches!(begin((64 << 20) + 1, "a", HERE), Err(Refusal::TooLarge(..))));
    assert!(matches!(begin(u64::MAX, "a", HERE), Err(Refusal::TooLarge(..))));
    let (id, _) = begin(10, "a", HERE).expect("is taken");
    assert_eq!(begin(10, "a", HERE).expect("is found"), (id, 0), "the same is the same");
    // More than was said, at once and bit by bit.
    assert!(matches!(cinema.send(id, 0, &[0; 11]).await, Err(Refusal::Beyond)));
    let mut writer = cinema.films.write(id, &ana(), 0).await.expect("is ours");
    writer.append(Bytes::from_static(b"123456")).await.expect("fits");
    let more = writer.append(Bytes::from_static(b"789012")).await;
    assert!(matches!(more, Err(Refusal::Beyond)));
    drop(writer);
    for wrong in [0, 5, 7, 10, 11, u64::MAX] {
        let refused = cinema.send(id, wrong, b"x").await;
        assert!(matches!(refused, Err(Refusal::Offset(6))), "{wrong}: {refused:?}");
    }
    assert!(matches!(cinema.films.write(id, &ben(), 6).await, Err(Refusal::NotYours)));
    assert!(matches!(cinema.films.offset(id, &ben()).await, Err(Refusal::NotYours)));
    for n in 1..limits::UNDERWAY_PER_ADDRESS {
        begin(10, &format!("{n}"), HERE).expect("is taken");
    }
    assert!(matches!(begin(10, "one too many", HERE), Err(Refusal::TooMany)));
    for n in limits::UNDERWAY_PER_ADDRESS..limits::UNDERWAY {
        let from = IpAddr::from([10, 0, 0, u8::try_from(n / 4).expect("few")]);
        begin(10, &format!("{n}"), from).expect("is taken");
    }
    assert!(matches!(begin(10, "x", [10, 9, 9, 9].into()), Err(Refusal::TooMany)));
    cinema.films.remove(id, &ana()).expect("is ended");
    begin(10, "x", [10, 9, 9, 9].into()).expect("a place became free");
    cinema.end().await;
}

static FREE: AtomicU64 = AtomicU64::new(0);

fn free(_: &Path) -> io::Result<u64> {
    Ok(FREE.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_gone_on_with() {
    let folder = tempfile::tempdir().expect("folder");
    FREE.store(10 << 20, Ordering::SeqCst);
    let cinema = Cinema::open(Settings { free, reserve: 1 << 20, ..settings(&folder) });
    let bytes = sample(CITY);
    let large = Wish { name: "large".into(), size: 9 << 20, mark: String::new() };
    let (large, _) = cinema.films.begin(&ana(), HERE, &large).expect("fits");
    let refused = cinema.films.begin(&ana(), HERE, &wish("a.mp4", &bytes));
    assert!(matches!(refused, Err(Refusal::NoRoom)), "that room is promised");
    cinema.films.remove(large, &ana()).expect("is ended");
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("a.mp4", &bytes)).expect("fits");
    FREE.store(1 << 20, Ordering::SeqCst);
    let refused = cinema.send(id, 0, &bytes).await;
    assert!(matches!(refused, Err(Refusal::NoRoom)), "{refused:?}");
    FREE.store(10 << 20, Ordering::SeqCst);
    let (here, _) = cinema.films.offset(id, &ana()).await.expect("is there still");
    cinema.send(id, here, &bytes[usize::try_from(here).expect("small")..]).await.expect("taken");
    cinema.line(id, |line| line.stage == "ready").await;
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_all_goes_on() {
    let folder = tempfile::tempdir().expect("folder");
    let bytes = sample(CITY);
    let cinema = Cinema::usual(&folder);
    let done = cinema.add("done.mp4", &bytes).await;
    cinema.catalogue(|streams| streams.len() == 1).await;
    cinema.films.rename(done, &ana(), "All done").expect("is renamed");
    let (half, _) = cinema.films.begin(&ana(), HERE, &wish("half.mp4", &bytes)).expect("taken");
    cinema.send(half, 0, &bytes[..5000]).await.expect("taken");
    let in_use = Films::open(settings(&folder), &Handle::current()).expect_err("is in use");
    assert!(in_use.to_string().contains("in use by a running cache-server"), "{in_use}");
    let incoming = cinema.films.incoming();
    cinema.end().await;
    // What a process that was killed leaves.
    let whole = "0123456789abcdef0123456789abcdef";
    let card = std::fs::read_to_string(incoming.join(format!("{half}.json"))).expect("a card");
    std::fs::write(incoming.join(format!("{whole}.json")), card.replace("half", "whole"))
        .expect("w");
    std::fs::write(incoming.join(format!("{whole}.part")), &bytes).expect("written");
    std::fs::write(incoming.join(format!("{whole}.mkv")), "half converted").expect("written");
    std::fs::write(incoming.join("nobody.part"), "x").expect("written");
    std::fs::write(incoming.join(format!("{}.json", "1".repeat(32))), "{broken").expect("written");
    std::fs::create_dir(incoming.join("instep-library-x")).expect("made");
    let orphan = folder.path().join("added").join(format!("{}.json", "2".repeat(32)));
    std::fs::write(&orphan, card).expect("written");

    let cinema = again(&folder).await;
    let catalogue = cinema.catalogue(|streams| streams.len() == 2).await;
    let titles: Vec<&str> = catalogue.iter().map(|stream| stream.title.as_str()).collect();
    assert_eq!(titles, ["All done", "whole"]);
    assert_eq!(catalogue[0].name, "done");
    let begun = cinema.films.begin(&ana(), HERE, &wish("half.mp4", &bytes)).expect("is found");
    assert_eq!(begun, (half, 5000), "the same file is gone on with");
    cinema.send(half, 5000, &bytes[5000..]).await.expect("taken");
    cinema.catalogue(|streams| streams.len() == 3).await;
    assert!(files(&incoming).is_empty(), "{:?}", files(&incoming));
    assert!(!orphan.exists());
    cinema.films.remove(done, &ana()).expect("is hers still");
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_gone_on_with_is_dropped() {
    let folder = tempfile::tempdir().expect("folder");
    let unfinished = Duration::from_millis(50);
    let cinema = Cinema::open(Settings { unfinished, ..settings(&folder) });
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("a.mp4", &[0; 100])).expect("taken");
    cinema.send(id, 0, &[0; 10]).await.expect("taken");
    let gone = async {
        while !cinema.films.list(Some(&ana())).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("is dropped");
    let none_left = async {
        while !files(&cinema.films.incoming()).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, none_left).await.expect("its files, too");
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_ipv6_is_one_address() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let begin = |from: String| {
        let wish = Wish { name: from.clone(), size: 10, mark: String::new() };
        cinema.films.begin(&ana(), from.parse().expect("an address"), &wish)
    };
    for n in 0..limits::UNDERWAY_PER_ADDRESS {
        begin(format!("2a00:1:2:3::{n:x}")).expect("is taken");
    }
    assert!(matches!(begin("2a00:1:2:3:f::1".to_owned()), Err(Refusal::TooMany)));
    begin("2a00:1:2:4::1".to_owned()).expect("is another network");
    cinema.end().await;
}
