//! One movie of a library, as a recording.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use proto::StreamDescription;
use proto::recording::{Index, RecordingId, RecordingInfo};
use proto::subtitle::SubtitleTrack;
use relay::{Missing, Piece, Recording};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::Shared;
use crate::subtitles;
use crate::version::{Phase, Ready, Version};

type Coming<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A movie, whichever version of its file there is.
#[derive(Debug)]
pub(crate) struct Title {
    /// Of its stream.
    name: String,
    /// For people.
    title: Mutex<String>,
    shared: Arc<Shared>,
    version: Mutex<Arc<Version>>,
    index: watch::Sender<Option<Arc<Index>>>,
    /// For tasks that outlive who started them.
    me: Weak<Self>,
}

impl Title {
    pub(crate) fn new(
        name: String,
        title: String,
        shared: Arc<Shared>,
        version: Arc<Version>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            name,
            title: Mutex::new(title),
            shared,
            version: Mutex::new(version),
            index: watch::Sender::new(None),
            me: me.clone(),
        })
    }

    pub(crate) fn version(&self) -> Arc<Version> {
        self.version.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The file is another one: what was known of the old one holds no more.
    pub(crate) fn replace(&self, version: Arc<Version>) {
        self.close();
        *self.version.lock().unwrap_or_else(|e| e.into_inner()) = version;
        self.index.send_replace(None);
    }

    /// Calls it otherwise, for people; whether it was.
    pub(crate) fn rename(&self, title: &str) -> bool {
        let mut current = self.title.lock().unwrap_or_else(|e| e.into_inner());
        if *current == title {
            return false;
        }
        title.clone_into(&mut current);
        drop(current);
        self.publish(&self.version());
        true
    }

    /// Closes files that nobody will ask for any more.
    pub(crate) fn close(&self) {
        if let Some(ready) = self.version().ready() {
            self.shared.readers.forget(&ready.plan);
        }
    }

    /// Looks through the file, unless somebody does or has.
    pub(crate) async fn prepare(&self) {
        let version = self.version();
        if version.begin() {
            self.make(&version).await;
        }
    }

    /// The same, going on whoever waits for it.
    fn prepare_aside(&self, version: Arc<Version>) {
        let Some(me) = self.me.upgrade() else { return };
        if version.begin() {
            self.shared.runtime.spawn(async move { me.make(&version).await });
        }
    }

    async fn make(&self, version: &Arc<Version>) {
        version.make(&self.shared).await;
        self.publish(version);
    }

    /// Says which segments there are.
    fn publish(&self, version: &Arc<Version>) {
        let Some(ready) = version.ready() else { return };
        let plan = &ready.plan;
        let id = plan.id().0;
        let run = id.first_chunk::<8>().copied().unwrap_or_default();
        let index = Index {
            id: plan.id(),
            description: StreamDescription {
                name: self.name.clone(),
                title: self.title.lock().unwrap_or_else(|e| e.into_inner()).clone(),
                live: false,
                // The same whenever the same content is served.
                run: u64::from_le_bytes(run),
                duration_us: Some(plan.duration_us()),
                tracks: plan.tracks().to_vec(),
            },
            oldest: 0,
            first: 0,
            segments: plan.segments().to_vec(),
            finished: true,
        };
        // Unless the file has been replaced meanwhile.
        let current = self.version.lock().unwrap_or_else(|e| e.into_inner());
        if Arc::ptr_eq(&current, version) {
            self.index.send_replace(Some(Arc::new(index)));
        }
    }

    async fn opened(&self) -> Result<(), Missing> {
        let version = self.version();
        if version.ready().is_none() {
            self.prepare_aside(version.clone());
        }
        let mut phase = version.phase();
        let settled = |phase: &Phase| matches!(phase, Phase::Ready(_) | Phase::Failed(..));
        let waited = timeout(self.shared.patience, phase.wait_for(settled)).await;
        let phase = waited.ok().and_then(|settled| settled.ok().map(|phase| phase.clone()));
        match phase {
            Some(Phase::Failed(missing, _)) => return Err(missing),
            Some(_) => self.shared.converted.touch(&version),
            None => return Err(version.progress()),
        }
        self.indexed().await
    }

    /// Waits the moment between being ready and being said to be.
    async fn indexed(&self) -> Result<(), Missing> {
        let mut index = self.index.subscribe();
        let known = index.wait_for(Option::is_some);
        let gone = || Missing::Later("the file is being changed; ask again in a moment".to_owned());
        match timeout(self.shared.patience, known).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(gone()),
        }
    }

    /// In a task of its own: what was begun for a viewer that leaves is there for the next.
    fn aside<T: Send + 'static>(
        &self,
        making: impl Future<Output = Result<T, Missing>> + Send + 'static,
    ) -> Coming<'_, Result<T, Missing>> {
        let task = self.shared.runtime.spawn(making);
        Box::pin(async move {
            let failed = || Missing::Later("the server is being shut down".to_owned());
            task.await.unwrap_or_else(|_| Err(failed()))
        })
    }

    async fn piece(
        shared: Arc<Shared>,
        version: Arc<Version>,
        ready: Arc<Ready>,
        number: usize,
    ) -> Result<Arc<Piece>, Missing> {
        let key = (ready.plan.id(), number as u64);
        let with = shared.clone();
        let make = async move {
            let _maker = with.making.acquire().await;
            let with = with.clone();
            blocking(move || {
                let read = version.read(&ready, &with, number, |movie| movie.messages(number))?;
                let bytes = read.len() as u64;
                let piece = Piece::in_memory(read);
                let piece = piece.map_err(|error| Missing::Later(error.to_string()))?;
                Ok((Arc::new(piece), bytes))
            })
            .await
        };
        shared.pieces.get(key, make).await
    }

    async fn picture(
        shared: Arc<Shared>,
        version: Arc<Version>,
        ready: Arc<Ready>,
    ) -> Result<Bytes, Missing> {
        let with = shared.clone();
        let key = ready.plan.id();
        let make = async move {
            let _maker = with.making.acquire().await;
            let with = with.clone();
            blocking(move || {
                // None of the readers is at no segment: one that viewers read on with stays theirs.
                let poster = version.read(&ready, &with, usize::MAX, |movie| movie.poster())?;
                let poster = poster.unwrap_or_default();
                let bytes = poster.len() as u64;
                Ok((poster, bytes))
            })
            .await
        };
        shared.posters.get(key, make).await
    }
}

