//! Matroska (RFC 9559).
//!
//! Clusters are begun with an unknown size and filled packet by packet, so a file that is cut off
//! anywhere plays to there. Room is left at the front for what is known only at the end.

use std::io::{self, Seek, SeekFrom, Write};

use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};
use proto::{Packet, StreamDescription, Track};

use super::Container;
use super::ebml::{Elements, UNKNOWN_SIZE, long_size, vint};
use super::timeline::Times;
use crate::mux::{pre_skip, run_up_us};

/// Identifiers (RFC 9559 §5.1).
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const SEEK_HEAD: u32 = 0x114d_9b74;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(super) const CUES: u32 = 0x1c53_bb6b;
}

/// Microseconds in a tick. A block's time is 16 bits from its cluster's, so clusters may be 3 s
/// long; the customary tick of 1 ms would blur the frames' times tenfold.
const TICK_US: i64 = 100;

/// A block further from its cluster's start than this starts another one, ticks.
const CLUSTER_REACH: i64 = 30_000;

/// A key frame this far into a cluster starts another one, ticks: players seek to clusters.
const CLUSTER_SHORT: i64 = 9_000;

/// Bytes left for the seek head: three entries of at most 21.
const SEEK_HEAD_ROOM: usize = 80;

/// Bytes of the duration element.
const DURATION_ROOM: usize = 11;

pub(super) struct Writer<W> {
    out: W,
    description: StreamDescription,
    /// Of each track.
    run_up_us: Vec<i64>,
    /// Bytes written: where the next one goes.
    position: u64,
    layout: Option<Layout>,
    cluster: Option<Cluster>,
    /// Time and position of the clusters that start with a key frame.
    cues: Vec<(i64, u64)>,
    /// Where the last packet ends, microseconds.
    end_us: i64,
}

/// Where things are in the file, bytes from its start.
struct Layout {
    /// First byte of the segment's content: positions in the file count from here.
    segment: u64,
    seek_head: u64,
    info: u64,
    duration: u64,
    tracks: u64,
}

struct Cluster {
    /// Of its size field.
    size_at: u64,
    ticks: i64,
}

impl<W: Write + Seek + Send> Writer<W> {
    pub(super) fn new(out: W, description: &StreamDescription) -> Self {
        Self {
            out,
            description: description.clone(),
            run_up_us: description.tracks.iter().map(run_up_us).collect(),
            position: 0,
            layout: None,
            cluster: None,
            cues: Vec::new(),
            end_us: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Fills in what was left open, and comes back to the end.
    fn put_at(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(position))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::Start(self.position))?;
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        let mut head = Elements::default();
        head.master(id::EBML, |e| {
            e.unsigned(0x4286, 1); // EBMLVersion
            e.unsigned(0x42f7, 1); // EBMLReadVersion
            e.unsigned(0x42f2, 4); // EBMLMaxIDLength
            e.unsigned(0x42f3, 8); // EBMLMaxSizeLength
            e.text(0x4282, "matroska"); // DocType
            e.unsigned(0x4287, 4); // DocTypeVersion
            e.unsigned(0x4285, 2); // DocTypeReadVersion: SimpleBlock
        });
        head.id(id::SEGMENT);
        head.raw(&UNKNOWN_SIZE);
        let segment = head.len();
        head.void(SEEK_HEAD_ROOM);
        let info = head.len();
        head.master(id::INFO, |e| {
            e.unsigned(0x2ad7b1, TICK_US.unsigned_abs() * 1000); // TimestampScale, ns
            if !self.description.title.is_empty() {
                e.text(0x7ba9, &self.description.title);
            }
            e.text(0x4d80, APP); // MuxingApp
            e.text(0x5741, APP); // WritingApp
            e.void(DURATION_ROOM);
        });
        let tracks = head.len();
        head.master(id::TRACKS, |e| {
            for (track, number) in self.description.tracks.iter().zip(1..) {
                e.master(0xae, |entry| track_entry(entry, number, track));
            }
        });
        self.layout = Some(Layout {
            segment: segment as u64,
            seek_head: segment as u64,
            info: info as u64,
            duration: (tracks - DURATION_ROOM) as u64,
            tracks: tracks as u64,
        });
        self.put(&head.into_bytes())
    }

    fn start_cluster(&mut self, ticks: i64, key: bool) -> io::Result<()> {
        self.end_cluster()?;
        // What is killed from here on loses this cluster at most.
        self.out.flush()?;
        if key {
            self.cues.push((ticks, self.position));
        }
        let size_at = self.position + 4;
        let mut head = Elements::default();
        head.id(id::CLUSTER);
        head.raw(&UNKNOWN_SIZE);
        head.unsigned(0xe7, ticks.unsigned_abs()); // Timestamp
        self.cluster = Some(Cluster { size_at, ticks });
        self.put(&head.into_bytes())
    }

