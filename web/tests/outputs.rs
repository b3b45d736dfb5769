//! Streams and recordings as other programs read them.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::{Loop, Site, Tape, run, sample, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MOVIE: &str = "big-buck-bunny-480p-30s.mp4";

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_is_read_as_one_file_and_as_a_playlist() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door & hall");
    let show = ["-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let url = site.url("/streams/door%20%26%20hall.mp4");
    let codecs = run("ffprobe", &[&show[..], &[&url]].concat()).await;
    assert_eq!(codecs, "h264\nopus\n");
    let count = ["-t", "3", "-f", "null", "-progress", "-", "-nostats", "-"];
    let said = run("ffmpeg", &[&["-i", &url][..], &count].concat()).await;
    let frames = said.lines().rfind(|line| line.starts_with("frame=")).unwrap();
    let frames: u32 = frames["frame=".len()..].parse().unwrap();
    assert!((70..=80).contains(&frames), "{frames} pictures in three seconds");
    let url = site.url("/streams/door%20%26%20hall.m3u8");
    let said = run("ffmpeg", &[&["-i", &url][..], &count].concat()).await;
    let frames = said.lines().rfind(|line| line.starts_with("frame=")).unwrap();
    let frames: u32 = frames["frame=".len()..].parse().unwrap();
    assert!((70..=80).contains(&frames), "{frames} pictures in three seconds of segments");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_place_in_mp4_is_made_such_that_it_has() {
    let site = Site::start().await;
    Loop::unusual().play(&site.node, "camera");
    Loop::sound().play(&site.node, "radio");
    let show = ["-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let url = site.url("/streams/camera.mp4");
    assert_eq!(run("ffprobe", &[&show[..], &[&url]].concat()).await, "mjpeg\nopus\n");
    let url = site.url("/streams/radio.mp4");
    assert_eq!(run("ffprobe", &[&show[..], &[&url]].concat()).await, "opus\n");
    let still = site.get("/streams/radio.jpg").await;
    assert_eq!(still.status, 404, "{}", still.text());
    assert!(still.text().contains("no picture"), "{}", still.text());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_alone_are_jpegs() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    Loop::unusual().play(&site.node, "camera");
    for name in ["door", "camera"] {
        let still = site.get(&format!("/streams/{name}.jpg")).await;
        assert!(still.head.contains("image/jpeg"), "{}", still.head);
        let picture = media::decode::jpeg_picture(&still.body, 0).expect("a picture");
        assert_eq!((picture.width, picture.height), (160, 96));
        let mut socket = TcpStream::connect(site.address).await.unwrap();
        let ask = format!("GET /streams/{name}.mjpeg HTTP/1.0\r\n\r\n");
        socket.write_all(ask.as_bytes()).await.unwrap();
        let (mut all, mut found) = (Vec::new(), 0);
        while found < 3 {
            assert!(within(socket.read_buf(&mut all)).await.unwrap() > 0, "more comes");
            found = all.windows(9).filter(|nine| nine == b"--picture").count();
        }
        let text = String::from_utf8_lossy(&all);
        assert!(text.contains("multipart/x-mixed-replace"), "{text}");
        let start = all.windows(2).position(|two| two == [0xff, 0xd8]).unwrap();
        let length = text.split("Content-Length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        assert!(media::decode::jpeg_picture(&all[start..start + length], 0).is_some());
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_a_file_that_is_read_from_any_byte() {
    let site = Site::start().await;
    let tape = Tape::of_movie(&sample(MOVIE));
    let _source = site.node.add_recording("movie", "A movie", "", tape).unwrap();
    let whole = site.get("/movies/movie.mp4").await;
    assert_eq!(whole.status, 200);
    assert!(whole.head.contains("accept-ranges: bytes"));
    let length = whole.body.len();
    assert!(whole.head.contains(&format!("content-length: {length}")), "{}", whole.head);
    for (from, to) in
        [(0, 99), (500, 200_000), (length / 2, length / 2 + 5_000), (length - 7, length - 1)]
    {
        let range = format!("Range: bytes={from}-{to}");
        let part = site.ask("GET", "/movies/movie.mp4", &[&range]).await;
        assert_eq!(part.status, 206);
        assert!(part.head.contains(&format!("bytes {from}-{to}/{length}")), "{}", part.head);
        assert!(part.body == whole.body[from..=to], "bytes {from} to {to} differ");
    }
    let beyond = site.ask("GET", "/movies/movie.mp4", &["Range: bytes=999999999-"]).await;
    assert_eq!(beyond.status, 416);
    assert!(beyond.head.contains(&format!("bytes */{length}")));
    let head = site.ask("HEAD", "/movies/movie.mp4", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_seeks_begins_near_the_place() {
    let site = Site::start().await;
    let tape = Tape::of_movie(&sample(MOVIE));
    let _source = site.node.add_recording("movie", "A movie", "", tape).unwrap();
    let url = site.url("/movies/movie.mp4");
    let show = ["-v", "error", "-read_intervals", "20%+1", "-show_entries", "packet=pts_time"];
    let said = run("ffprobe", &[&show[..], &["-of", "csv=p=0", &url]].concat()).await;
    let times = said.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    let first = times.fold(f64::INFINITY, f64::min);
    // Segments have some two seconds, sound may begin in the one before.
    assert!((12.0..=20.0).contains(&first), "it begins at {first} s");
    site.stop().await;
}

/// Times and key flags of all packets.
async fn packets(source: &str) -> Vec<String> {
    let show = "packet=stream_index,pts_time,flags";
    let said = run("ffprobe", &["-show_entries", show, "-of", "csv=p=0", source]).await;
    // Stream, time and whether it is a key frame; side data may stand behind.
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        format!("{},{},{}", fields[0], fields[1], fields[2].starts_with('K'))
    };
    let mut lines: Vec<String> = said.lines().filter(|said| said.len() > 3).map(line).collect();
    lines.sort();
    lines
}

/// Whether they are the same, within a millisecond.
fn assert_same(read: &[String], written: &[String]) {
    assert_eq!(read.len(), written.len());
    let fields = |line: &str| {
        let mut fields = line.split(',');
        let track = fields.next().unwrap().to_owned();
        (track, fields.next().unwrap().parse::<f64>().unwrap(), fields.next().unwrap().to_owned())
    };
    let sorted = |lines: &[String]| {
        let mut all: Vec<_> = lines.iter().map(|line| fields(line)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        all
    };
    for (read, written) in sorted(read).iter().zip(&sorted(written)) {
        assert_eq!((&read.0, &read.2), (&written.0, &written.2), "at {}", written.1);
        assert!((read.1 - written.1).abs() < 0.001, "{} is {}", written.1, read.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_has_every_packet_of_the_movie() {
    let site = Site::start().await;
    let path = sample(MOVIE);
    let _source = site.node.add_recording("movie", "", "", Tape::of_movie(&path)).unwrap();
    let original = packets(path.to_str().unwrap()).await;
    assert_same(&packets(&site.url("/movies/movie.mp4")).await, &original);
    assert_same(&packets(&site.url("/movies/movie.m3u8")).await, &original);
    let url = site.url("/movies/movie.mp4");
    let from = ["-ss", "20", "-i", &url, "-frames:v", "5", "-f", "null", "-"];
    run("ffmpeg", &from).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_for_a_page_has_its_jpegs_beside_it_and_its_sound_as_opus() {
    let site = Site::start().await;
    let tape = Tape::of(&Loop::unusual());
    let _source = site.node.add_recording("tape", "", "", tape).unwrap();
    let facts = site.get("/movies/tape.json?for=page").await.json();
    assert_eq!(facts["mime"], "audio/mp4; codecs=\"opus\"");
    assert_eq!((&facts["pictures_apart"], &facts["width"]), (&true.into(), &160.into()));
    assert_eq!(facts["starts"], serde_json::json!([0.0, 1.0]));
    let id = facts["id"].as_str().unwrap();
    let pictures = site.get(&format!("/movies/tape.1.jpegs?for=page&id={id}")).await;
    assert!(pictures.head.contains("immutable"), "{}", pictures.head);
    let (mut rest, mut count) = (&pictures.body[..], 0);
    while let Some((head, more)) = rest.split_first_chunk::<12>() {
        let at = i64::from_be_bytes(head[..8].try_into().unwrap());
        let length = u32::from_be_bytes(head[8..].try_into().unwrap()) as usize;
        assert_eq!(at, 1_000_000 + count * 40_000);
        assert!(media::decode::jpeg_picture(&more[..length], 0).is_some());
        (rest, count) = (&more[length..], count + 1);
    }
    assert_eq!((count, rest.len()), (25, 0));
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    let mut all = site.get("/movies/tape.init.m4s?for=page").await.body;
    for number in 0..2 {
        all.extend(site.get(&format!("/movies/tape.{number}.m4s?for=page")).await.body);
    }
    std::fs::write(file.path(), all).unwrap();
    let sound = packets(file.path().to_str().unwrap()).await;
    assert!((100..=104).contains(&sound.len()), "two seconds are {} packets", sound.len());
    // As a file all of it is in there, in segments of the length that was said before.
    let url = site.url("/movies/tape.mp4");
    let show =
        ["-show_entries", "stream=codec_name,nb_read_packets", "-count_packets", "-of", "csv=p=0"];
    let said = run("ffprobe", &[&show[..], &[&url]].concat()).await;
    assert!(said.starts_with("mjpeg,50\nopus,10"), "{said}");
    let old = site.get("/movies/tape.0.m4s?id=00112233445566778899aabbccddeeff").await;
    assert_eq!(old.status, 404, "a segment of what it was before");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_says_what_there_is_and_where() {
    let site = Site::start().await;
    let hostile = "<img src=x onerror=alert(1)>";
    let _live = site.node.add_stream(hostile, "\"><script>", true).unwrap();
    let _recorded = site.node.add_recording("..", "", "", Tape::of(&Loop::usual())).unwrap();
    let said = site.get("/streams.json").await;
    assert!(said.head.contains("application/json") && said.head.contains("no-store"));
    let list = said.json();
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["..", hostile]);
    assert_eq!((&list[0]["live"], &list[1]["live"]), (&false.into(), &true.into()));
    assert_eq!(list[0]["recording"]["seconds"], 2.0);
    for link in list.as_array().unwrap().iter().flat_map(|s| s["links"].as_array().unwrap()) {
        let link = link.as_str().unwrap();
        assert!(link.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~%".contains(c)), "{link}");
    }
    let movie = site.get("/movies/...json").await;
    assert_eq!((movie.status, &movie.json()["first"]), (200, &0.into()), "a name, not a path");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said() {
    let site = Site::start().await;
    let _idle = site.node.add_stream("idle", "", true).unwrap();
    let _tape = site.node.add_recording("tape", "", "", Tape::of(&Loop::usual())).unwrap();
    for path in [
        "/streams/nothing.mp4",
        "/streams/tape.mp4",
        "/movies/idle.mp4",
        "/movies/tape.9.m4s",
        "/movies/tape.jpg",
        "/movies/tape.mjpeg",
        "/streams/idle.json",
        "/streams/idle",
        "/nothing",
        "/page/main.rs",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(answer.text().trim_end().len() > 10, "{path} says nothing");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_of_a_recording_has_a_small_picture() {
    let site = Site::start().await;
    let tape = Tape::of_movie(&sample(MOVIE));
    let _source = site.node.add_recording("movie", "A movie", "", tape).unwrap();
    let first = site.get("/movies/movie.0.thumb").await;
    assert!(first.head.contains("image/jpeg"), "{}", first.head);
    let picture = media::decode::jpeg_picture(&first.body, 0).expect("a picture");
    assert_eq!((picture.width, picture.height), (160, 90));
    let other = site.get("/movies/movie.3.thumb").await;
    assert_eq!(other.status, 200);
    assert!(other.body != first.body, "each place has its own");
    assert_eq!(site.get("/movies/movie.999.thumb").await.status, 404);
    let _radio = site.node.add_recording("radio", "", "", Tape::of(&Loop::sound())).unwrap();
    assert_eq!(site.get("/movies/radio.0.thumb").await.status, 404, "nothing to be seen");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subtitles_are_listed_and_read() {
    let site = Site::start().await;
    let _source = site.node.add_recording("a b", "", "", Tape::of(&Loop::usual())).unwrap();
    let list = site.get("/movies/a%20b.subtitles").await;
    let link = "/movies/a%20b.00000000000000ff.vtt";
    let expected = format!(r#"[{{"language":"de","title":"<b>","link":"{link}"}}]"#);
    assert_eq!(list.text(), expected);
    assert!(list.head.contains("application/json"), "{}", list.head);
    for _ in 0..2 {
        let text = site.get(link).await;
        assert!(text.head.contains("text/vtt"), "{}", text.head);
        assert_eq!(text.text(), "WEBVTT\n");
    }
    assert_eq!(site.get("/movies/a%20b.00000000000000fe.vtt").await.status, 404);
    assert_eq!(site.get("/movies/nobody.00000000000000ff.vtt").await.status, 404);
    assert_eq!(site.get("/movies/nobody.subtitles").await.text(), "[]");
    site.stop().await;
}
