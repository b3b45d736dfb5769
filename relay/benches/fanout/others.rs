//! Programs beside ours: iperf3 and nginx with its RTMP module, where they are installed.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that is ended with the benchmark.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its worker on SIGTERM, not on SIGKILL.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}

fn wait_for(port: u16) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// CPU-seconds of iperf3's sender a gigabyte, with so many streams; `None` without iperf3.
pub(crate) fn iperf3(streams: usize) -> Option<f64> {
    // One process takes 128 streams.
    let processes = streams.div_ceil(100);
    let each = streams / processes;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..processes {
        let port = free_port().to_string();
        let mut server = Command::new("iperf3");
        silent(server.args(["-s", "-1", "-p", &port]));
        servers.push(Running(server.spawn().ok()?));
        std::thread::sleep(Duration::from_millis(100));
        let each = each.to_string();
        clients.push(
            Command::new("iperf3")
                .args(["-c", "127.0.0.1", "-p", &port, "-P", &each, "-t", "3", "-l", "60000", "-J"])
                .stdout(Stdio::piped())
                .spawn()
                .ok()?,
        );
    }
    let (mut cpu, mut gigabytes) = (0.0, 0.0);
    for client in clients {
        let output = client.wait_with_output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let end = &text[text.rfind("\"sum_sent\"")?..];
        let seconds = field(end, "\"seconds\":")?;
        gigabytes += field(end, "\"bytes\":")? / 1e9;
        cpu += field(end, "\"host_total\":")? / 100.0 * seconds;
    }
    Some(cpu / gigabytes)
}

fn field(json: &str, name: &str) -> Option<f64> {
    let rest = json[json.find(name)? + name.len()..].trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    rest[..end].parse().ok()
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// nginx with its RTMP module and a publisher that sends 720p30 at 3 Mbit/s into it.
pub(crate) struct Nginx {
    pub(crate) address: String,
    pub(crate) worker: u32,
    _running: [Running; 2],
    _folder: tempfile::TempDir,
}

/// Starts it; `None` where nginx, its module or ffmpeg is missing.
pub(crate) fn nginx_rtmp() -> Option<Nginx> {
    const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
    if !fs::exists(MODULE).unwrap_or(false) {
        return None;
    }
    let folder = tempfile::tempdir().ok()?;
    let at = folder.path().display();
    let port = free_port();
    let config = format!(
        "load_module {MODULE};\ndaemon off;\nworker_processes 1;\npid {at}/pid;\n\
         error_log {at}/log;\nevents {{ worker_connections 8192; }}\n\
         rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096; \
         application live {{ live on; }} }} }}\n"
    );
    let path = folder.path().join("conf");
    fs::write(&path, config).ok()?;
    let nginx = Command::new("nginx")
        .arg("-c")
        .arg(&path)
        .arg("-p")
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let nginx = Running(nginx);
    if !wait_for(port) {
        return None;
    }
    let clip = folder.path().join("clip.flv");
    make_clip(&clip)?;
    let publisher = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"])
        .arg(&clip)
        .args(["-c", "copy", "-f", "flv", &format!("rtmp://127.0.0.1:{port}/live/bench")])
        .spawn()
        .ok()?;
    let publisher = Running(publisher);
    let master = nginx.0.id();
    let worker = children(master).into_iter().next()?;
    std::thread::sleep(Duration::from_secs(2));
    let address = format!("127.0.0.1:{port}");
    Some(Nginx { address, worker, _running: [publisher, nginx], _folder: folder })
}

/// Ten seconds of noise at 3 Mbit/s, a key frame every 2 s.
fn make_clip(path: &std::path::Path) -> Option<()> {
    let status = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-f", "lavfi", "-i"])
        .arg("testsrc2=s=1280x720:r=30:d=10,noise=alls=20:allf=t")
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-bf", "0"])
        .args(["-b:v", "3M", "-minrate", "3M", "-maxrate", "3M", "-bufsize", "1M"])
        .args(["-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p"])
        .arg(path)
        .status()
        .ok()?;
    status.success().then_some(())
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
