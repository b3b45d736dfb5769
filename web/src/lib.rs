//! What a node offers by HTTP: a page to watch on, and streams for other programs.
//!
//! ```text
//! listen      sockets, limits on connections, deadlines
//! page        the page's files, and headers of every answer
//! accounts    who asks, log-in and log-out, and what is whose
//! origin      which site a request comes from
//! socket      the page's WebSocket: live streams, and the way to rooms
//! word        what a page says there
//! room        what a page is told of rooms, and their list
//! sealed      what members seal, as JSON
//! outputs     live streams and recordings by name: .mp4 .mjpeg .m3u8 .jpg and segments
//! movie_file  a recording as one MP4 that can be read from any byte
//! playlist    HTTP Live Streaming
//! facts       what is said as JSON
//! feed        a live stream that is watched: muxed once, viewers are cursors
//! ring        the newest part of it
//! recorded    recordings that are open: segments by number
//! shelf       what was muxed of them
//! still       pictures as JPEGs
//! form        packets to fragments: what goes into the MP4 and what beside it
//! viewer      a viewer of the node in its own process
//! names       names in addresses
//! films       films that people add
//! adder       who adds them
//! limits      every bound
//! ```
//!
//! Everything is read from a [`relay::Node`] as any viewer reads it, through a pipe. What is muxed is
//! muxed once, however many watch.

pub mod accounts;
mod adder;
mod error;
mod facts;
mod feed;
mod films;
mod form;
pub mod limits;
mod listen;
mod movie_file;
mod names;
mod origin;
mod outputs;
mod page;
mod playlist;
mod recorded;
mod ring;
mod room;
mod sealed;
mod shelf;
mod socket;
mod still;
mod viewer;
mod word;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::get;
use library::films::Films;
use relay::Node;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use accounts::Accounts;
pub use error::Error;
pub use listen::{BindError, bind, bind_default};

/// The port of a page unless told otherwise.
pub const DEFAULT_PORT: u16 = 8080;

/// What all requests share.
#[derive(Clone)]
struct Shared {
    node: Node,
    accounts: Option<Accounts>,
    films: Option<Films>,
    feeds: feed::Feeds,
    movies: recorded::Movies,
    stills: still::Stills,
}

/// What a site has beside what its node has.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Who may log in; `None`: there are no accounts.
    pub accounts: Option<Accounts>,
    /// Films that people add; `None`: they add none.
    pub films: Option<Films>,
}

/// Serves what the node has on all of `listeners` until [`Node::shut_down`]. To be called within a
/// runtime of several threads: decoding pictures and sound blocks the one it happens on.
pub async fn serve(node: Node, listeners: Vec<TcpListener>, options: Options) {
    let shared = Shared {
        feeds: feed::Feeds::new(node.clone()),
        movies: recorded::Movies::new(node.clone()),
        stills: still::Stills::new(node.clone()),
        node: node.clone(),
        accounts: options.accounts,
        films: options.films,
    };
    let router = Router::new()
        .route("/", get(page::start))
        .route("/page/{name}", get(page::named))
        .route("/api", get(page::api))
        .route("/socket", get(socket::open))
        .route("/rooms.json", get(room::list))
        .route("/qr.svg", get(room::qr))
        .route("/streams.json", get(outputs::catalogue))
        .route("/streams/{file}", get(outputs::streams))
        .route("/movies/{file}", get(outputs::movies))
        .merge(films::routes())
        .fallback(async || Error::Missing("there is nothing here; / is the page".to_owned()))
        .merge(accounts::pages::routes())
        .layer(from_fn_with_state(shared.clone(), accounts::gate))
        .layer(map_response(page::guard))
        .with_state(shared);
    let census = listen::Census::default();
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(listen::accept(node.clone(), listener, census.clone(), router.clone()));
    }
    while loops.join_next().await.is_some() {}
}