    fn end_cluster(&mut self) -> io::Result<()> {
        let Some(cluster) = self.cluster.take() else { return Ok(()) };
        let size = self.position - cluster.size_at - UNKNOWN_SIZE.len() as u64;
        self.put_at(cluster.size_at, &long_size(size))
    }

    /// The cluster in which a block of this time belongs; gives its time in it.
    fn cluster_for(&mut self, ticks: i64, starts: bool) -> io::Result<i16> {
        if let Some(cluster) = &self.cluster {
            let relative = ticks - cluster.ticks;
            let fits = relative.abs() < CLUSTER_REACH;
            if fits && !(starts && relative > CLUSTER_SHORT) {
                return Ok(i16::try_from(relative).unwrap_or(0));
            }
        }
        self.start_cluster(ticks, starts)?;
        Ok(0)
    }

    fn write_cues(&mut self, segment: u64) -> io::Result<()> {
        let track = self.description.video().map_or(1, |(index, ..)| u64::from(index) + 1);
        let mut cues = Elements::default();
        cues.master(id::CUES, |e| {
            for &(ticks, position) in &self.cues {
                e.master(0xbb, |point| {
                    point.unsigned(0xb3, ticks.unsigned_abs()); // CueTime
                    point.master(0xb7, |at| {
                        at.unsigned(0xf7, track); // CueTrack
                        at.unsigned(0xf1, position - segment); // CueClusterPosition
                    });
                });
            }
        });
        self.put(&cues.into_bytes())
    }
}

const APP: &str = concat!("instep ", env!("CARGO_PKG_VERSION"));

impl<W: Write + Seek + Send> Container for Writer<W> {
    fn write(&mut self, packet: &Packet, times: Times) -> io::Result<()> {
        if self.layout.is_none() {
            self.start()?;
        }
        let index = usize::from(packet.header.track);
        // Blocks of a track with a run-up count from its start (CodecDelay).
        let run_up_us = self.run_up_us.get(index).copied().unwrap_or(0);
        let ticks = (times.pts_us.saturating_add(run_up_us) + TICK_US / 2) / TICK_US;
        let video = self.description.video().map(|(index, ..)| index);
        let starts = packet.header.key && video.is_none_or(|video| video == packet.header.track);
        let relative = self.cluster_for(ticks, starts)?;
        let number = vint(u64::from(packet.header.track) + 1);
        let mut block = Elements::default();
        block.id(id::SIMPLE_BLOCK);
        block.raw(&vint((number.len() + 3 + packet.payload.len()) as u64));
        block.raw(&number);
        block.raw(&relative.to_be_bytes());
        block.raw(&[if packet.header.key { 0x80 } else { 0 }]);
        self.put(&block.into_bytes())?;
        let end_us = times.pts_us.saturating_add(i64::from(packet.header.duration_us));
        self.end_us = self.end_us.max(end_us);
        self.put(&packet.payload)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.end_cluster()?;
        let Some(layout) = self.layout.take() else { return self.out.flush() };
        let cues = self.position;
        self.write_cues(layout.segment)?;
        let mut duration = Elements::default();
        duration.float(id::DURATION, self.end_us as f64 / TICK_US as f64);
        self.put_at(layout.duration, &duration.into_bytes())?;
        let mut seek_head = Elements::default();
        seek_head.master(id::SEEK_HEAD, |e| {
            for (target, at) in
                [(id::INFO, layout.info), (id::TRACKS, layout.tracks), (id::CUES, cues)]
            {
                e.master(0x4dbb, |seek| {
                    seek.binary(0x53ab, &target.to_be_bytes()); // SeekID
                    seek.unsigned(0x53ac, at - layout.segment); // SeekPosition
                });
            }
        });
        let left = SEEK_HEAD_ROOM - seek_head.len();
        seek_head.void(left);
        self.put_at(layout.seek_head, &seek_head.into_bytes())?;
        let size = long_size(self.position - layout.segment);
        self.put_at(layout.segment - UNKNOWN_SIZE.len() as u64, &size)?;
        self.out.flush()
    }
}