/// On a thread that may wait for a disk.
pub(super) async fn blocking<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, Missing> + Send + 'static,
) -> Result<T, Missing> {
    let failed = || Missing::Later("it could not be made; ask again later".to_owned());
    tokio::task::spawn_blocking(make).await.unwrap_or_else(|_| Err(failed()))
}

impl Recording for Title {
    fn info(&self) -> Option<RecordingInfo> {
        let version = self.version();
        let Some(ready) = version.ready() else {
            // A movie that is converted when somebody wants it is a recording before that, too.
            return Some(RecordingInfo {
                id: RecordingId::UNKNOWN,
                duration_us: version.duration_us.unwrap_or_default(),
                bytes: 0,
                growing: false,
                poster: false,
            });
        };
        let plan = ready.plan.clone();
        Some(RecordingInfo {
            id: plan.id(),
            duration_us: plan.duration_us(),
            bytes: plan.bytes(),
            growing: false,
            poster: plan.video().is_some(),
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn open(&self) -> Coming<'_, Result<(), Missing>> {
        Box::pin(self.opened())
    }

    fn segment(&self, number: u64) -> Coming<'_, Result<Arc<Piece>, Missing>> {
        let version = self.version();
        let Some(ready) = version.ready() else {
            self.prepare_aside(version.clone());
            return Box::pin(std::future::ready(Err(version.progress())));
        };
        let there = usize::try_from(number).ok().filter(|n| *n < ready.plan.segments().len());
        let Some(number) = there else {
            let gone = Missing::Gone(format!("there is no segment {number}"));
            return Box::pin(std::future::ready(Err(gone)));
        };
        self.aside(Self::piece(self.shared.clone(), version, ready, number))
    }

    fn poster(&self) -> Coming<'_, Bytes> {
        let version = self.version();
        let Some(ready) = version.ready().filter(|ready| ready.plan.video().is_some()) else {
            return Box::pin(std::future::ready(Bytes::new()));
        };
        let task = self.shared.runtime.spawn(Self::picture(self.shared.clone(), version, ready));
        Box::pin(async move { task.await.ok().and_then(Result::ok).unwrap_or_default() })
    }

    fn subtitles(&self) -> Coming<'_, Result<Vec<SubtitleTrack>, Missing>> {
        self.aside(subtitles::list(self.version()))
    }

    fn subtitle(&self, key: u64) -> Coming<'_, Result<Bytes, Missing>> {
        self.aside(subtitles::text(self.shared.clone(), self.version(), key))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use media::demux::Movie;

    use super::*;
    use crate::tree::Stamp;

    #[tokio::test(flavor = "multi_thread")]
    async fn two_viewers_of_a_segment_have_it_read_once() {
        let name = "../samples/big-buck-bunny-480p-30s.mp4";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let shared = Shared::new(None, Duration::from_secs(30), &tokio::runtime::Handle::current());
        let shared = shared.expect("has room");
        let movie = Movie::open(&path).expect("opens");
        let stamp = Stamp::of(&path).expect("is there");
        let version = Version::new(path, stamp, &movie);
        let title = Title::new("a".into(), "A".into(), shared, version);
        let (one, other) = tokio::join!(title.open(), title.open());
        assert_eq!((one, other), (Ok(()), Ok(())));
        let (one, other) = tokio::join!(title.segment(2), title.segment(2));
        let (one, other) = (one.expect("made"), other.expect("made"));
        assert!(Arc::ptr_eq(&one, &other), "the second is the first");
        let again = title.segment(2).await.expect("kept");
        assert!(Arc::ptr_eq(&one, &again));
        assert_ne!(title.segment(1).await.expect("made").digest(), one.digest());
        assert!(matches!(title.segment(u64::MAX).await, Err(Missing::Gone(_))));
    }
}
