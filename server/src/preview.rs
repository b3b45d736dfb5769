//! A window with what is being sent: the server's own viewer, dialled like any other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use media::Picture;
use media::decode::VideoDecoder;
use media::picture::Fitter;
use minifb::{InputCallback, Key, Window, WindowOptions};
use proto::conn::ConnError;
use proto::dial::{DialError, Dialled, dial};
use proto::message::Subscribe;
use proto::stream::Video;
use proto::{Message, Role};

use crate::source::Stop;

/// Width of the window when it opens, pixels; its height follows the picture's shape.
const WIDTH: u32 = 960;
/// How often the window looks for a new picture and for keys.
const TICK: Duration = Duration::from_millis(10);
/// Pause before dialling again.
const RETRY: Duration = Duration::from_secs(1);

/// The newest picture and how to show it.
type Latest = Arc<Mutex<Option<(Picture, Video)>>>;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// The user closed the window.
    Closed,
    /// The server ended.
    Ended,
    /// There is no window, in a sentence.
    Not(String),
}

/// Shows the stream `name` of the server at `listening` until the window is closed or `ended`.
/// Runs on the main thread, where windows must live.
pub fn show(listening: SocketAddr, name: &str, stop: &Stop, ended: impl Fn() -> bool) -> Shown {
    let closed = Arc::new(AtomicBool::new(false));
    // Opened before anything is decoded: without a display there is nothing to do.
    let mut window = match open(name, &closed) {
        Ok(window) => window,
        Err(why) => return Shown::Not(why),
    };
    let latest = Latest::default();
    let (stream, end, watching) = (name.to_owned(), stop.clone(), latest.clone());
    let watcher = std::thread::Builder::new()
        .name("preview".to_owned())
        .spawn(move || watch(dialled(listening), &stream, &watching, &end));
    if let Err(error) = watcher {
        return Shown::Not(format!("no preview ({error})"));
    }
    let mut fitter = Fitter::default();
    let mut pixels = Vec::new();
    while window.is_open() && !closed.load(Ordering::Relaxed) {
        if ended() {
            return Shown::Ended;
        }
        std::thread::sleep(TICK);
        let newest = latest.lock().unwrap_or_else(|e| e.into_inner()).take();
        let Some((picture, video)) = newest else {
            window.update();
            continue;
        };
        let (width, height) = window.get_size();
        let size = (width.max(1) as u32, height.max(1) as u32);
        fitter.fit(&picture, &video, size, &mut pixels);
        if let Err(error) = window.update_with_buffer(&pixels, width.max(1), height.max(1)) {
            return Shown::Not(format!("the preview ended ({error})"));
        }
    }
    Shown::Closed
}

fn open(name: &str, closed: &Arc<AtomicBool>) -> Result<Window, String> {
    let options = WindowOptions { resize: true, ..WindowOptions::default() };
    let title = format!("{name} - preview (q ends the server)");
    let mut window = Window::new(&title, WIDTH as usize, (WIDTH * 9 / 16) as usize, options)
        .map_err(|error| {
            format!("no preview, there is no display to open a window on ({error})")
        })?;
    window.set_input_callback(Box::new(Keys(closed.clone())));
    Ok(window)
}

/// Takes keys as they come: one pressed and released between two looks would be lost.
struct Keys(Arc<AtomicBool>);

impl InputCallback for Keys {
    fn add_char(&mut self, _character: u32) {}

    fn set_key_state(&mut self, key: Key, pressed: bool) {
        if pressed && matches!(key, Key::Q | Key::Escape) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Where this machine dials what it listens on.
fn dialled(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// The thread: a viewer that decodes pictures and keeps the newest, connected again if need be.
fn watch(server: SocketAddr, stream: &str, latest: &Latest, stop: &Stop) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::warn!("no preview: {error}"),
    };
    while !stop.is_set() {
        if let Err(error) = runtime.block_on(view(server, stream, latest)) {
            tracing::debug!("preview: {error}");
        }
        if !stop.sleep(RETRY) {
            return;
        }
    }
}

/// Why the preview's connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Conn(#[from] ConnError),
    #[error(transparent)]
    Decode(#[from] media::decode::Error),
}

async fn view(server: SocketAddr, stream: &str, latest: &Latest) -> Result<(), Lost> {
    let agent = concat!("server-preview/", env!("CARGO_PKG_VERSION"));
    let Dialled { mut reader, mut writer, .. } =
        dial(&server.to_string(), Role::View, None, agent).await?;
    let subscribe = Message::Subscribe(Subscribe { stream: Some(stream.to_owned()), buffer_us: 0 });
    writer.write(&subscribe).await?;
    let mut decoder: Option<(u16, VideoDecoder, Video)> = None;
    loop {
        match reader.read().await? {
            Message::Describe(description) => {
                decoder = match description.video() {
                    Some((index, track, video)) => {
                        Some((index, VideoDecoder::new(track)?, video.clone()))
                    }
                    None => None,
                };
            }
            Message::Packet(packet) => {
                let Some((index, decoder, video)) = &mut decoder else { continue };
                if packet.header.track != *index {
                    continue;
                }
                if let Some(picture) = decoder.decode(&packet)?.pop() {
                    let newest = Some((picture, video.clone()));
                    *latest.lock().unwrap_or_else(|e| e.into_inner()) = newest;
                }
            }
            // A movie that is over starts again for its next viewer: this one.
            Message::End => {
                // A movie of a moment would start as fast as it can otherwise.
                tokio::time::sleep(RETRY).await;
                writer.write(&subscribe).await?;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_dialled_on_this_machine() {
        for (listening, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("192.168.1.7:3", "192.168.1.7:3"),
        ] {
            let listening = listening.parse().expect("an address");
            assert_eq!(dialled(listening).to_string(), expected);
        }
    }

    #[test]
    fn q_closes_however_short_it_is_pressed() {
        let closed = Arc::new(AtomicBool::new(false));
        let mut keys = Keys(closed.clone());
        keys.set_key_state(Key::W, true);
        keys.set_key_state(Key::Q, false);
        assert!(!closed.load(Ordering::Relaxed));
        keys.set_key_state(Key::Q, true);
        assert!(closed.load(Ordering::Relaxed));
    }
}
