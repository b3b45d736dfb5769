//! What of a stream goes into fragmented MP4 and what goes beside it, the same for live streams and
//! recordings.

use bytes::{BufMut, Bytes, BytesMut};
use media::mux::{self, Muxed, Muxer};
use media::transcode::ToOpus;
use proto::stream::{Media, Video, VideoCodec};
use proto::{Packet, StreamDescription, Track};
use serde::Deserialize;

use crate::error::Error;
use crate::still::ToJpeg;

/// For whom a stream is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form {
    pub(crate) pictures: Pictures,
    pub(crate) sound: Sound,
}

/// Where pictures go that are JPEGs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pictures {
    /// Into the MP4: other programs play them.
    Within,
    /// Beside it: browsers do not.
    Apart,
    /// All pictures are JPEGs, whatever they were, and there is no sound.
    Converted,
}

/// How sound is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sound {
    /// As it comes, where MP4 has a place for it; else as Opus.
    #[default]
    Own,
    /// As Opus: the browser cannot play what comes.
    Opus,
}

/// For other programs.
pub(crate) const FILE: Form = Form { pictures: Pictures::Within, sound: Sound::Own };
/// For those that show a JPEG after the other.
pub(crate) const MJPEG: Form = Form { pictures: Pictures::Converted, sound: Sound::Own };

/// A picture and a sound track, muxed as a [`Form`] says.
pub(crate) struct Packager {
    /// `None` where there is nothing to mux.
    muxer: Option<Muxer>,
    tracks: Vec<Track>,
    /// Index of the picture track.
    video: Option<(u16, Video)>,
    /// Index of the sound track.
    audio: Option<u16>,
    opus: Option<ToOpus>,
    jpeg: Option<ToJpeg>,
    apart: bool,
    /// Packets' time that is 0 in the MP4, microseconds.
    origin_us: i64,
}

/// What a packet has become.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    /// Decoding may start here.
    pub(crate) key: bool,
    /// When it is shown, microseconds on the clock of the MP4.
    pub(crate) pts_us: i64,
    /// On the node's clock; 0 for what is recorded.
    pub(crate) captured_at_us: i64,
    pub(crate) payload: Bytes,
}

/// See [`Item`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    /// `moof` and `mdat`.
    Fragment,
    /// A JPEG, to be shown beside the MP4.
    Jpeg,
}

impl Packager {
    /// For these tracks, with `lead_us` of room before time 0 (see [`Muxed::lead_us`]).
    pub(crate) fn new(
        description: &StreamDescription,
        form: Form,
        lead_us: i64,
        origin_us: i64,
    ) -> Result<Self, Error> {
        let video = description.video();
        let refused = |error: &dyn std::fmt::Display| Error::Unavailable(error.to_string());
        let apart = video.is_some_and(|(_, _, video)| match form.pictures {
            Pictures::Within => false,
            Pictures::Apart => video.codec == VideoCodec::Mjpeg,
            Pictures::Converted => true,
        });
        let jpeg = match video {
            Some((_, track, video)) if apart && video.codec != VideoCodec::Mjpeg => {
                Some(ToJpeg::new(track, video).map_err(|error| refused(&error))?)
            }
            _ => None,
        };
        let mut muxed = Vec::new();
        if let Some((index, track, _)) = video.filter(|_| !apart) {
            muxed.push(Muxed { track: track.clone(), index, lead_us });
        }
        let (mut opus, mut audio) = (None, None);
        let sound = description.audio().filter(|_| form.pictures != Pictures::Converted);
        if let Some((index, track, _)) = sound {
            audio = Some(index);
            let mut track = track.clone();
            if form.sound == Sound::Opus || mux::can_hold(&track).is_err() {
                let converter = ToOpus::new(&track).map_err(|error| refused(&error))?;
                track = converter.track();
                opus = Some(converter);
            }
            muxed.push(Muxed { track, index, lead_us });
        }
        let tracks: Vec<Track> = muxed.iter().map(|muxed| muxed.track.clone()).collect();
        let muxer = if muxed.is_empty() {
            None
        } else {
            Some(Muxer::new(muxed).map_err(|error| refused(&error))?)
        };
        let video = video.map(|(index, _, video)| (index, video.clone()));
        Ok(Self { muxer, tracks, video, audio, opus, jpeg, apart, origin_us })
    }

    /// What comes before all fragments; empty where there are none.
    pub(crate) fn header(&self, duration_us: Option<u64>) -> Bytes {
        self.muxer.as_ref().map(|muxer| muxer.header(duration_us)).unwrap_or_default()
    }

    /// For browsers; empty where there is nothing in the MP4.
    pub(crate) fn mime(&self) -> String {
        if self.tracks.is_empty() { String::new() } else { mux::mime(&self.tracks) }
    }

