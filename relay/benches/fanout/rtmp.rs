//! Just enough of RTMP to be a viewer of another server: handshake, `connect`, `createStream`,
//! `play` (Adobe, Real-Time Messaging Protocol 1.0, §5 to §7).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sizes of the handshake's parts after the version byte, bytes.
const PART: usize = 1536;

/// Connects to `HOST:PORT` and plays the stream `live/bench`.
pub(crate) async fn play(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("connect");
    let mut hello = vec![3];
    hello.resize(1 + PART, 0);
    socket.write_all(&hello).await.expect("C0 C1");
    let mut answer = vec![0; 1 + 2 * PART];
    socket.read_exact(&mut answer).await.expect("S0 S1 S2");
    socket.write_all(&answer[1..=PART]).await.expect("C2");
    let connect = [
        string("connect"),
        number(1.0),
        vec![3],
        property("app", &string("live")),
        property("tcUrl", &string(&format!("rtmp://{address}/live"))),
        vec![0, 0, 9],
    ];
    command(&mut socket, 0, &connect.concat()).await;
    command(&mut socket, 0, &[string("createStream"), number(2.0), vec![5]].concat()).await;
    // The first stream made is number 1 in every server there is.
    let play = [string("play"), number(3.0), vec![5], string("bench"), number(-2000.0)];
    command(&mut socket, 1, &play.concat()).await;
    socket
}

/// One AMF0 command in chunks of 128 bytes on chunk stream 3.
async fn command(socket: &mut TcpStream, stream: u32, body: &[u8]) {
    let mut bytes = vec![3, 0, 0, 0];
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    bytes.push(20);
    bytes.extend_from_slice(&stream.to_le_bytes());
    for (i, chunk) in body.chunks(128).enumerate() {
        if i > 0 {
            bytes.push(0xc3);
        }
        bytes.extend_from_slice(chunk);
    }
    socket.write_all(&bytes).await.expect("command");
}

fn string(text: &str) -> Vec<u8> {
    [&[2][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn number(value: f64) -> Vec<u8> {
    [&[0][..], &value.to_be_bytes()].concat()
}

fn property(name: &str, value: &[u8]) -> Vec<u8> {
    [&(name.len() as u16).to_be_bytes(), name.as_bytes(), value].concat()
}
