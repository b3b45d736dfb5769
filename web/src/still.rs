//! Pictures of a stream as JPEGs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use media::decode::{self, VideoDecoder};
use media::encode::still;
use media::picture::Fitter;
use proto::stream::{Media, Video};
use proto::{Message, Packet, StreamDescription, Track};
use relay::Node;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::limits;
use crate::viewer::Viewer;

/// Of pictures, from 1 to 100.
const QUALITY: u8 = 75;

/// Turns coded pictures into JPEGs, not more often than [`limits::MJPEG_US`].
pub(crate) struct ToJpeg {
    decoder: VideoDecoder,
    video: Video,
    fitter: Fitter,
    last_us: Option<i64>,
}

impl ToJpeg {
    pub(crate) fn new(track: &Track, video: &Video) -> Result<Self, decode::Error> {
        let decoder = VideoDecoder::new(track)?;
        Ok(Self { decoder, video: video.clone(), fitter: Fitter::default(), last_us: None })
    }

    /// A JPEG, if one is due. Blocks for as long as decoding takes.
    pub(crate) fn convert(&mut self, packet: &Packet) -> Option<Bytes> {
        tokio::task::block_in_place(|| {
            let picture = self.decoder.decode(packet).ok()?.pop()?;
            let distance = |last: i64| picture.pts_us.saturating_sub(last).abs();
            if self.last_us.is_some_and(|last| distance(last) < limits::MJPEG_US) {
                return None;
            }
            self.last_us = Some(picture.pts_us);
            still(&picture, &self.video, limits::MJPEG_SIDES, QUALITY, &mut self.fitter).ok()
        })
    }
}

/// The newest picture of each stream, made when it is asked for and kept for a moment.
#[derive(Clone)]
pub(crate) struct Stills {
    node: Node,
    kept: Arc<Mutex<HashMap<String, Arc<Kept>>>>,
    places: Arc<Semaphore>,
}

/// One at a time makes a picture, the others wait for it.
type Kept = tokio::sync::Mutex<Option<(Instant, Bytes)>>;

impl Stills {
    pub(crate) fn new(node: Node) -> Self {
        Self { node, kept: Arc::default(), places: Arc::new(Semaphore::new(limits::STILLS)) }
    }

    /// A JPEG no larger than [`limits::STILL_SIDES`].
    pub(crate) async fn live(&self, name: &str) -> Result<Bytes, Error> {
        if !self.node.catalogue().iter().any(|info| info.name == name && info.live) {
            return Err(Error::no_such(name));
        }
        let kept = self.place_of(name)?;
        let mut kept = kept.lock().await;
        if let Some((made, jpeg)) = kept.as_ref()
            && made.elapsed() < limits::STILL_AGE
        {
            return Ok(jpeg.clone());
        }
        let gone = |_| Error::Unavailable("this relay is shutting down".to_owned());
        let _place = self.places.acquire().await.map_err(gone)?;
        let late = |_| Error::Unavailable(format!("'{name}' shows no picture at the moment"));
        let (description, packet) =
            timeout(limits::START, key_frame(&self.node, name)).await.map_err(late)??;
        let make = move || small(&description, &packet, limits::STILL_SIDES);
        let jpeg = tokio::task::spawn_blocking(make).await;
        let broken = || Error::Unavailable(format!("'{name}' cannot be decoded here"));
        let jpeg = jpeg.ok().flatten().ok_or_else(broken)?;
        *kept = Some((Instant::now(), jpeg.clone()));
        Ok(jpeg)
    }

    fn place_of(&self, name: &str) -> Result<Arc<Kept>, Error> {
        let mut all = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        if all.len() >= limits::KEPT_STILLS && !all.contains_key(name) {
            // Those that nobody waits for and that are old.
            all.retain(|_, kept| match kept.try_lock() {
                Ok(kept) => {
                    kept.as_ref().is_some_and(|(made, _)| made.elapsed() < limits::STILL_AGE)
                }
                Err(_) => true,
            });
            if all.len() >= limits::KEPT_STILLS {
                return Err(Error::Unavailable("too many pictures are asked for".to_owned()));
            }
        }
        Ok(all.entry(name.to_owned()).or_default().clone())
    }
}

/// The newest key frame of a live stream.
async fn key_frame(node: &Node, name: &str) -> Result<(StreamDescription, Packet), Error> {
    let mut viewer = Viewer::subscribe(node, name).await?;
    let mut described: Option<StreamDescription> = None;
    loop {
        match viewer.reader.read().await? {
            Message::Describe(description) => {
                if description.video().is_none() {
                    return Err(Error::Missing(format!("'{name}' has no picture")));
                }
                described = Some(description);
            }
            Message::Packet(packet) => {
                let video = described.as_ref().and_then(|described| described.video());
                if packet.header.key
                    && video.is_some_and(|(index, ..)| index == packet.header.track)
                    && let Some(description) = described.take()
                {
                    return Ok((description, packet));
                }
            }
            Message::End => return Err(Error::Unavailable(format!("'{name}' is over"))),
            _ => {}
        }
    }
}

/// The first picture that can be decoded from scratch, no larger than [`limits::THUMBNAIL_SIDES`].
/// Blocks for as long as decoding takes.
pub(crate) fn thumbnail(description: &StreamDescription, packets: &[Packet]) -> Option<Bytes> {
    let (index, ..) = description.video()?;
    let is_key = |packet: &&Packet| packet.header.track == index && packet.header.key;
    small(description, packets.iter().find(is_key)?, limits::THUMBNAIL_SIDES)
}

fn small(description: &StreamDescription, packet: &Packet, sides: (u32, u32)) -> Option<Bytes> {
    let (_, track, _) = description.video()?;
    let Media::Video(video) = &track.media else { return None };
    let mut decoder = VideoDecoder::new(track).ok()?;
    let mut pictures = decoder.decode(packet).ok()?;
    pictures.extend(decoder.flush());
    still(pictures.first()?, video, sides, QUALITY, &mut Fitter::default()).ok()
}
