//! The folder of one recording: its index, its segments, and what it is called where.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proto::recording::{Digest, Index, RecordingId};
use proto::subtitle::{SubtitleTrack, Subtitles};
use proto::{Message, StreamInfo, limits};
use serde::{Deserialize, Serialize};

use super::file::{self, Damage, HEAD, Head};
use super::growth;

/// Most names of one recording: the same film may be offered by several origins.
const NAMES: usize = 64;
/// Largest file of names, bytes.
const ABOUT: u64 = 1 << 20;

/// What a recording is called at an origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `HOST[:PORT]` as it was given.
    pub origin: String,
    /// Its line in the catalogue.
    pub stream: StreamInfo,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
    id: RecordingId,
}

/// All recordings in a cache folder.
pub fn all(cache: &Path) -> impl Iterator<Item = Shelf> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let cache = cache.to_owned();
    entries.filter_map(move |entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some(Shelf::new(&cache, id))
    })
}

/// What was not there is gone as well.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

fn subtitle_name(key: u64) -> String {
    format!("{key:016x}.vtt")
}

impl Shelf {
    pub(super) fn new(cache: &Path, id: RecordingId) -> Self {
        Self { folder: cache.join(id.to_string()), id }
    }

    /// The recording.
    #[must_use]
    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// Where a segment stands.
    #[must_use]
    pub fn segment(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.seg"))
    }

    /// Where a file is written before it is whole.
    pub(super) fn beside(&self, count: u64) -> PathBuf {
        self.folder.join(format!("unfinished-{}-{count}", std::process::id()))
    }

