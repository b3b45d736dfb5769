//! The page's WebSocket: it says what it wants to watch, and gets it; and it is the way to rooms. Text
//! is JSON, binary is media (see [`crate::ring::PREFIX`]).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use proto::Message as Wire;
use proto::conn::now;
use relay::rooms::{self, Seat};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::accounts::Visitor;
use crate::error::Error;
use crate::feed::{Cursor, News};
use crate::form::{Form, Pictures};
use crate::origin::is_ours;
use crate::word::{Unfit, Word};
use crate::{Shared, limits, room};

/// What a page is told.
#[derive(Debug, Serialize)]
#[serde(tag = "say", rename_all = "lowercase")]
enum Answer<'a> {
    Describe {
        mime: &'a str,
        pictures_apart: bool,
        width: u32,
        height: u32,
        summary: &'a str,
        title: &'a str,
    },
    Held,
    Resumed,
    Ended {
        reason: String,
    },
    /// `clock_us`: the node's clock when the ping came.
    Pong {
        sent: f64,
        clock_us: i64,
    },
}

/// `/socket`.
pub(crate) async fn open(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    visitor: Visitor,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Error> {
    if !is_ours(&headers) {
        return Err(Error::Foreign);
    }
    let upgrade = upgrade.max_message_size(limits::WORD).max_frame_size(limits::WORD);
    Ok(upgrade.on_upgrade(async move |socket| {
        let reason = serve(&shared, visitor, peer, socket).await;
        tracing::debug!("web: {peer}: {reason}");
    }))
}

type Sink = SplitSink<WebSocket, Message>;

/// Until one of the two has had enough; why.
async fn serve(shared: &Shared, visitor: Visitor, peer: SocketAddr, socket: WebSocket) -> String {
    let (mut sink, mut words) = socket.split();
    let mut talk = Talk {
        visitor: visitor.clone(),
        peer,
        cursor: None,
        seat: None,
        waiting: VecDeque::new(),
        allowance: limits::WORDS,
        since: Instant::now(),
    };
    let mut over = pin!(visitor.over());
    let first = timeout(limits::FIRST_WORD, next(&mut words)).await;
    let mut word = first.unwrap_or_else(|_| Err("it did not say what it wants".to_owned()));
    let reason = loop {
        let done = match word {
            Ok(word) => talk.take(shared, word),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = done {
            break reason;
        }
        // Media flows until the page says something again.
        word = tokio::select! {
            word = next(&mut words) => word,
            ended = talk.play(&mut sink) => Err(ended),
            () = &mut over => Err("you are not logged in any more".to_owned()),
            () = shared.node.stopped() => Err("this relay is shutting down".to_owned()),
        };
    };
    let frame = CloseFrame { code: 1000, reason: cut(&reason).into() };
    let _ = timeout(limits::GOODBYE, sink.send(Message::Close(Some(frame)))).await;
    reason
}

/// What fits into a close frame.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(120);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// The next word; pings and the like are no words.
async fn next(words: &mut SplitStream<WebSocket>) -> Result<Word, String> {
    loop {
        match words.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text)
                    .map_err(|error| format!("not understood: {error}"));
            }
            Some(Ok(Message::Binary(_))) => {
                return Err("binary messages are for the page".to_owned());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err("the page is gone".to_owned()),
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

/// What a page watches, and how much it has said.
struct Talk {
    visitor: Visitor,
    peer: SocketAddr,
    cursor: Option<Cursor>,
    /// Its way to rooms, with its first word of them.
    seat: Option<Seat>,
    /// To be sent: as many as a word or a piece of news makes.
    waiting: VecDeque<Message>,
    allowance: u32,
    since: Instant,
}

impl Talk {
    fn take(&mut self, shared: &Shared, word: Word) -> Result<(), String> {
        self.pay()?;
        match word {
            Word::Ping { sent } => {
                self.tell(&Answer::Pong { sent, clock_us: now().0 });
            }
            Word::Watch { stream, sound } => {
                let form = Form { pictures: Pictures::Apart, sound };
                let feed = shared.feeds.watch(&stream, form, limits::LINGER);
                self.cursor = Some(Cursor::new(feed));
            }
            of_rooms => return self.pass_on(shared, of_rooms.of_rooms()),
        }
        Ok(())
    }

    /// For a word: some come back each second.
    fn pay(&mut self) -> Result<(), String> {
        let back = self.since.elapsed().as_secs();
        if back > 0 {
            self.since = Instant::now();
            let back = u32::try_from(back).unwrap_or(u32::MAX).saturating_mul(limits::WORDS_BACK);
            self.allowance = self.allowance.saturating_add(back).min(limits::WORDS);
        }
        self.allowance = self.allowance.checked_sub(1).ok_or("too many messages")?;
        Ok(())
    }

    /// What is said of rooms goes to whoever keeps them, as that of any viewer.
    fn pass_on(
        &mut self,
        shared: &Shared,
        said: Result<Option<Wire>, Unfit>,
    ) -> Result<(), String> {
        let message = match said {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(unfit) => {
                self.tell(&room::refusal("unfit", &unfit.to_string()));
                return Ok(());
            }
        };
        let Some(keeper) = shared.node.rooms() else {
            if matches!(message, Wire::CreateRoom(_) | Wire::EnterRoom(_)) {
                self.tell_of_rooms(&rooms::none_here().encode());
            }
            return Ok(());
        };
        // By the browser's own address: there guessing is counted.
        let seat =
            self.seat.get_or_insert_with(|| keeper.connect(&shared.node, &self.peer.to_string()));
        let full = "more was said of rooms than can be heard";
        seat.say.try_send(message).map_err(|_| full.to_owned())
    }

    /// Sends what comes, until it cannot be sent. May be cancelled: nothing is taken from the stream
    /// or from a room before there is room for it.
    async fn play(&mut self, sink: &mut Sink) -> String {
        loop {
            if let Err(reason) = self.send_waiting(sink).await {
                return reason;
            }
            tokio::select! {
                biased;
                told = hear(&mut self.seat) => match told {
                    Some(messages) => self.tell_of_rooms(&messages),
                    None => return "what happened in its room was not taken in time".to_owned(),
                },
                news = news(&mut self.cursor, sink) => match news {
                    Ok(news) => self.queue(news),
                    Err(reason) => return reason,
                },
            }
        }
    }

    fn queue(&mut self, news: News) {
        match news {
            News::Chunk(chunk) => self.waiting.push_back(Message::Binary(chunk.bytes)),
            News::Header(header) => {
                let (width, height) = header.size.unwrap_or((0, 0));
                self.tell(&Answer::Describe {
                    mime: &header.mime,
                    pictures_apart: header.apart,
                    width,
                    height,
                    summary: &header.summary,
                    title: &header.title,
                });
                self.waiting.push_back(Message::Binary(header.bytes.clone()));
            }
            News::Held => self.tell(&Answer::Held),
            News::Resumed => self.tell(&Answer::Resumed),
            News::Ended(reason) => {
                self.cursor = None;
                self.tell(&Answer::Ended { reason: reason.to_string() });
            }
        }
    }

    fn tell_of_rooms(&mut self, messages: &[u8]) {
        for told in room::told(messages) {
            if let Some(code) = room::made(&told) {
                self.visitor.owns_room(code);
            }
            self.tell(&told);
        }
    }

    fn tell(&mut self, answer: &impl Serialize) {
        match serde_json::to_string(answer) {
            Ok(text) => self.waiting.push_back(Message::Text(text.into())),
            Err(error) => tracing::debug!("web: not said: {error}"),
        }
    }

    async fn send_waiting(&mut self, sink: &mut Sink) -> Result<(), String> {
        while !self.waiting.is_empty() {
            within(poll_fn(|cx| sink.poll_ready_unpin(cx))).await?;
            if let Some(message) = self.waiting.pop_front() {
                sink.start_send_unpin(message).map_err(|error| error.to_string())?;
            }
        }
        if self.cursor.is_none() { flush(sink).await } else { Ok(()) }
    }
}

/// What comes next of what is watched; all before it is on its way.
async fn news(cursor: &mut Option<Cursor>, sink: &mut Sink) -> Result<News, String> {
    let Some(cursor) = cursor else { return std::future::pending().await };
    loop {
        if let Some(news) = cursor.look() {
            return Ok(news);
        }
        flush(sink).await?;
        cursor.changed().await;
    }
}

async fn hear(seat: &mut Option<Seat>) -> Option<bytes::Bytes> {
    match seat {
        Some(seat) => seat.hear.recv().await,
        None => std::future::pending().await,
    }
}

async fn flush(sink: &mut Sink) -> Result<(), String> {
    within(sink.flush()).await
}

async fn within(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), String> {
    let sent = timeout(limits::STALL, sending).await;
    sent.map_err(|_| "it took nothing for too long".to_owned())?.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "ü".repeat(100);
        assert_eq!(cut(&long).len(), 120);
        assert_eq!(cut("short"), "short");
    }
}
