//! Uploads that break, are taken over, and end more than once; and what else happens at the same time.

use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_takes_over_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let bytes = sample(CITY);
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("city.mp4", &bytes)).expect("taken");
    // A connection that nobody knows to be dead: it has brought something, and ends never.
    let mut dead = cinema.films.write(id, &ana(), 0).await.expect("is ours");
    dead.append(Bytes::copy_from_slice(&bytes[..1000])).await.expect("fits");
    let giving_way = tokio::spawn(async move {
        let why = dead.displaced().await;
        drop(dead);
        why
    });
    let (here, _) = cinema.films.offset(id, &ana()).await.expect("gives way");
    assert_eq!(here, 1000, "what it brought is here");
    assert!(matches!(giving_way.await.expect("ends"), Refusal::Displaced));
    // Two at once: one has the film, the other is told so, and every byte is there once.
    let half = bytes.len() / 2;
    let mut first = cinema.films.write(id, &ana(), 1000).await.expect("is ours");
    first.append(Bytes::copy_from_slice(&bytes[1000..half])).await.expect("fits");
    let giving_way = tokio::spawn(async move {
        first.displaced().await;
        drop(first);
    });
    let refused = cinema.films.write(id, &ana(), 1000).await;
    assert!(matches!(refused, Err(Refusal::Offset(here)) if here == half as u64));
    giving_way.await.expect("ends");
    cinema.send(id, half as u64, &bytes[half..]).await.expect("taken");
    cinema.line(id, |line| line.stage == "ready").await;
    let stored = folder.path().join("added").join(format!("{id}.mp4"));
    assert!(std::fs::read(stored).expect("is there") == bytes, "every byte");
    // One that is removed while it is written to.
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("b.mp4", &bytes)).expect("taken");
    let mut writer = cinema.films.write(id, &ana(), 0).await.expect("is ours");
    cinema.films.remove(id, &ana()).expect("is removed");
    assert!(matches!(writer.displaced().await, Refusal::NoSuch));
    drop(writer);
    assert!(files(&cinema.films.incoming()).is_empty());
    cinema.end().await;
}

static SHUT: AtomicBool = AtomicBool::new(false);

/// A disk that takes nothing as long as this lives.
struct Shut;

impl Shut {
    fn now() -> Self {
        SHUT.store(true, Ordering::SeqCst);
        Self
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        SHUT.store(false, Ordering::SeqCst);
    }
}

fn once_open(_: &Path) -> io::Result<u64> {
    while SHUT.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(u64::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_to_the_disk_is_waited_for() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::open(Settings { free: once_open, ..settings(&folder) });
    let bytes: Vec<u8> = (0..=250).cycle().take(2 * limits::CHUNK).collect();
    let (first, rest) = bytes.split_at(limits::CHUNK);
    let (id, _) = cinema.films.begin(&ana(), HERE, &wish("a.mp4", &bytes)).expect("taken");
    let part = cinema.films.incoming().join(format!("{id}.part"));
    let mut writer = cinema.films.write(id, &ana(), 0).await.expect("is ours");
    let shut = Shut::now();
    tokio::select! {
        biased;
        done = writer.append(Bytes::copy_from_slice(first)) => panic!("the disk is shut: {done:?}"),
        () = std::future::ready(()) => {}
    }
    // The connection broke while the disk was at it.
    drop(writer);
    let films = cinema.films.clone();
    let mut second = Box::pin(async move { films.write(id, &ana(), 0).await });
    tokio::select! {
        biased;
        early = &mut second => panic!("the disk is at it still: {:?}", early.map(|it| it.offset())),
        () = std::future::ready(()) => {}
    }
    drop(shut);
    let here = first.len() as u64;
    let refused = second.await.map(|writer| writer.offset());
    assert!(matches!(refused, Err(Refusal::Offset(at)) if at == here), "{refused:?}");
    cinema.line(id, |line| line.arrived == here).await;
    assert!(std::fs::read(&part).expect("is there") == first, "every byte once");
    cinema.send(id, here, &rest[..1]).await.expect("goes on");
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_may_be_said_twice_or_not_at_all() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let bytes = sample(CITY);
    let size = bytes.len() as u64;
    let wished = wish("city.mp4", &bytes);
    let (id, _) = cinema.films.begin(&ana(), HERE, &wished).expect("taken");
    // All of it comes, and the connection breaks before its end is said.
    let mut writer = cinema.films.write(id, &ana(), 0).await.expect("is ours");
    writer.append(Bytes::copy_from_slice(&bytes)).await.expect("fits");
    drop(writer);
    assert_eq!(cinema.films.offset(id, &ana()).await.expect("is known"), (size, size));
    cinema.line(id, |line| line.stage == "ready").await;
    // Who did not hear that says it again, and may not bring more.
    assert_eq!(cinema.send(id, size, b"").await.expect("is so"), size);
    assert_eq!(cinema.films.offset(id, &ana()).await.expect("is known"), (size, size));
    assert!(matches!(cinema.send(id, size, b"x").await, Err(Refusal::Beyond)));
    assert!(matches!(cinema.send(id, 0, &bytes).await, Err(Refusal::Offset(at)) if at == size));
    let other = cinema.films.write(id, &ben(), size).await.map(|writer| writer.offset());
    assert!(matches!(other, Err(Refusal::NotYours)));
    let stored = folder.path().join("added").join(format!("{id}.mp4"));
    assert!(std::fs::read(stored).expect("is there") == bytes, "every byte");
    // One that was converted has other bytes now, and its upload the same end.
    let bunny = sample(BUNNY_51);
    let size = bunny.len() as u64;
    let converted = cinema.add("bunny.mp4", &bunny).await;
    cinema.line(converted, |line| line.stream.is_some()).await;
    cinema.end().await;
    let cinema = again(&folder).await;
    cinema.catalogue(|streams| streams.len() == 2).await;
    assert_eq!(cinema.send(converted, size, b"").await.expect("is so"), size);
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_looked_through_is_found_by_who_begins_it_again() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let bunny = sample(BUNNY_51);
    let wished = wish("bunny.mp4", &bunny);
    let id = cinema.add("bunny.mp4", &bunny).await;
    let (again, here) = cinema.films.begin(&ana(), HERE, &wished).expect("is found");
    // Unless this took longer than converting it.
    let lines = cinema.films.list(Some(&ana()));
    if lines.iter().any(|line| line.id == id.to_string() && line.stage != "ready") {
        assert_eq!((again, here), (id, bunny.len() as u64));
    }
    cinema.line(id, |line| line.stage == "ready").await;
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_renames_meanwhile_is_heard() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let id = cinema.add("city.mp4", &sample(CITY)).await;
    // As often as it takes until it is in its place, two at a time.
    let mut last = 0;
    while cinema.films.list(Some(&ana())).iter().all(|line| line.stage != "ready") {
        let renaming = [last + 1, last + 2].map(|n| {
            let films = cinema.films.clone();
            tokio::task::spawn_blocking(move || films.rename(id, &ana(), &format!("{n}")))
        });
        for renamed in renaming {
            renamed.await.expect("runs").expect("is renamed");
        }
        last += 2;
    }
    let title = cinema.line(id, |line| line.stage == "ready").await.title;
    let card = folder.path().join("added").join(format!("{id}.json"));
    let card = std::fs::read_to_string(card).expect("a card");
    assert!(card.contains(&format!("\"title\":\"{title}\"")), "{title}: {card}");
    assert!(files(&cinema.films.incoming()).is_empty());
    cinema.end().await;
}
