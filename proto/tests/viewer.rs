//! `samples/viewer.py` knows the protocol from its text alone: what it makes of our bytes shows
//! that anyone can read them.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::BytesMut;
use proto::frame::{Decoder, Next};
use proto::message::{Gap, Held, Hello, Subscribe, Welcome};
use proto::time::Stamp;
use proto::{CloseCode, MAGIC, Message, Packet, PacketHeader, Role, StreamDescription};

/// Reads one message of the viewer's.
fn read(socket: &mut TcpStream, decoder: &mut Decoder, buffer: &mut BytesMut) -> Message {
    loop {
        match decoder.next(buffer).expect("a frame") {
            Next::Body(body) => return Message::decode(body).expect("a message"),
            Next::Missing(bytes) => {
                let mut piece = vec![0; bytes];
                let got = socket.read(&mut piece).expect("the viewer speaks");
                assert!(got > 0, "the viewer hung up");
                buffer.extend_from_slice(&piece[..got]);
            }
        }
    }
}

/// A server for one viewer: its hello and its wish, answered with `messages`.
fn serve(listener: &TcpListener, messages: &[Message]) -> Subscribe {
    let (mut socket, _) = listener.accept().expect("a viewer");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    let Message::Hello(hello) = read(&mut socket, &mut decoder, &mut buffer) else {
        panic!("no hello");
    };
    assert!(matches!(
        hello,
        Hello { magic: MAGIC, min_version: 1, max_version: 1, role: Role::View, token: None, .. }
    ));
    let welcome = Welcome { version: 1, node: 0xabc, agent: "test".into() };
    socket.write_all(&Message::Welcome(welcome).encode()).expect("welcomed");
    let Message::Subscribe(subscribe) = read(&mut socket, &mut decoder, &mut buffer) else {
        panic!("no subscribe");
    };
    for message in messages {
        socket.write_all(&message.encode()).expect("sent");
    }
    subscribe
}

/// Runs the viewer against a server that says `messages`.
fn watch(arguments: &[&str], messages: &[Message]) -> (Subscribe, Output) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let viewer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/viewer.py");
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, messages));
        let output = Command::new("python3")
            .arg(viewer)
            .args(["127.0.0.1", "--port", &port.to_string()])
            .args(arguments)
            .output()
            .expect("python3 starts: this test needs it (Debian: apt install python3)");
        if !output.status.success() && !server.is_finished() {
            // The server still waits for a viewer: say what the viewer said, not that it hangs.
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
            panic!("the viewer failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        (server.join().expect("the viewer was served"), output)
    })
}

fn packet(track: u16, sequence: u64, payload: &[u8]) -> Message {
    let header = PacketHeader {
        track,
        key: sequence == 0,
        sequence,
        pts_us: 40_000,
        dts_us: -1,
        duration_us: 41_667,
        captured_at_us: Stamp(7),
    };
    Message::Packet(Packet { header, payload: payload.to_vec().into() })
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn described(description: StreamDescription, then: &[Message]) -> Vec<Message> {
    let mut messages = vec![Message::Describe(description)];
    messages.extend_from_slice(then);
    messages
}

#[test]
fn a_python_viewer_reads_a_movie_and_saves_it_as_annex_b() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("movie.h264");
    let messages = described(
        common::description(),
        &[
            packet(0, 0, &[0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 1, 0x06]),
            packet(1, 1, b"sound"),
            Message::Gap(Gap { packets: 3, length_us: 125_000 }),
            Message::Held(Held { reason: "the origin is away".into() }),
            Message::Resumed,
            packet(0, 5, &[0, 0, 0, 1, 0x41]),
            Message::End,
        ],
    );
    let (subscribe, output) = watch(&["--save", file.to_str().expect("UTF-8")], &messages);
    assert_eq!(subscribe, Subscribe { stream: None, buffer_us: 0 });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        lines(&output),
        [
            "welcome: version 1, node 0000000000000abc, test",
            "describe: movie 'Big Buck Bunny' live=0 run=feedf00ddeadbeef us=30000000",
            "  track: H.264 854x480, pixels 1:1, turned 0, 24/1 fps [und]",
            "  track: AAC 48000 Hz, 2 channels [en]",
            "packet: 0 track=0 key=1 pts,dts,duration,captured=[40000, -1, 41667, 7] bytes=11",
            "packet: 1 track=1 key=0 pts,dts,duration,captured=[40000, -1, 41667, 7] bytes=5",
            "gap: 3 packets, 125000 us",
            "held: the origin is away",
            "resumed",
            "packet: 5 track=0 key=0 pts,dts,duration,captured=[40000, -1, 41667, 7] bytes=5",
            "end",
        ]
    );
    let nals: [&[u8]; 5] = [
        &[0x67, 0x42, 0xc0, 0x1e, 0xd9],
        &[0x68, 0xce, 0x3c, 0x80],
        &[0x65, 0x88],
        &[0x06],
        &[0x41],
    ];
    let annex_b: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect();
    assert_eq!(std::fs::read(file).expect("the saved pictures"), annex_b);
}

#[test]
fn a_python_viewer_saves_a_cameras_jpegs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("camera.mjpeg");
    let messages = described(
        common::live_description(),
        &[packet(0, 0, b"\xff\xd8one\xff\xd9"), packet(0, 1, b"\xff\xd8two\xff\xd9"), Message::End],
    );
    let arguments = ["--stream", "camera", "--save", file.to_str().expect("UTF-8")];
    let (subscribe, output) = watch(&arguments, &messages);
    assert_eq!(subscribe, Subscribe { stream: Some("camera".into()), buffer_us: 0 });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let track = "  track: MJPEG 1280x720, pixels 4:3, turned 270, 30000/1001 fps []";
    assert_eq!(lines(&output)[2], track);
    let saved = std::fs::read(file).expect("the saved pictures");
    assert_eq!(saved, b"\xff\xd8one\xff\xd9\xff\xd8two\xff\xd9");
}

#[test]
fn a_python_viewer_says_why_it_was_closed() {
    let close = Message::close(CloseCode::NoSuchStream, "there is no stream 'x'");
    let (_, output) = watch(&["--stream", "x"], &[close]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).trim(),
        "closed with 11: there is no stream 'x'"
    );
}