/// RFC 9559 §5.1.4.1 and the codec mappings of RFC 9559 §5.1.4.1.21 ff.
fn track_entry(entry: &mut Elements, number: u64, track: &Track) {
    entry.unsigned(0xd7, number); // TrackNumber
    entry.unsigned(0x73c5, number); // TrackUID
    entry.unsigned(0x9c, 0); // FlagLacing
    match track.language.as_str() {
        "" => entry.text(0x22b59c, "und"),
        language if language.len() == 3 => entry.text(0x22b59c, language),
        language => entry.text(0x22b59d, language), // LanguageBCP47
    }
    let (codec, private) = codec(track);
    entry.text(0x86, codec);
    if !private.is_empty() {
        entry.binary(0x63a2, &private);
    }
    match &track.media {
        Media::Video(video) => {
            entry.unsigned(0x83, 1); // TrackType
            if let Some(fps) = video.fps() {
                entry.unsigned(0x23e383, (1e9 / fps) as u64); // DefaultDuration, ns
            }
            entry.master(0xe0, |e| video_settings(e, video));
        }
        Media::Audio(audio) => {
            entry.unsigned(0x83, 2);
            if pre_skip(track).is_some() {
                entry.unsigned(0x56aa, run_up_us(track).unsigned_abs() * 1000); // CodecDelay, ns
                entry.unsigned(0x56bb, 80_000_000); // SeekPreRoll, ns (RFC 7845 §4.6)
            }
            entry.master(0xe1, |e| audio_settings(e, audio));
        }
    }
}

fn video_settings(e: &mut Elements, video: &Video) {
    e.unsigned(0xb0, u64::from(video.width)); // PixelWidth
    e.unsigned(0xba, u64::from(video.height)); // PixelHeight
    let (num, den) = video.pixel_aspect;
    if num != den {
        e.unsigned(0x54b0, u64::from(video.width) * u64::from(num)); // DisplayWidth
        e.unsigned(0x54ba, u64::from(video.height) * u64::from(den)); // DisplayHeight
        e.unsigned(0x54b2, 3); // DisplayUnit: only their ratio counts
    }
    if video.rotation != 0 {
        // Anticlockwise, -180 to 180 (RFC 9559, ProjectionPoseRoll).
        let clockwise = f64::from(video.rotation);
        let roll = if clockwise > 180.0 { 360.0 - clockwise } else { -clockwise };
        e.master(0x7670, |projection| {
            projection.unsigned(0x7671, 0); // rectangular
            projection.float(0x7675, roll);
        });
    }
}

fn audio_settings(e: &mut Elements, audio: &Audio) {
    e.float(0xb5, f64::from(audio.sample_rate)); // SamplingFrequency
    e.unsigned(0x9f, u64::from(audio.channels)); // Channels
    if audio.codec == AudioCodec::PcmS16Le {
        e.unsigned(0x6264, 16); // BitDepth
    }
}

/// CodecID and CodecPrivate.
fn codec(track: &Track) -> (&'static str, Vec<u8>) {
    let config = || track.codec_config.to_vec();
    match &track.media {
        Media::Video(video) => match video.codec {
            VideoCodec::H264 => ("V_MPEG4/ISO/AVC", config()),
            VideoCodec::Mjpeg => ("V_MJPEG", Vec::new()),
        },
        Media::Audio(audio) => match audio.codec {
            AudioCodec::Aac => ("A_AAC", config()),
            AudioCodec::Opus => ("A_OPUS", config()),
            AudioCodec::Mp3 => ("A_MPEG/L3", Vec::new()),
            AudioCodec::Flac => ("A_FLAC", flac_header(&track.codec_config)),
            AudioCodec::Vorbis => ("A_VORBIS", vorbis_headers(&track.codec_config)),
            AudioCodec::PcmS16Le => ("A_PCM/INT/LIT", Vec::new()),
        },
    }
}

/// The three headers of Vorbis behind their lengths (RFC 9559, the codec mapping of A_VORBIS), from
/// the first and the last of them: the one between them holds comments, and says nothing here.
fn vorbis_headers(config: &[u8]) -> Vec<u8> {
    const IDENTIFICATION: usize = 30;
    let is_bare = config.starts_with(b"\x01vorbis");
    let Some((first, last)) = config.split_at_checked(IDENTIFICATION).filter(|_| is_bare) else {
        return config.to_vec();
    };
    let vendor = u32::try_from(APP.len()).unwrap_or(0).to_le_bytes();
    let comments = [b"\x03vorbis", &vendor[..], APP.as_bytes(), &[0; 4], &[1]].concat();
    let lengths = [first.len(), comments.len()].map(|length| u8::try_from(length).unwrap_or(0));
    [&[2], &lengths[..], first, &comments, last].concat()
}

/// A FLAC stream's start: its marker and its only metadata block, the last (RFC 9639 §8).
fn flac_header(stream_info: &[u8]) -> Vec<u8> {
    let mut header = b"fLaC\x80\0\0".to_vec();
    header.push(u8::try_from(stream_info.len()).unwrap_or(34));
    header.extend(stream_info);
    header
}
