//! A live stream that somebody watches by HTTP: subscribed once, muxed once, shared by all its web
//! viewers.
//!
//! A viewer is a [`Cursor`]: it waits for what comes, and jumps to the newest key frame where it is
//! too far behind. A feed ends a moment after its last viewer left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proto::{Message, Packet, StreamDescription};
use relay::Node;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Error;
use crate::form::{Form, Packager, Pictures, picture_size};
use crate::limits;
use crate::ring::{Chunk, Header, Ring};
use crate::viewer::Viewer;

/// Media time of the first picture, microseconds: sound may begin a little earlier.
const FIRST_US: i64 = 1_000_000;

/// A stream's name, and how it is muxed.
type Key = (String, Form);

/// The feeds of a node.
#[derive(Clone)]
pub(crate) struct Feeds {
    node: Node,
    feeds: Arc<Mutex<HashMap<Key, Arc<Feed>>>>,
}

impl Feeds {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, feeds: Arc::default() }
    }

    /// The stream in that form, kept for at least so long.
    pub(crate) fn watch(&self, name: &str, form: Form, keep: Duration) -> Arc<Feed> {
        let key = (name.to_owned(), form);
        let mut feeds = self.feeds.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(feed) = feeds.get(&key)
            && feed.keep(keep)
        {
            return feed.clone();
        }
        let feed = Arc::new(Feed::new(keep));
        feeds.insert(key.clone(), feed.clone());
        drop(feeds);
        let (feeds, running) = (self.clone(), feed.clone());
        tokio::spawn(async move {
            let reason = running.run(&feeds.node, &key.0, key.1).await;
            tracing::debug!("web: {} ends: {reason}", key.0);
            running.end(reason);
            feeds.forget(&key, &running);
        });
        feed
    }

    fn forget(&self, key: &Key, feed: &Arc<Feed>) {
        let mut feeds = self.feeds.lock().unwrap_or_else(|e| e.into_inner());
        if feeds.get(key).is_some_and(|there| Arc::ptr_eq(there, feed)) {
            feeds.remove(key);
        }
    }
}

/// See the module.
pub(crate) struct Feed {
    state: Mutex<State>,
    /// Sent whenever something in the state changed.
    changes: watch::Sender<()>,
}

struct State {
    ring: Ring,
    /// The source is away.
    held: bool,
    ended: Option<Error>,
    viewers: usize,
    /// Not ended before this, whoever watches.
    keep_until: Instant,
}

