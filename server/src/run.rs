//! Starts everything that lives long, and ends it.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use library::Library;
use relay::announce::{Announcement, Kind, announce};
use relay::upstream::PushError;
use relay::{Config, Node, listen, process, reach};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task;

use crate::cli::Cli;
use crate::preview::{self, Shown};
use crate::say::say;
use crate::source::{self, Feed, Stage, Stop};
use crate::{Error, devices};

/// Sources look up several times a second for whether to end; a driver that hangs is left behind.
const FAREWELL: Duration = Duration::from_secs(2);
/// A library's folder is looked at this often.
const LOOK: Duration = Duration::from_secs(2);

/// Does what the command line says, until a signal (or `q` in the preview) ends it.
///
/// # Errors
/// What went wrong, in a sentence.
pub fn run(cli: &Cli) -> Result<(), Error> {
    if cli.list_devices {
        devices::print();
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listeners = runtime.block_on(async { listen::bind_all(&cli.listen) })?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    let feeds = source::open(cli)?;
    let mut server = Server::start(&runtime, cli, feeds, listeners)?;
    server.print_reach(&addresses);
    let _announced = announced(cli, &server.node, &addresses);
    // A library is served until a signal comes, whatever becomes of the sources beside it.
    let sources = server.library.is_none().then_some(server.sources.len());
    let ended = runtime.spawn(until_ended(server.news.take(), sources));
    let result = match addresses.first() {
        Some(address) if cli.preview && !server.names.is_empty() => {
            server.wait_beside_window(&runtime, *address, ended)
        }
        _ => wait(&runtime, ended),
    };
    server.end(&runtime);
    // Whatever is left holds nothing that a viewer would miss.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// What is running.
struct Server {
    node: Node,
    names: Vec<String>,
    stop: watch::Sender<bool>,
    serving: task::JoinHandle<()>,
    sources: Vec<JoinHandle<()>>,
    library: Option<Library>,
    news: Option<mpsc::UnboundedReceiver<News>>,
}

/// Why the server might end.
enum News {
    Signal,
    Source(Result<(), Error>),
    Refused(PushError),
}

type Tell = mpsc::UnboundedSender<News>;

impl Server {
    fn start(
        runtime: &Runtime,
        cli: &Cli,
        feeds: Vec<source::Named>,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, Error> {
        let mut limits = cli.limits.limits();
        process::fit_to_descriptors(&mut limits);
        let node = Node::new(Config {
            limits,
            agent: concat!("server/", env!("CARGO_PKG_VERSION")).to_owned(),
            publish_token: None,
            keep: None,
            rewind: None,
            rooms: None,
        });
        let (stop, stopped) = watch::channel(false);
        // Bounded by what is told: a word from each source and push, and a signal.
        let (tell, news) = mpsc::unbounded_channel();
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        for (name, feed) in feeds {
            say!("{name}: {}; {}", feed.summary(), feed.way());
            let source = node.add_stream(&name, &feed.title(), feed.is_live())?;
            source.set_summary(&feed.summary());
            let stage = Stage::new(source, Stop::new(stopped.clone()), runtime.handle().clone());
            sources.push(feed_on_thread(feed, stage, tell.clone())?);
            if let Some(relay) = &cli.push {
                let push = (relay.clone(), name.clone(), cli.token.clone());
                runtime.spawn(offer(node.clone(), push, tell.clone()));
            }
            names.push(name);
        }
        runtime.spawn(signalled(tell));
        let library = library(cli, &node, stopped, runtime)?;
        let served = node.clone();
        let serving = runtime.spawn(async move { served.serve(listeners).await });
        Ok(Self { node, names, stop, serving, sources, library, news: Some(news) })
    }

    /// Says where viewers find what.
    fn print_reach(&self, listening: &[SocketAddr]) {
        for address in listening {
            say!("listening on {address}");
        }
        let stream =
            if self.names.len() == 1 && self.library.is_none() { "" } else { " --stream NAME" };
        for (address, place) in reach::addresses(listening, &reach::local()) {
            say!("watch from {place}: client --connect {address}{stream}");
        }
    }

    /// Shows the first stream on this thread until the window is closed or the server ends.
    fn wait_beside_window(
        &self,
        runtime: &Runtime,
        address: SocketAddr,
        ended: task::JoinHandle<Result<(), Error>>,
    ) -> Result<(), Error> {
        let name = self.names.first().map_or("", String::as_str);
        let stop = Stop::new(self.stop.subscribe());
        match preview::show(address, name, &stop, || ended.is_finished()) {
            Shown::Closed => return Ok(()),
            Shown::Ended => {}
            Shown::Not(why) => say!("{why}; the stream is served all the same"),
        }
        wait(runtime, ended)
    }

    /// Says goodbye to the viewers, then ends the sources.
    fn end(self, runtime: &Runtime) {
        self.node.shut_down();
        // It bounds its own time.
        let _ = runtime.block_on(self.serving);
        self.stop.send_replace(true);
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline && !self.sources.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The library, if there is to be one.
fn library(
    cli: &Cli,
    node: &Node,
    stop: watch::Receiver<bool>,
    runtime: &Runtime,
) -> Result<Option<Library>, Error> {
    let Some(folder) = cli.library.clone() else { return Ok(None) };
    if cli.preview {
        say!("--preview shows no library: it sends what each viewer asks for");
    }
    if cli.push.is_some() {
        say!("the library is not pushed: relays that dial this server have it");
    }
    let settings = library::Settings { folder, work: cli.work_dir.clone(), every: LOOK };
    Ok(Some(Library::start(settings, None, node, stop, runtime.handle())?))
}

fn feed_on_thread(
    feed: Box<dyn Feed>,
    stage: Stage,
    tell: Tell,
) -> Result<JoinHandle<()>, std::io::Error> {
    let name = stage.name().to_owned();
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        let result = feed.run(stage);
        if let Err(error) = &result {
            tracing::debug!("{name}: {error}");
        }
        // Nobody listens any more only if the server is ending.
        let _ = tell.send(News::Source(result));
    })
}

async fn offer(node: Node, (relay, name, token): (String, String, Option<String>), tell: Tell) {
    if let Err(error) = node.push(&relay, &name, &name, token).await {
        let _ = tell.send(News::Refused(error));
    }
}

async fn signalled(tell: Tell) {
    if process::stop_signal().await.is_ok() {
        let _ = tell.send(News::Signal);
    }
}

/// Waits for a signal, a push that is refused for good, or the end of all `sources` (where it is the
/// sources alone that are served).
async fn until_ended(
    news: Option<mpsc::UnboundedReceiver<News>>,
    sources: Option<usize>,
) -> Result<(), Error> {
    let Some(mut news) = news else { return Ok(()) };
    let mut ended = 0;
    while let Some(news) = news.recv().await {
        match news {
            News::Signal => return Ok(()),
            News::Refused(error) => return Err(error.into()),
            News::Source(result) => {
                ended += 1;
                if Some(ended) == sources {
                    return result;
                }
                if let Err(error) = result {
                    say!("{error}; the other streams go on");
                }
            }
        }
    }
    Ok(())
}

fn wait(runtime: &Runtime, ended: task::JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    runtime.block_on(ended).unwrap_or(Ok(()))
}

/// Announces the server, unless the user said not to, or only this machine can reach it.
fn announced(cli: &Cli, node: &Node, addresses: &[SocketAddr]) -> Option<Announcement> {
    let reachable = addresses.iter().find(|address| !address.ip().is_loopback())?;
    if cli.no_announce {
        return None;
    }
    match announce(Kind::Server, node.id(), reachable.port()) {
        Ok(announcement) => Some(announcement),
        Err(error) => {
            say!("{error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_server_ends_with_its_last_source() {
        let (tell, news) = mpsc::unbounded_channel();
        let ended = tokio::spawn(until_ended(Some(news), Some(2)));
        let lost = || Error::OneName(7);
        assert!(tell.send(News::Source(Err(lost()))).is_ok());
        assert!(tell.send(News::Source(Ok(()))).is_ok());
        assert!(ended.await.expect("ends").is_ok());

        let (tell, news) = mpsc::unbounded_channel();
        assert!(tell.send(News::Source(Err(lost()))).is_ok());
        assert!(matches!(until_ended(Some(news), Some(1)).await, Err(Error::OneName(7))));
    }

    #[tokio::test]
    async fn beside_a_library_sources_may_end() {
        let (tell, news) = mpsc::unbounded_channel();
        assert!(tell.send(News::Source(Err(Error::OneName(7)))).is_ok());
        assert!(tell.send(News::Signal).is_ok());
        assert!(until_ended(Some(news), None).await.is_ok());
    }

    #[tokio::test]
    async fn a_signal_ends_the_server_well() {
        let (tell, news) = mpsc::unbounded_channel();
        assert!(tell.send(News::Signal).is_ok());
        assert!(until_ended(Some(news), Some(1)).await.is_ok());
    }
}