    /// Ticks a second of each track that the MP4 has.
    pub(crate) fn timescales(&self) -> Vec<u32> {
        self.tracks.iter().map(mux::timescale).collect()
    }

    /// Whether the sound is made anew.
    pub(crate) fn converts(&self) -> bool {
        self.opus.is_some()
    }

    /// Whether it gives nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.tracks.is_empty() && !self.apart
    }

    /// Whether the pictures go beside the MP4.
    pub(crate) fn is_apart(&self) -> bool {
        self.apart
    }

    /// Whether the packet is one that decoding may start with.
    pub(crate) fn starts(&self, packet: &Packet) -> bool {
        match &self.video {
            Some((index, _)) => *index == packet.header.track && packet.header.key,
            None => self.audio == Some(packet.header.track),
        }
    }

    /// From now on `origin_us` is 0 in the MP4.
    pub(crate) fn set_origin(&mut self, origin_us: i64) {
        self.origin_us = origin_us;
    }

    /// A packet of a live stream as one fragment; none for tracks that are left out.
    pub(crate) fn item(&mut self, packet: &Packet) -> Option<Item> {
        let header = &packet.header;
        let key = self.starts(packet);
        let pts_us = header.pts_us.checked_sub(self.origin_us)?;
        let captured_at_us = header.captured_at_us.0;
        if self.is_picture_apart(packet) {
            let payload = match &mut self.jpeg {
                Some(jpeg) => jpeg.convert(packet)?,
                None => packet.payload.clone(),
            };
            return Some(Item { kind: ItemKind::Jpeg, key, pts_us, captured_at_us, payload });
        }
        self.push(packet);
        let muxer = self.muxer.as_mut()?;
        muxer.settle();
        let payload = muxer.fragment()?;
        Some(Item { kind: ItemKind::Fragment, key, pts_us, captured_at_us, payload })
    }

    /// A whole segment of a recording as one fragment; empty where there is nothing to mux.
    pub(crate) fn segment(&mut self, packets: &[Packet]) -> Bytes {
        for packet in packets {
            if !self.is_picture_apart(packet) {
                self.push(packet);
            }
        }
        self.flush_sound();
        let Some(muxer) = self.muxer.as_mut() else { return Bytes::new() };
        muxer.settle();
        muxer.fragment().unwrap_or_default()
    }

    /// The pictures of a segment that go beside the MP4: of each its time (`i64`, microseconds, big
    /// endian), its length (`u32`), and the JPEG.
    pub(crate) fn pictures(&self, packets: &[Packet]) -> Bytes {
        let pictures = packets.iter().filter(|packet| self.is_picture_apart(packet));
        let bytes = pictures.clone().map(|packet| packet.payload.len() + 12).sum();
        let mut out = BytesMut::with_capacity(bytes);
        for packet in pictures {
            out.put_i64(packet.header.pts_us.saturating_sub(self.origin_us));
            out.put_u32(u32::try_from(packet.payload.len()).unwrap_or(0));
            out.put_slice(&packet.payload);
        }
        out.freeze()
    }

    fn is_picture_apart(&self, packet: &Packet) -> bool {
        let is_picture = |(index, _): &(u16, Video)| *index == packet.header.track;
        self.apart && self.video.as_ref().is_some_and(is_picture)
    }

    fn push(&mut self, packet: &Packet) {
        let Some(muxer) = self.muxer.as_mut() else { return };
        let mut add = |packet: &Packet| {
            let header = &packet.header;
            let pts_us = header.pts_us.saturating_sub(self.origin_us);
            muxer.push(packet, pts_us, header.dts_us.saturating_sub(self.origin_us));
        };
        match &mut self.opus {
            Some(opus) if self.audio == Some(packet.header.track) => {
                opus.convert(packet).iter().for_each(add);
            }
            _ => add(packet),
        }
    }

    fn flush_sound(&mut self) {
        let (Some(muxer), Some(opus)) = (self.muxer.as_mut(), self.opus.as_mut()) else { return };
        for packet in opus.flush(self.audio.unwrap_or_default()) {
            let header = &packet.header;
            let pts_us = header.pts_us.saturating_sub(self.origin_us);
            muxer.push(&packet, pts_us, header.dts_us.saturating_sub(self.origin_us));
        }
    }
}

/// The size of the picture as it is to be shown, pixels.
pub(crate) fn picture_size(description: &StreamDescription) -> Option<(u32, u32)> {
    description.tracks.iter().find_map(|track| match &track.media {
        Media::Video(video) => Some(video.display_size()),
        Media::Audio(_) => None,
    })
}
