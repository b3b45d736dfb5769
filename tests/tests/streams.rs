//! Streams through servers and relays to viewers, on real processes.

use std::time::Duration;

use proto::Message;
use tests::process::{relay, server, start};
use tests::viewer::Viewer;
use tests::{MOVIE, SILENT, ffprobe, sample};

fn movie(name: &str) -> String {
    sample(name).display().to_string()
}

/// Presentation time, key flag and bytes of each packet.
type Track = Vec<(i64, bool, Vec<u8>)>;

/// The packets of one track as ffprobe has them, and as a viewer got them.
fn track(
    wanted: &[ffprobe::Packet],
    got: &[proto::Packet],
    video: bool,
    index: u16,
) -> (Track, Track) {
    let wanted = wanted.iter().filter(|p| p.video == video);
    let got = got.iter().filter(|p| p.header.track == index);
    (
        wanted.map(|p| (p.pts_us, p.key, p.payload.clone())).collect(),
        got.map(|p| (p.header.pts_us, p.header.key, p.payload.to_vec())).collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_movie_passes_two_relays_to_three_viewers_as_ffprobe_sees_it() {
    let (_server, origin) = server(&["--file", &movie(MOVIE)]);
    let (_near, near) = relay(&["--origin", &origin]);
    let (_far, far) = relay(&["--origin", &near]);
    // A relay knows its origin's streams a moment after it starts.
    offered(&far, "big-buck-bunny-480p-30s").await;
    let viewers = (0..3).map(|_| {
        let far = far.clone();
        tokio::spawn(async move {
            let mut viewer = Viewer::watch(&far, None).await;
            let packets = viewer.all().await;
            (packets, viewer)
        })
    });
    let viewers: Vec<_> = viewers.collect();
    let wanted = ffprobe::packets(&sample(MOVIE));
    for viewer in viewers {
        let (got, viewer) = viewer.await.expect("viewer");
        assert_eq!(viewer.words, Vec::<&str>::new(), "no gaps, nothing held");
        let description = viewer.description.expect("description");
        for (video, index) in [
            (true, description.video().expect("picture").0),
            (false, description.audio().expect("sound").0),
        ] {
            let (wanted, got) = track(&wanted, &got, video, index);
            assert_eq!(wanted.len(), got.len());
            for (number, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
                assert!((wanted.0 - got.0).abs() <= 1, "{number}: {} is not {}", got.0, wanted.0);
                assert_eq!(wanted.1, got.1, "key flag of packet {number}");
                assert_eq!(wanted.2, got.2, "bytes of packet {number}");
            }
        }
    }
}

/// Waits until a node offers a stream.
async fn offered(address: &str, name: &str) {
    use proto::message::List;
    let mut control = proto::dial::dial(address, proto::Role::Control, None, "test")
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    control.writer.write(&Message::List(List { follow: true })).await.expect("list");
    loop {
        let message = control.reader.read_within(tests::PATIENCE).await.expect("catalogue");
        if let Message::Catalog(catalog) = message
            && catalog.streams.iter().any(|stream| stream.name == name)
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_late_starts_with_a_key_frame_and_the_real_client_shows_it() {
    let (_server, origin) = server(&["--test-pattern", "--size", "320x180"]);
    let mut first = Viewer::watch(&origin, None).await;
    // Past the first GOP, which is two seconds long.
    for _ in 0..300 {
        first.packet().await.expect("goes on");
    }
    let mut late = Viewer::watch(&origin, None).await;
    let packet = late.packet().await.expect("a packet");
    let video = late.description.as_ref().and_then(|d| Some(d.video()?.0)).expect("picture");
    assert!(packet.header.key && packet.header.track == video, "{:?}", packet.header);
    assert!(packet.header.sequence > 0, "not the first GOP");
    let mut client = start("client", &["--connect", &origin, "--headless", "--json"]);
    let seen = client.statistics("pictures", |s| s["frames"].as_u64() > Some(30));
    assert_eq!(seen["codec"], "H.264");
    assert_eq!((seen["width"].as_u64(), seen["height"].as_u64()), (Some(320), Some(180)));
    let (code, _) = client.stop();
    assert_eq!(code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_stalled_and_killed_viewers_are_nobody_elses_matter() {
    // Motion JPEG: enough bytes to fill sockets.
    let (_server, origin) = server(&["--test-pattern", "--codec", "mjpeg", "--fps", "30"]);
    let (mut near, address) = relay(&["--origin", &origin, "--stall", "3", "--max-lag", "1000"]);
    offered(&address, "pattern").await;
    let mut steady = Viewer::watch(&address, None).await;
    steady.packet().await.expect("runs");
    let stalled = Viewer::watch(&address, None).await;
    let mut slow = Viewer::watch(&address, None).await;
    let killed = start("client", &["--connect", &address, "--headless"]);
    killed.kill();
    let slow_one = tokio::spawn(async move {
        let mut gaps = 0;
        // Until it was told of a gap: slower than the stream, faster than nothing.
        while gaps == 0 {
            if let Message::Gap(gap) = slow.read().await.expect("served") {
                assert!(gap.packets > 0);
                gaps += 1;
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        // What comes next starts with a key frame (every JPEG is one) and goes on.
        slow.packet().await.expect("goes on");
    });
    let mut last = None;
    while !slow_one.is_finished() {
        let packet = steady.packet().await.expect("goes on");
        let sequence = packet.header.sequence;
        assert!(last.is_none_or(|last| sequence == last + 1), "{last:?}, then {sequence}");
        last = Some(sequence);
    }
    slow_one.await.expect("the slow one");
    near.line("nothing of the stream was taken for 3 s");
    assert_eq!(steady.words, Vec::<&str>::new(), "the steady one heard of nothing");
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_origin_is_held_and_its_viewers_go_on_when_it_is_back() {
    let (origin, address) = server(&["--test-pattern", "--size", "320x180"]);
    let (_relay, relayed) = relay(&["--origin", &address]);
    offered(&relayed, "pattern").await;
    let mut client = start("client", &["--connect", &relayed, "--headless", "--json"]);
    client.statistics("pictures", |s| s["frames"].as_u64() > Some(10));
    let mut viewer = Viewer::watch(&relayed, None).await;
    viewer.packet().await.expect("runs");
    origin.kill();
    viewer.until("Held").await;
    client.statistics("held", |s| s["state"] == "held");
    let (_origin, _) = server(&["--test-pattern", "--size", "320x180", "--listen", &address]);
    viewer.until("Resumed").await;
    viewer.packet().await.expect("goes on, on the same connection");
    let back = client.statistics("playing", |s| s["state"] == "playing");
    let frames = back["frames"].as_u64();
    client.statistics("more pictures", |s| s["frames"].as_u64() > frames);
    assert_eq!(back["reconnects"], 0, "the relay held the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_loses_its_server_comes_back_by_itself() {
    let (origin, address) = server(&["--test-pattern", "--size", "320x180"]);
    let mut client = start("client", &["--connect", &address, "--headless", "--json"]);
    client.statistics("pictures", |s| s["frames"].as_u64() > Some(10));
    origin.kill();
    client.statistics("reconnecting", |s| s["state"] == "reconnecting");
    let (_origin, _) = server(&["--test-pattern", "--size", "320x180", "--listen", &address]);
    let back = client.statistics("playing", |s| s["state"] == "playing");
    assert!(back["reconnects"].as_u64() > Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_router_pushes_to_a_relay() {
    let (_relay, address) = relay(&["--publish-token", "secret"]);
    let push =
        ["--test-pattern", "--size", "320x180", "--push", &address, "--name", "door", "--token"];
    let (_server, _) = server(&[&push[..], &["secret"]].concat());
    offered(&address, "door").await;
    let mut viewer = Viewer::watch(&address, Some("door")).await;
    for _ in 0..50 {
        viewer.packet().await.expect("goes on");
    }
    let wrong = start("server", &[&push[..], &["wrong", "--listen", "127.0.0.1:0"]].concat());
    let (code, said) = wrong.end();
    assert_eq!(code, 1);
    assert!(said.iter().any(|line| line.contains("token is wrong")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_movies_are_two_streams_each_with_its_own_tracks() {
    let (_server, address) = server(&["--file", &movie(MOVIE), "--file", &movie(SILENT)]);
    let mut bunny = Viewer::watch(&address, Some("big-buck-bunny-480p-30s")).await;
    let mut city = Viewer::watch(&address, Some("city-360p-7s-silent")).await;
    bunny.packet().await.expect("runs");
    let packets = city.all().await;
    let wanted = ffprobe::packets(&sample(SILENT));
    let (wanted, got) = track(&wanted, &packets, true, 0);
    assert_eq!(got, wanted);
    let bunny = bunny.description.expect("description");
    assert!(bunny.audio().is_some());
    assert!(city.description.expect("description").audio().is_none());
    let mut client = start("client", &["--connect", &address]);
    client.line("city-360p-7s-silent");
    let (code, said) = client.end();
    assert_eq!(code, 2, "several streams, none chosen: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_streams_with_sound_keep_each_its_own() {
    let folder = tempfile::tempdir().expect("folder");
    let tone = folder.path().join("tone.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=320x180:r=25:d=3"])
        .args(["-f", "lavfi", "-i", "sine=f=440:r=48000:d=3", "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx264", "-g", "25", "-c:a", "aac", "-ac", "2"])
        .arg(&tone)
        .status();
    assert!(made.expect("ffmpeg").success());
    let second = tone.display().to_string();
    let (_server, address) = server(&["--file", &movie(MOVIE), "--file", &second]);
    let mut bunny = Viewer::watch(&address, Some("big-buck-bunny-480p-30s")).await;
    let mut tones = Viewer::watch(&address, Some("tone")).await;
    let all = tones.all().await;
    let mut some = Vec::new();
    while some.len() < 150 {
        some.push(bunny.packet().await.expect("it is longer"));
    }
    for (file, got, whole) in [(tone, all, true), (sample(MOVIE), some, false)] {
        let wanted = ffprobe::packets(&file);
        for (video, index) in [(true, 0), (false, 1)] {
            let (wanted, got) = track(&wanted, &got, video, index);
            assert!(!got.is_empty() && got.len() <= wanted.len());
            assert!(!whole || got.len() == wanted.len(), "{} of {}", got.len(), wanted.len());
            for (number, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
                assert!((wanted.0 - got.0).abs() <= 1, "{number}: {} is not {}", got.0, wanted.0);
                assert!(wanted.2 == got.2, "bytes of packet {number}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_holds_what_was_sent() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("city.mkv");
    let (_server, address) = server(&["--file", &movie(SILENT)]);
    let path = file.display().to_string();
    let client = start("client", &["--connect", &address, "--headless", "--record", &path]);
    let (code, said) = client.end();
    assert_eq!(code, 0, "{said:?}");
    assert_eq!(hashes(&file), hashes(&sample(SILENT)));
}

/// Size, hash and key flag of each packet.
fn hashes(movie: &std::path::Path) -> Vec<(String, String, bool)> {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json"])
        .arg(movie)
        .output()
        .expect("ffprobe");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |packet: &serde_json::Value, name: &str| {
        packet[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let packets = json["packets"].as_array().expect("packets");
    let line = |p| (text(p, "size"), text(p, "data_hash"), text(p, "flags").starts_with('K'));
    packets.iter().map(line).collect()
}