impl Feed {
    fn new(keep: Duration) -> Self {
        let state = State {
            ring: Ring::default(),
            held: false,
            ended: None,
            viewers: 0,
            keep_until: Instant::now() + keep,
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changes.send_replace(());
        changed
    }

    /// Keeps it for at least so long; false if it has ended.
    fn keep(&self, keep: Duration) -> bool {
        let mut state = self.state();
        state.keep_until = state.keep_until.max(Instant::now() + keep);
        state.ended.is_none()
    }

    fn end(&self, reason: Error) {
        self.change(|state| state.ended = Some(reason));
    }

    /// Reads something of the state as soon as it is there.
    pub(crate) async fn wait_for<T>(
        &self,
        patience: Duration,
        look: impl Fn(&Ring) -> Option<T>,
    ) -> Result<T, Error> {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                {
                    let state = self.state();
                    if let Some(found) = look(&state.ring) {
                        return Ok(found);
                    }
                    if let Some(reason) = &state.ended {
                        return Err(reason.clone());
                    }
                }
                // The sender lives as long as the feed.
                let _ = changes.changed().await;
            }
        };
        let late =
            || Error::Unavailable("the stream has not started in time; try again".to_owned());
        tokio::time::timeout(patience, waiting).await.map_err(|_| late())?
    }

    /// Fills the ring until nobody watches or the stream ends; why it ended.
    async fn run(&self, node: &Node, name: &str, form: Form) -> Error {
        let served = async || -> Result<std::convert::Infallible, Error> {
            let mut viewer = Viewer::subscribe(node, name).await?;
            let mut packaging = Packaging::new(form);
            loop {
                let message = tokio::select! {
                    message = viewer.reader.read() => message?,
                    () = tokio::time::sleep_until(packaging.bunch.due), if packaging.bunch.held => {
                        packaging.bunch.give(self);
                        continue;
                    }
                };
                packaging.take(self, message)?;
            }
        };
        tokio::select! {
            ended = served() => match ended {
                Ok(never) => match never {},
                Err(reason) => reason,
            },
            reason = self.deserted() => reason,
        }
    }

    /// Returns when nobody has watched for a moment.
    async fn deserted(&self) -> Error {
        loop {
            let until = {
                let state = self.state();
                if state.viewers > 0 { Instant::now() + limits::LINGER } else { state.keep_until }
            };
            if until <= Instant::now() {
                return Error::Unavailable("nobody watches any more".to_owned());
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Turns what the node says into chunks.
struct Packaging {
    form: Form,
    description: Option<StreamDescription>,
    packager: Option<Packager>,
    /// Nothing is given out before a key frame says when time begins.
    started: bool,
    epoch: u64,
    bunch: Bunch,
}

/// When viewers are told that there is something: at once while they are few, in bunches when they
/// are many. Each waking and each write of each of them then has more to carry.
struct Bunch {
    /// There is something that they were not told of.
    held: bool,
    /// Not before this.
    due: Instant,
}

impl Bunch {
    fn add(&mut self, feed: &Feed, chunk: Chunk) {
        let viewers = {
            let mut state = feed.state();
            state.ring.push(chunk);
            state.viewers
        };
        self.held = true;
        if viewers < limits::CROWD || Instant::now() >= self.due {
            self.give(feed);
        }
    }

    fn give(&mut self, feed: &Feed) {
        *self = Self { held: false, due: Instant::now() + limits::BUNCH };
        feed.changes.send_replace(());
    }
}

impl Packaging {
    fn new(form: Form) -> Self {
        let bunch = Bunch { held: false, due: Instant::now() };
        Self { form, description: None, packager: None, started: false, epoch: 0, bunch }
    }

    /// Fails with the reason at the end.
    fn take(&mut self, feed: &Feed, message: Message) -> Result<(), Error> {
        match message {
            Message::Describe(description) => self.describe(feed, description)?,
            Message::Packet(packet) => self.packet(feed, &packet),
            Message::Held(_) => feed.change(|state| state.held = true),
            Message::Resumed => feed.change(|state| state.held = false),
            // It has nothing live any more.
            Message::Index(_) | Message::End => {
                return Err(Error::Unavailable("the stream is over".to_owned()));
            }
            _ => {}
        }
        Ok(())
    }

    fn describe(&mut self, feed: &Feed, description: StreamDescription) -> Result<(), Error> {
        if self.description.as_ref() == Some(&description) {
            return Ok(());
        }
        let packager = Packager::new(&description, self.form, 0, 0)?;
        if packager.is_empty() {
            let what = match self.form.pictures {
                Pictures::Converted => "there is no picture in it",
                _ => "there is nothing in it that a browser can play",
            };
            return Err(Error::Missing(what.to_owned()));
        }
        self.epoch += 1;
        let header = Header {
            epoch: self.epoch,
            bytes: Header::prefixed(&packager.header(None)),
            mime: packager.mime(),
            apart: packager.is_apart(),
            size: picture_size(&description),
            summary: description.summary(),
            title: description.title.clone(),
        };
        (self.packager, self.started) = (Some(packager), false);
        self.description = Some(description);
        feed.change(|state| {
            state.ring.start(header);
            state.held = false;
        });
        Ok(())
    }

    fn packet(&mut self, feed: &Feed, packet: &Packet) {
        let Some(packager) = &mut self.packager else { return };
        if !self.started {
            if !packager.starts(packet) {
                return;
            }
            self.started = true;
            packager.set_origin(packet.header.pts_us.saturating_sub(FIRST_US));
        }
        if let Some(item) = packager.item(packet).filter(|item| item.pts_us >= 0) {
            self.bunch.add(feed, Chunk::new(&item));
        }
    }
}

/// What a viewer is told.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// How what follows is to be shown; first of all, and after a change.
    Header(Arc<Header>),
    /// The next chunk.
    Chunk(Chunk),
    /// The source is away.
    Held,
    /// The source is back.
    Resumed,
    /// Nothing more comes.
    Ended(Error),
}

/// A viewer's place in a feed.
pub(crate) struct Cursor {
    feed: Arc<Feed>,
    changes: watch::Receiver<()>,
    epoch: u64,
    next: Option<u64>,
    held: bool,
    over: bool,
    /// How often it jumped.
    pub(crate) jumps: u64,
}

impl Cursor {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        feed.state().viewers += 1;
        let changes = feed.changes.subscribe();
        Self { feed, changes, epoch: 0, next: None, held: false, over: false, jumps: 0 }
    }

    /// What comes next; `None` when nothing does. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.look() {
                return Some(news);
            }
            if self.over {
                return None;
            }
            self.changed().await;
        }
    }

    /// Returns when there may be something that was not there at the last look.
    pub(crate) async fn changed(&mut self) {
        // The feed lives as long as its cursors, and its sender as long as it.
        let _ = self.changes.changed().await;
    }

    /// What is there at once; `None` also when nothing more comes.
    pub(crate) fn look(&mut self) -> Option<News> {
        // Seen before it is looked at: what comes meanwhile is a change.
        self.changes.mark_unchanged();
        let state = self.feed.state();
        if self.over {
            return None;
        }
        if let Some(header) = state.ring.header.as_ref().filter(|header| header.epoch != self.epoch)
        {
            (self.epoch, self.next) = (header.epoch, None);
            return Some(News::Header(header.clone()));
        }
        if let Some(next) = self.next.or_else(|| state.ring.entry()) {
            let follows = state.ring.follow(next);
            self.jumps += u64::from(follows != next);
            self.next = Some(follows);
            if let Some(chunk) = state.ring.get(follows) {
                self.next = Some(follows + 1);
                return Some(News::Chunk(chunk.clone()));
            }
        }
        if state.held != self.held {
            self.held = state.held;
            return Some(if self.held { News::Held } else { News::Resumed });
        }
        if let Some(reason) = &state.ended {
            self.over = true;
            return Some(News::Ended(reason.clone()));
        }
        None
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        state.viewers -= 1;
        state.keep_until = state.keep_until.max(Instant::now() + limits::LINGER);
    }
}
