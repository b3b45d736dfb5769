//! What disks and origins do to a relay's cache folder: a disk that is full or may only be read, an
//! origin that sends damaged or other bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::process::{self, Process, relay, start};
use tests::recorded::{Watcher, poster};
use tests::tape::{NAME, Origin, POSTER, Tape};

const SEGMENTS: u64 = 6;
/// Of a segment.
const BYTES: usize = 200_000;

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().display().to_string()
}

fn cached(origin: &str, cache: &str) -> (Process, String) {
    relay(&["--origin", origin, "--cache-dir", cache])
}

/// A viewer gets all, and all of it is what the origin has now.
async fn compare(viewer: &mut Watcher, tape: &Tape) {
    for number in 0..SEGMENTS {
        let got = viewer.segment(number).await.expect("a segment");
        assert!(got == tape.packets(number), "segment {number} is not what the origin has");
    }
}

fn segments(shelf: &Path) -> usize {
    let names = std::fs::read_dir(shelf).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().extension().is_some_and(|end| end == "seg")).count()
}

/// A relay with mounts of its own: `prepare` is a line of shell that makes them. `None`, said, where the
/// system lets nobody have any.
fn relay_with_mounts(prepare: &str, origin: &str, cache: &str) -> Option<(Process, String)> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: this system lets nobody mount in a namespace (unshare -rm)");
        return None;
    }
    let mut command = process::wrapped("unshare");
    let run = format!("{prepare} && exec \"$0\" \"$@\"");
    command.args(["-rm", "sh", "-c", &run]).arg(process::program("cache-server"));
    command.args(["--origin", origin, "--cache-dir", cache]);
    command.args(["--listen", "127.0.0.1:0", "--no-announce"]);
    let mut relay = Process::spawn("cache-server", command);
    let line = relay.line("listening on");
    Some((relay, line.rsplit(' ').next().unwrap_or_default().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_does_not_take_is_passed_on_until_it_takes_again() {
    let origin = Origin::start(SEGMENTS, BYTES);
    let cache = tempfile::tempdir().expect("folder");
    let folder = path(&cache);
    // Room for two segments and a half; then something else goes, and there is room for all.
    let prepare = format!(
        "mount -t tmpfs -o size=2000k none '{folder}' && head -c 1500k /dev/zero > '{folder}/other'"
    );
    let Some((mut near, address)) = relay_with_mounts(&prepare, &origin.address, &folder) else {
        return;
    };
    let inside: PathBuf = format!("/proc/{}/root{folder}", near.id()).into();
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    let shelf = inside.join(viewer.index.id.to_string());
    compare(&mut viewer, &origin.tape).await;
    near.line("takes nothing");
    let kept = segments(&shelf);
    assert!((1..SEGMENTS as usize).contains(&kept), "{kept} segments on a full disk");
    assert_eq!(origin.tape.asked(), SEGMENTS);
    let verify = ["cache", "verify", "--cache-dir", &inside.display().to_string()];
    let (code, said) = start("cache-server", &verify).end();
    assert_eq!(code, 0, "{said:?}");

    std::fs::remove_file(inside.join("other")).expect("removed");
    compare(&mut viewer, &origin.tape).await;
    assert_eq!(segments(&shelf), SEGMENTS as usize, "what came is kept now");
    let asked = origin.tape.asked();
    compare(&mut viewer, &origin.tape).await;
    assert_eq!(origin.tape.asked(), asked, "all is served from the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_only_be_read_is_served_and_left_as_it_is() {
    let origin = Origin::start(SEGMENTS, BYTES);
    let cache = tempfile::tempdir().expect("folder");
    let folder = path(&cache);
    let (near, address) = cached(&origin.address, &folder);
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    compare(&mut viewer, &origin.tape).await;
    let shelf = cache.path().join(viewer.index.id.to_string());
    near.kill();
    let damaged = shelf.join("0000000003.seg");
    std::fs::write(&damaged, b"cut").expect("write");
    let asked = origin.tape.asked();

    // A user who may do anything is stopped by the mount alone.
    let prepare =
        format!("mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}'");
    let Some((mut near, address)) = relay_with_mounts(&prepare, &origin.address, &folder) else {
        return;
    };
    near.line_ever("cannot be written to");
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    compare(&mut viewer, &origin.tape).await;
    assert_eq!(origin.tape.asked(), asked + 1, "only what is damaged is fetched");
    assert_eq!(std::fs::read(&damaged).expect("read"), b"cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_damaged_is_fetched_again_and_given_to_nobody() {
    let origin = Origin::start(SEGMENTS, BYTES);
    let cache = tempfile::tempdir().expect("folder");
    let (mut near, address) = cached(&origin.address, &path(&cache));
    origin.tape.spoil(1);
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    // The viewer looks at the digests itself.
    compare(&mut viewer, &origin.tape).await;
    near.line("came damaged");
    assert_eq!(origin.tape.asked(), SEGMENTS + 1);
    // An origin that sends nothing else is said, and its bytes stay its own.
    let shelf = cache.path().join(viewer.index.id.to_string());
    std::fs::remove_file(shelf.join("0000000002.seg")).expect("removed");
    origin.tape.spoil(u64::MAX);
    let said = viewer.segment(2).await.expect_err("only damaged bytes there are");
    assert!(said.contains("damaged"), "{said}");
    assert_eq!(segments(&shelf), SEGMENTS as usize - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_before_are_never_mixed_with_those_before() {
    for restart in [false, true] {
        let origin = Origin::start(SEGMENTS, BYTES);
        let cache = tempfile::tempdir().expect("folder");
        let (mut near, mut address) = cached(&origin.address, &path(&cache));
        let mut viewer = Watcher::open_soon(&address, NAME).await;
        compare(&mut viewer, &origin.tape).await;
        if restart {
            // It knows no more than what stands on the disk.
            near.kill();
            (near, address) = cached(&origin.address, &path(&cache));
            viewer = Watcher::open_soon(&address, NAME).await;
        }
        let segment = cache.path().join(viewer.index.id.to_string()).join("0000000002.seg");
        let mut bytes = std::fs::read(&segment).expect("a segment");
        bytes[BYTES / 2] ^= 1;
        std::fs::write(&segment, bytes).expect("write");
        // The same index, the same lengths, other bytes: one segment has to come again, and shows it.
        origin.tape.change();
        let got = viewer.segment(2).await.expect("a segment");
        assert!(got == origin.tape.packets(2));
        near.line("other bytes than before");
        compare(&mut viewer, &origin.tape).await;
        assert_eq!(origin.tape.asked(), 2 * SEGMENTS, "all of it came anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_poster_of_a_movie_is_there_when_its_origin_is_gone() {
    let origin = Origin::start(SEGMENTS, BYTES);
    let cache = tempfile::tempdir().expect("folder");
    let (near, address) = cached(&origin.address, &path(&cache));
    let from = origin.address.clone();
    let mut viewer = Watcher::open_soon(&address, NAME).await;
    viewer.segment(0).await.expect("a segment");
    assert_eq!(poster(&address, NAME).await, POSTER);
    near.kill();
    drop(origin);
    let (_near, address) = cached(&from, &path(&cache));
    Watcher::open_soon(&address, NAME).await;
    assert_eq!(poster(&address, NAME).await, POSTER);
}
