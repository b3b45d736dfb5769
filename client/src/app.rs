//! The program: starts every long-lived thread and task, and owns the shutdown.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use crate::announce::Announcer;
use crate::cli::Args;
use crate::local::{Local, LocalError};
use crate::output::{line, remark};
use crate::player::Player;
use crate::record::Recording;
use crate::room::secret::SecretError;
use crate::session::{self, Command, Config, Patience, SessionError};
use crate::shared::Shared;
use crate::stats::State;
use crate::watch::End;
use crate::{audio, catalog, discover, headless, room, sound, sync, talk, video, watch};

/// Threads of the runtime: one for the stream, one for the clock, so that neither waits.
const WORKERS: usize = 2;
/// What the connections get to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// Why the program failed, for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The server, the network or the stream.
    #[error(transparent)]
    Session(#[from] Arc<SessionError>),
    /// A file cannot be made.
    #[error("cannot write to {path}: {reason}")]
    Record {
        /// The file.
        path: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The viewer's own movie cannot be played.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// What is said in a room cannot be sealed.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Neither eyes nor ears.
    #[error(
        "there is nothing to play on, neither a display for the picture nor a sound card for the \
         sound: --headless decodes without them"
    )]
    NothingToPlayOn,
    /// The stream was over before it began.
    #[error("the stream of {address} ended before anything of it came; is its source broken?")]
    NothingCame {
        /// The server.
        address: String,
    },
    /// The system gives no threads, or no way to listen for announcements.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        reason: String,
    },
}

impl AppError {
    /// 1 for failures, 2 where the user has to choose.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Session(error) if error.is_choice() => 2,
            _ => 1,
        }
    }
}

/// Does what the command line says.
pub fn run(args: &Args) -> Result<ExitCode, AppError> {
    let Some(address) = &args.connect else { return discover(args.json) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|e| system("cannot start", &e))?;
    if args.list {
        list(&runtime, address, args.json)
    } else if args.together.rooms {
        rooms(&runtime, address, args.json)
    } else {
        play(runtime, args, address)
    }
}

fn system(what: &'static str, reason: &dyn std::fmt::Display) -> AppError {
    AppError::System { what, reason: reason.to_string() }
}