    pub(super) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)
    }

    /// Whether anything of it is here.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.folder.is_dir()
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(&self.folder))
    }

    /// The files of a dead process that it did not finish.
    pub(super) fn clear_unfinished(&self) {
        let own = format!("unfinished-{}-", std::process::id());
        for (name, path) in self.files() {
            if name.starts_with("unfinished-") && !name.starts_with(&own) {
                // One that cannot be removed costs its room and nothing else.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn files(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.to_owned(), entry.path())))
    }

    /// Numbers of the segments that are here, in order.
    #[must_use]
    pub fn segments(&self) -> Vec<u64> {
        let number = |(name, _): (String, PathBuf)| name.strip_suffix(".seg")?.parse().ok();
        let mut numbers: Vec<u64> = self.files().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// What it takes on the disk, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().filter_map(|(_, path)| Some(fs::metadata(path).ok()?.len())).sum()
    }

    /// What of it was there at a moment, bytes: what was written since is counted as it is written.
    pub(super) fn bytes_before(&self, moment: SystemTime) -> u64 {
        /// File systems stamp with a clock that is up to some milliseconds behind.
        const COARSE: Duration = Duration::from_millis(20);
        let there = |path: PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            let written = metadata.modified().ok()?;
            (written + COARSE < moment).then_some(metadata.len())
        };
        self.files().filter_map(|(_, path)| there(path)).sum()
    }

    /// Somebody watches it now.
    pub(super) fn used(&self) {
        if self.is_there() {
            // It only decides what goes first.
            let _ = File::create(self.folder.join("used"));
        }
    }

    /// When somebody last watched it.
    #[must_use]
    pub fn last_used(&self) -> SystemTime {
        let at = |name: &str| fs::metadata(self.folder.join(name)).ok()?.modified().ok();
        at("used").or_else(|| at("index")).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Whether nothing says how to decode it, nor what it is: the tail of a live stream whose process
    /// is gone. To be asked while nobody writes here.
    pub(super) fn is_left_over(&self) -> bool {
        let has = |name: &str| self.folder.join(name).exists();
        self.is_there() && !has("index") && !has("about.json")
    }

    /// Its index, with what was added to one that grew.
    ///
    /// # Errors
    /// It is not here, or not to be believed.
    pub fn index(&self) -> Result<Index, Damage> {
        let body = self.body("index", file::INDEX, 0, limits::MESSAGE)?;
        match Message::decode(Bytes::from(body)) {
            Ok(Message::Index(index)) if index.id == self.id && index.finished => Ok(index),
            Ok(Message::Index(mut index)) if index.id == self.id => {
                growth::add_to(&mut index, &self.growth());
                Ok(index)
            }
            _ => Err(Damage::Body),
        }
    }

    /// Keeps an index: one that is finished whole, of one that grows what was added.
    pub(super) fn put_index(&self, index: &Index, count: u64) -> io::Result<()> {
        self.make()?;
        if index.finished {
            self.put_whole_index(index, count)?;
            return gone(fs::remove_file(self.growth()));
        }
        if !self.growth().exists() {
            let bare = Index { segments: Vec::new(), ..index.clone() };
            self.put_whole_index(&bare, count)?;
        }
        growth::append(index, &self.growth())
    }

    fn put_whole_index(&self, index: &Index, count: u64) -> io::Result<()> {
        let body = Message::Index(index.clone()).encode();
        self.put_body("index", (file::INDEX, 0), &body[proto::frame::LENGTH_PREFIX..], count)
    }

    fn growth(&self) -> PathBuf {
        self.folder.join("index-added")
    }

    /// The picture that stands for it.
    ///
    /// # Errors
    /// It is not here, or not to be believed.
    pub(super) fn poster(&self) -> Result<Bytes, Damage> {
        self.body("poster", file::POSTER, 0, limits::POSTER).map(Bytes::from)
    }

    pub(super) fn put_poster(&self, jpeg: &[u8], count: u64) -> io::Result<()> {
        self.put_body("poster", (file::POSTER, 0), jpeg, count)
    }

    /// Which subtitles it has.
    ///
    /// # Errors
    /// That is not here, or not to be believed.
    pub(super) fn subtitles(&self) -> Result<Vec<SubtitleTrack>, Damage> {
        let body = self.body("subtitles", file::SUBTITLES, 0, limits::CONTROL)?;
        match Message::decode(Bytes::from(body)) {
            Ok(Message::Subtitles(subtitles)) => Ok(subtitles.tracks),
            _ => Err(Damage::Body),
        }
    }

    /// Notes which subtitles it has; texts of others go.
    pub(super) fn put_subtitles(&self, tracks: &[SubtitleTrack], count: u64) -> io::Result<()> {
        let texts: Vec<String> = tracks.iter().map(|track| subtitle_name(track.key)).collect();
        for (name, path) in self.files() {
            if name.ends_with(".vtt") && !texts.contains(&name) {
                gone(fs::remove_file(path))?;
            }
        }
        let (stream, tracks) = (String::new(), tracks.to_vec());
        let body = Message::Subtitles(Subtitles { stream, later: false, tracks }).encode();
        let body = &body[proto::frame::LENGTH_PREFIX..];
        self.put_body("subtitles", (file::SUBTITLES, 0), body, count)
    }

    /// The text of subtitles.
    ///
    /// # Errors
    /// It is not here, or not to be believed.
    pub(super) fn subtitle(&self, key: u64) -> Result<Bytes, Damage> {
        self.body(&subtitle_name(key), file::SUBTITLE, key, limits::SUBTITLE).map(Bytes::from)
    }

    pub(super) fn put_subtitle(&self, key: u64, vtt: &[u8], count: u64) -> io::Result<()> {
        self.put_body(&subtitle_name(key), (file::SUBTITLE, key), vtt, count)
    }

    /// Reads a small file whole.
    fn body(&self, name: &str, kind: [u8; 8], number: u64, most: usize) -> Result<Vec<u8>, Damage> {
        let mut file = File::open(self.folder.join(name))?;
        let head = file::look(&mut file, kind, self.id, number)?;
        if head.bytes as usize > most {
            return Err(Damage::Head);
        }
        let mut body = vec![0; head.bytes as usize];
        file.seek(SeekFrom::Start(HEAD))?;
        file.read_exact(&mut body)?;
        if Digest::of(&body) == head.digest { Ok(body) } else { Err(Damage::Body) }
    }

    fn put_body(
        &self,
        name: &str,
        (kind, number): ([u8; 8], u64),
        body: &[u8],
        count: u64,
    ) -> io::Result<()> {
        let bytes = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let head = Head { kind, id: self.id, number, bytes, digest: Digest::of(body) };
        file::write(&self.folder.join(name), &self.beside(count), &head, body)
    }

    /// What it is called, at each origin.
    #[must_use]
    pub fn about(&self) -> Vec<About> {
        let path = self.folder.join("about.json");
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > ABOUT) {
            return Vec::new();
        }
        let text = fs::read(path).unwrap_or_default();
        let mut about: Vec<About> = serde_json::from_slice(&text).unwrap_or_default();
        // Written by us, but it may have been edited: what the wire would refuse goes no further.
        about.retain(|about| about.stream.validate().is_ok());
        about.truncate(NAMES);
        about
    }

    /// Notes what it is called at an origin.
    pub(super) fn remember(&self, origin: &str, info: &StreamInfo) -> io::Result<()> {
        let mut about = self.about();
        let stream = StreamInfo { viewers: 0, ..info.clone() };
        let news = About { origin: origin.to_owned(), stream };
        if about.contains(&news) {
            return Ok(());
        }
        about.retain(|there| there.origin != origin || there.stream.name != info.name);
        about.insert(0, news);
        about.truncate(NAMES);
        let beside = self.folder.join(format!("unfinished-{}-about", std::process::id()));
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&about)?)?;
        // A name without what it stands for would outlive a power cut.
        file.sync_data()?;
        fs::rename(beside, self.folder.join("about.json"))
    }
}
