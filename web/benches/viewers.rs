//! What browsers cost beside native viewers: `cargo bench -p web --bench viewers`.
//!
//! One relay, one stream of 720p30 at 3 Mbit/s, 200 viewers through WebSockets, 200 native ones that
//! buffer 250 ms (the client's default) and 200 that want each packet at once, taking turns. Viewers are another process that reads and throws away, so the CPU time of this one
//! is the relay's, and the muxing's. Figures are ratios: absolute times are the machine's.

#[cfg(target_os = "linux")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args[..] {
        [kind, address] => viewers::main(kind, address),
        _ => relay_side::main(),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this benchmark discards what it reads in the kernel: Linux only");
}

#[cfg(target_os = "linux")]
const VIEWERS: usize = 200;

#[cfg(target_os = "linux")]
mod relay_side {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use media::demux::Movie;
    use proto::conn::now;
    use proto::{Packet, PacketHeader, Track};
    use relay::{Config, Limits, Node, Writer, listen};
    use tokio::runtime::Runtime;

    /// How often each has its turn, and the length of a turn.
    const ROUNDS: usize = 5;
    const FRAMES: u64 = 300;
    const FPS: f64 = 30.0;
    const BYTES: usize = 12_500;
    const GOP: u64 = 60;

    pub(crate) fn main() {
        let runtime = Runtime::new().expect("runtime");
        let mut relay = runtime.block_on(Relay::start());
        let mut ratios = [Vec::new(), Vec::new()];
        println!("{} viewers of 720p30 at 3 Mbit/s: the relay's CPU seconds", super::VIEWERS);
        println!("| browsers | native | ratio | native, at once | ratio |");
        println!("| --- | --- | --- | --- | --- |");
        for _ in 0..ROUNDS {
            let [web, native, at_once] =
                ["web", "native", "at-once"].map(|kind| relay.cost(&runtime, kind));
            let [one, other] = [web / native, web / at_once];
            println!("| {web:.2} | {native:.2} | {one:.2} | {at_once:.2} | {other:.2} |");
            ratios[0].push(one);
            ratios[1].push(other);
        }
        let [native, at_once] = ratios.map(|mut ratios| {
            ratios.sort_by(f64::total_cmp);
            ratios[ROUNDS / 2]
        });
        println!("\nratio: {native:.2}; to native ones at once {at_once:.2} (medians of {ROUNDS})");
    }

    struct Relay {
        node: Node,
        writer: Writer,
        _source: relay::Source,
        native: String,
        web: String,
        frames: u64,
    }

    impl Relay {
        async fn start() -> Self {
            let limits = Limits { connections_per_address: 1_000, ..Limits::default() };
            let node = Node::new(Config { limits, ..Config::default() });
            let any = "127.0.0.1:0".parse().expect("address");
            let listener = listen::bind(any).expect("bind");
            let native = listener.local_addr().expect("address").to_string();
            let pages = web::bind(&[any]).expect("bind");
            let web = pages[0].local_addr().expect("address").to_string();
            let (serving, showing) = (node.clone(), node.clone());
            tokio::spawn(async move { serving.serve(vec![listener]).await });
            tokio::spawn(web::serve(showing, pages, web::Options::default()));
            let source = node.add_stream("bench", "", true).expect("stream");
            let writer = source.start(vec![track()], None).expect("run");
            Self { node, writer, _source: source, native, web, frames: 0 }
        }

        /// CPU time of this process while a kind of viewers watches, seconds.
        fn cost(&mut self, runtime: &Runtime, kind: &str) -> f64 {
            let address = if kind == "web" { &self.web } else { &self.native };
            let mut child = Command::new(std::env::current_exe().expect("own path"))
                .args([kind, address])
                .stdout(Stdio::piped())
                .spawn()
                .expect("viewers");
            let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
            // Viewers that come wait for a key frame.
            let arriving = Instant::now();
            self.publish(runtime, 2 * GOP);
            assert_eq!(said.next().expect("a line").expect("text"), "ready");
            assert!(arriving.elapsed() < Duration::from_secs(60), "viewers did not come");
            self.publish(runtime, 2 * GOP - self.frames % GOP);
            let before = cpu();
            self.publish(runtime, FRAMES);
            let spent = cpu() - before;
            end(child);
            self.wait_for_nobody(runtime);
            spent
        }

