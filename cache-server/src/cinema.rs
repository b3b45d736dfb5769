//! A folder of movies that this relay offers itself, to which people add films.

use std::time::Duration;

use ::relay::Node;
use library::Library;
use library::films::{Films, Settings};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::relay;

/// The folder is looked at this often; what is added through the page is noticed at once.
const LOOK: Duration = Duration::from_secs(2);
/// What is underway has so long to end; what does not is left to the next process.
const FAREWELL: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Cinema {
    films: Films,
    library: Library,
    stop: watch::Sender<bool>,
}

impl Cinema {
    /// Offers what is in the folder. What must be converted goes to the same disk.
    pub(crate) fn open(
        settings: Settings,
        node: &Node,
        runtime: &Handle,
    ) -> Result<Self, relay::Error> {
        let folder = settings.folder.clone();
        let films = Films::open(settings, runtime)?;
        let work = Some(films.incoming());
        let of_library = library::Settings { folder, work, every: LOOK };
        let (stop, stopped) = watch::channel(false);
        let library = Library::start(of_library, Some(films.clone()), node, stopped, runtime)?;
        Ok(Self { films, library, stop })
    }

    /// What people add.
    pub(crate) fn films(&self) -> Films {
        self.films.clone()
    }

    /// Ends what is underway; uploads are gone on with in the next process.
    pub(crate) async fn end(self) {
        self.films.stop();
        self.stop.send_replace(true);
        let deadline = Instant::now() + FAREWELL;
        while !self.library.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