/// Lists who announces streams.
fn discover(json: bool) -> Result<ExitCode, AppError> {
    remark(format_args!("listening for {} s for servers and relays", discover::LISTEN.as_secs()));
    let found = discover::browse(discover::LISTEN)
        .map_err(|e| system("cannot listen for servers on this network", &e))?;
    let lines = if json { discover::json_lines(&found) } else { discover::lines(&found) };
    if found.is_empty() {
        remark("no server was found on this network: start one, or name it with --connect HOST");
    }
    // A reader that went away has seen enough.
    let _ = lines.iter().all(line);
    Ok(if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Lists what a server offers.
fn list(runtime: &Runtime, address: &str, json: bool) -> Result<ExitCode, AppError> {
    let streams = runtime.block_on(session::control::catalog(address)).map_err(Arc::new)?;
    if streams.is_empty() {
        remark(format_args!("{address} offers no stream at the moment"));
    }
    say_streams(address, &streams, json);
    Ok(ExitCode::SUCCESS)
}

fn say_streams(address: &str, streams: &[proto::StreamInfo], json: bool) {
    let lines = if json {
        catalog::json_lines(streams)
    } else {
        catalog::lines(address, streams, catalog::terminal_width())
    };
    let _ = lines.iter().all(line);
}

/// Lists the rooms of a node.
fn rooms(runtime: &Runtime, address: &str, json: bool) -> Result<ExitCode, AppError> {
    let found = runtime.block_on(session::control::rooms(address)).map_err(Arc::new)?;
    let (rooms, node_now) = found;
    if rooms.is_empty() {
        remark(format_args!("{address} has no open room at the moment: --create-room makes one"));
    }
    let lines = if json { room::list::json_lines } else { room::list::lines };
    let _ = lines(&rooms, node_now).iter().all(line);
    Ok(ExitCode::SUCCESS)
}

/// Plays a stream to its end, or the user's.
fn play(runtime: Runtime, args: &Args, address: &str) -> Result<ExitCode, AppError> {
    let recording = args.record.as_deref().map(start_recording).transpose()?;
    let stats = args.stats.as_deref().map(start_stats).transpose()?;
    let desk = sound::Desk::new(args.volume, args.latency_us());
    let shared = Arc::new(Shared::new(args.headless, !args.no_audio, desk));
    let tap = recording.as_ref().map(Recording::tap);
    let player = Player::new(shared.clone(), i64::from(args.latency_us()), tap);
    let local = args.together.local.as_deref().map(Local::open).transpose()?.map(Arc::new);
    let film = local.as_ref().map(|local| local.film());
    let seat = args.together.seat(args.stream.clone(), film)?.map(Arc::new);
    let config = Config {
        address: address.to_owned(),
        seat: seat.clone(),
        local,
        stream: args.stream.clone(),
        buffer_us: args.latency_us(),
        start_us: args.start,
        ahead_us: i64::from(args.buffer) * 1_000_000,
        schedule: shared.schedule.clone(),
        patience: Patience::default(),
    };
    let quit = Arc::new(Notify::new());
    let (remote, commands) = mpsc::channel(session::COMMANDS);
    let session =
        runtime.spawn(watch_stream(config, player, shared.clone(), commands, quit.clone()));
    runtime.spawn(listen_for_signals(shared.clone()));
    let threads = start_threads(&shared)?;
    if let Some(file) = stats {
        let (shared, seat) = (shared.clone(), seat.clone());
        thread("sync", move || sync::run(&shared, seat.as_ref(), file))?;
    }
    if let Some(seat) = seat.clone() {
        let shared = shared.clone();
        // Not waited for: a terminal may say nothing for ever.
        thread("terminal", move || talk::listen(&shared, &seat))?;
    }
    let mut announcer = Announcer::new(address.to_owned());
    let end = if args.headless {
        headless::run(&shared, args.json, &mut announcer)
    } else {
        watch::run(&shared, remote, seat, &mut announcer)
    };
    quit.notify_one();
    let _ = runtime.block_on(async { tokio::time::timeout(GOODBYE, session).await });
    shared.close();
    for thread in threads {
        let _ = thread.join();
    }
    let recorded = match (recording, end) {
        (None, _) => true,
        (Some(recording), End::NothingToPlayOn { played: false }) => {
            recording.discard();
            false
        }
        (Some(recording), _) => recording.finish(),
    };
    runtime.shutdown_background();
    finish(&shared, end, args, address, recorded)
}

/// What the program says at its end.
fn finish(
    shared: &Shared,
    end: End,
    args: &Args,
    address: &str,
    recorded: bool,
) -> Result<ExitCode, AppError> {
    match end {
        End::NothingToPlayOn { .. } => return Err(AppError::NothingToPlayOn),
        End::Failed => {
            let outcome = shared.board.news(0).and_then(|status| status.outcome);
            if let Some(Err(error)) = outcome {
                if let SessionError::Ambiguous { offered, .. } = &*error {
                    say_streams(address, offered, args.json);
                }
                return Err(error.into());
            }
        }
        End::Done => {
            let status = shared.board.news(0).unwrap_or_default();
            if status.state == State::Ended && status.last.is_none() {
                return Err(AppError::NothingCame { address: address.to_owned() });
            }
        }
    }
    Ok(if recorded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn start_recording(path: &Path) -> Result<Recording, AppError> {
    Recording::start(path.to_owned()).map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "it exists already, choose another name or delete it".to_owned()
            }
            std::io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
            std::io::ErrorKind::PermissionDenied => "its folder may not be written to".to_owned(),
            _ => error.to_string(),
        };
        AppError::Record { path: path.display().to_string(), reason }
    })
}

fn start_stats(path: &Path) -> Result<File, AppError> {
    File::create(path).map_err(|error| AppError::Record {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// The session, with its outcome on the board.
async fn watch_stream(
    config: Config,
    mut player: Player,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
    quit: Arc<Notify>,
) {
    let outcome = session::run(&config, &mut player, &mut commands, quit).await.map_err(Arc::new);
    shared.board.update(|status| status.outcome = Some(outcome));
}

/// Ctrl-C and a polite kill end the player as `q` does: recordings are completed.
async fn listen_for_signals(shared: Arc<Shared>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    shared.board.update(|status| status.quit = true);
}

/// Starts the decoders and the sound card's thread; gives those worth waiting for at the end.
fn start_threads(shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, AppError> {
    let start = |name: &str, work: fn(&Shared)| {
        let shared = shared.clone();
        thread(name, move || work(&shared))
    };
    let threads = vec![start("video", video::run)?, start("audio", audio::run)?];
    if !shared.headless && shared.wants_sound() {
        // Not waited for: a sound server that hangs must not keep us.
        start("sound", keep_card)?;
    }
    Ok(threads)
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AppError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|e| system("cannot start a thread", &e))
}

/// Keeps a sound card open once there is sound to play.
fn keep_card(shared: &Shared) {
    let mut version = 0;
    loop {
        if shared.desk.is_closed() {
            return;
        }
        let Some(status) = shared.board.wait(version, Duration::from_secs(1)) else { continue };
        version = status.version;
        if status.description.is_some_and(|description| description.audio().is_some()) {
            break;
        }
    }
    let mut lost = false;
    sound::run(&shared.desk, &shared.schedule, |change| match change {
        sound::Change::Opened => {
            if std::mem::take(&mut lost) {
                remark("the sound is back");
            }
            shared.board.update(|status| status.no_card = None);
        }
        sound::Change::Missing(reason) => {
            remark(format_args!("{reason}: playing without sound"));
            shared.board.update(|status| status.no_card = Some(reason));
        }
        sound::Change::Lost => {
            lost = true;
            remark("the sound card went away: looking for it");
        }
    });
}
