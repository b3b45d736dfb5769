//! Starts the relay's long-lived tasks and ends them.

use std::collections::HashSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use proto::dial::{DialError, parse_address};
use relay::announce::{self, Kind};
use relay::rooms::Rooms;
use relay::{Config, Keep, Node, listen, process, reach};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use web::accounts::{self, Accounts, Place};

use crate::cinema::Cinema;
use crate::cli::Args;
use crate::rooms::{self, Lobby, Options};
use crate::store::Store;

/// Why the relay cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] listen::BindError),
    /// The page cannot be served where it was asked for.
    #[error(transparent)]
    Http(#[from] web::BindError),
    /// An origin can never be reached.
    #[error("origin {0}")]
    Origin(#[from] DialError),
    /// Recordings cannot be kept where they are to be.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Rooms cannot be kept where they are to be.
    #[error(transparent)]
    Rooms(#[from] rooms::Error),
    /// Accounts cannot be kept where they are to be.
    #[error(transparent)]
    Accounts(#[from] accounts::OpenError),
    /// Nothing says where accounts are kept.
    #[error(
        "--accounts needs a place to keep them: add --cache-dir DIR, or --accounts-db sqlite:FILE"
    )]
    NowhereForAccounts,
    /// Films cannot be added to their folder.
    #[error(transparent)]
    Films(#[from] library::films::Error),
    /// Films cannot be offered.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// The system does not tell us of signals.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

/// Relays until it is told to stop.
///
/// # Errors
/// See [`Error`].
pub async fn run(args: Args) -> Result<(), Error> {
    let mut limits = args.limits.limits();
    process::fit_to_descriptors(&mut limits);
    let listeners = listen::bind_all(&args.listen)?;
    let addresses: Vec<SocketAddr> =
        listeners.iter().filter_map(|listener: &TcpListener| listener.local_addr().ok()).collect();
    let pages = pages(&args)?;
    let keep = match &args.cache_dir {
        Some(folder) => Some(Store::open(folder, args.cache_size)? as Arc<dyn Keep>),
        None => None,
    };
    let rewind = args.rewind();
    let wanted = args.films();
    let lobby = lobby(&args).await?;
    let accounts = accounts(&args).await?;
    let keeps_rooms = lobby.clone().map(|lobby| lobby as Arc<dyn Rooms>);
    let node = Node::new(Config {
        limits,
        agent: format!("cache-server {}", env!("CARGO_PKG_VERSION")),
        publish_token: args.publish_token,
        keep,
        rewind,
        rooms: keeps_rooms,
    });
    let _announcement = announced(&node, &addresses, args.no_announce);
    let named = distinct(args.origin);
    let rooms_file = lobby.as_ref().and_then(|lobby| lobby.file());
    let cinema = wanted.map(|settings| Cinema::open(settings, &node, &Handle::current()));
    let cinema = cinema.transpose()?;
    // What may keep it from starting is behind it.
    say_hello(&named, rooms_file, accounts.as_ref(), &addresses, &pages);

    let recorded = node.clone();
    // Reading the folder is work for another thread; nobody waits for it.
    tokio::task::spawn_blocking(move || recorded.offer_recorded());
    let mut origins = JoinSet::new();
    for origin in named {
        let node = node.clone();
        origins.spawn(async move { node.pull(&origin).await });
    }
    let options = web::Options { accounts, films: cinema.as_ref().map(Cinema::films) };
    let browsers = tokio::spawn(web::serve(node.clone(), pages, options));
    let mut serving = Box::pin(node.serve(listeners));
    let result = tokio::select! {
        () = &mut serving => return Ok(()),
        Some(Ok(Err(error))) = origins.join_next(), if !origins.is_empty() => Err(error.into()),
        signal = process::stop_signal() => signal.map_err(Error::Signals),
    };
    node.shut_down();
    serving.await;
    // A page that panicked is no reason to end otherwise.
    let _ = browsers.await;
    if let Some(cinema) = cinema {
        cinema.end().await;
    }
    if let Some(lobby) = lobby {
        lobby.flush().await;
    }
    result
}

/// Who keeps rooms, and where.
async fn lobby(args: &Args) -> Result<Option<Arc<Lobby>>, Error> {
    let Some(options) = args.rooms() else { return Ok(None) };
    let Some(folder) = args.cache_dir.as_ref().filter(|_| options.file.is_none()) else {
        return Ok(Some(Lobby::open(options).await?));
    };
    let file = Some(folder.join("rooms.sqlite"));
    // A folder that may only be read is used all the same.
    match Lobby::open(Options { file, ..options.clone() }).await {
        Err(error @ rooms::Error::Store(_)) => {
            tracing::warn!("{error}; rooms are kept in memory");
            Ok(Some(Lobby::open(options).await?))
        }
        opened => Ok(Some(opened?)),
    }
}

/// Who may log in, where that is wanted.
async fn accounts(args: &Args) -> Result<Option<Accounts>, Error> {
    let Some(policy) = args.policy() else {
        if args.accounts_db.is_some() {
            tracing::warn!("there are no accounts to keep in --accounts-db: --accounts is off");
        }
        return Ok(None);
    };
    let folder = args.cache_dir.as_ref();
    let usual = || folder.map(|folder| Place::File(folder.join("accounts.sqlite")));
    let place = args.accounts_db.clone().or_else(usual).ok_or(Error::NowhereForAccounts)?;
    Ok(Some(Accounts::open(place, policy).await?))
}

/// Where browsers are served. The default port may be somebody else's; one that was asked for not.
fn pages(args: &Args) -> Result<Vec<TcpListener>, web::BindError> {
    match (args.no_http, args.http.as_slice()) {
        (true, _) => Ok(Vec::new()),
        (false, []) => Ok(web::bind_default().unwrap_or_else(|error| {
            tracing::warn!("there is no page for browsers: {error}");
            Vec::new()
        })),
        (false, addresses) => web::bind(addresses),
    }
}

/// An origin that is named twice is dialled once.
fn distinct(origins: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let is_new = |origin: &String| seen.insert(parse_address(origin).ok());
    origins.into_iter().filter(is_new).collect()
}

fn announced(node: &Node, addresses: &[SocketAddr], not: bool) -> Option<announce::Announcement> {
    let port = addresses.iter().find(|address| !address.ip().is_loopback())?.port();
    if not {
        return None;
    }
    announce::announce(Kind::Relay, node.id(), port)
        .inspect_err(|error| tracing::warn!("{error}"))
        .ok()
}

/// Says what is relayed and kept, and where. A closed pipe (`cache-server ... | head`) is no reason to end.
fn say_hello(
    origins: &[String],
    rooms_file: Option<&Path>,
    accounts: Option<&Accounts>,
    addresses: &[SocketAddr],
    pages: &[TcpListener],
) {
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| {
        let _ = writeln!(out, "{line}");
    };
    for origin in origins {
        say(format!("relaying the streams of {origin}"));
    }
    if let Some(file) = rooms_file {
        say(format!("keeping rooms in {}", file.display()));
    }
    if let Some(accounts) = accounts {
        say(format!("keeping accounts in {}", accounts.place()));
    }
    for address in addresses {
        say(format!("listening on {address}"));
    }
    for (address, place) in reach::addresses(addresses, &reach::local()) {
        say(format!("watch from {place}: client --connect {address}"));
    }
    let pages: Vec<SocketAddr> = pages.iter().filter_map(|page| page.local_addr().ok()).collect();
    for (address, place) in reach::addresses(&pages, &reach::local()) {
        say(format!("in a browser, from {place}: http://{address}/"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_named_twice_is_one() {
        let named = ["tv", "films:8000", "tv:9999", "tv"].map(str::to_owned);
        assert_eq!(distinct(named.to_vec()), ["tv", "films:8000"]);
    }
}