        fn wait_for_nobody(&self, runtime: &Runtime) {
            let deadline = Instant::now() + Duration::from_secs(30);
            let watched = || self.node.catalogue().iter().any(|info| info.viewers > 0);
            let _runtime = runtime.enter();
            while watched() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }

        fn publish(&mut self, runtime: &Runtime, count: u64) {
            let payload = Bytes::from(vec![0x5a; BYTES]);
            let started = Instant::now();
            let _runtime = runtime.enter();
            for i in 0..count {
                let due = started + Duration::from_secs_f64(i as f64 / FPS);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let pts_us = (self.frames as f64 * 1e6 / FPS) as i64;
                let header = PacketHeader {
                    key: self.frames.is_multiple_of(GOP),
                    pts_us,
                    dts_us: pts_us,
                    duration_us: (1e6 / FPS) as u32,
                    captured_at_us: now(),
                    ..PacketHeader::default()
                };
                self.writer.append(Packet { header, payload: payload.clone() }).expect("append");
                self.frames += 1;
            }
        }
    }

    fn end(mut child: Child) {
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Of a film: what follows it is never decoded.
    fn track() -> Track {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/city-360p-7s-silent.mp4");
        Movie::open(path.as_ref()).expect("the sample").tracks()[0].clone()
    }

    /// User and system time of this process, seconds (proc(5)).
    fn cpu() -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
        // The name in brackets may hold spaces.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks / rustix::param::clock_ticks_per_second() as f64
    }
}

#[cfg(target_os = "linux")]
mod viewers {
    use std::mem::MaybeUninit;

    use futures_util::SinkExt;
    use proto::dial::dial;
    use proto::message::Subscribe;
    use proto::{Message, Role};
    use tokio::io::Interest;
    use tokio::net::TcpStream;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::{client_async, tungstenite};

    /// Says `ready` when all watch, and goes on until it is killed.
    pub(crate) fn main(kind: &str, address: &str) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            for _ in 0..super::VIEWERS {
                let socket = match kind {
                    "web" => page(address).await,
                    "native" => native(address, 250_000).await,
                    _ => native(address, 0).await,
                };
                tokio::spawn(discard(socket));
            }
            println!("ready");
            std::future::pending::<()>().await;
        });
    }

    async fn native(address: &str, buffer_us: u32) -> TcpStream {
        let mut viewer = dial(address, Role::View, None, "bench").await.expect("dial");
        let subscribe = Subscribe { stream: Some("bench".into()), buffer_us };
        viewer.writer.write(&Message::Subscribe(subscribe)).await.expect("subscribe");
        let (read, _) = viewer.reader.into_parts();
        read.reunite(viewer.writer.into_inner()).expect("halves")
    }

    async fn page(address: &str) -> TcpStream {
        let request = format!("ws://{address}/socket").into_client_request().expect("a request");
        let socket = TcpStream::connect(address).await.expect("connects");
        let (mut page, _) = client_async(request, socket).await.expect("a WebSocket");
        let watch = r#"{"say": "watch", "stream": "bench"}"#;
        page.send(tungstenite::Message::text(watch)).await.expect("is taken");
        page.into_inner()
    }

    /// Reads as cheaply as the kernel can: with `MSG_TRUNC` bytes are counted, not copied (tcp(7)).
    async fn discard(socket: TcpStream) {
        let mut nothing = [MaybeUninit::<u8>::uninit(); 64 << 10];
        while socket.readable().await.is_ok() {
            let read = socket.try_io(Interest::READABLE, || {
                let (_, length) =
                    rustix::net::recv(&socket, &mut nothing, rustix::net::RecvFlags::TRUNC)?;
                Ok(length)
            });
            match read {
                Ok(0) => return,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}
