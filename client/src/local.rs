//! A movie of one's own, played in a room where the others watch the room's stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use media::demux::{Movie, Way};
use media::segment::{Plan, Segmented};
use proto::StreamDescription;
use proto::recording::Index;
use proto::room::Film;

/// The movie, looked through.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    plan: Arc<Plan>,
}

/// The movie cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// It cannot be read.
    #[error(transparent)]
    Media(#[from] media::demux::Error),
    /// It would have to be converted.
    #[error("{0} cannot be played as it is: leave --local out to watch the room's stream")]
    Convert(String),
}

impl Local {
    /// Looks through a movie; that takes a moment.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub fn open(path: &Path) -> Result<Self, LocalError> {
        let mut movie = Movie::open(path)?;
        if movie.way() != &Way::PassThrough {
            return Err(LocalError::Convert(path.display().to_string()));
        }
        let plan = Arc::new(Plan::new(&mut movie, path, None)?);
        Ok(Self { path: path.to_owned(), plan })
    }

    /// What the room compares it by.
    #[must_use]
    pub fn film(&self) -> Film {
        Film { id: self.plan.id(), duration_us: self.plan.duration_us() }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// It is not there any more, or has changed.
    pub fn segmented(&self) -> Result<Segmented, LocalError> {
        Ok(Segmented::open(&self.path, self.plan.clone())?)
    }

    /// All its segments, as a node would tell them.
    #[must_use]
    pub fn index(&self) -> Index {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let description = StreamDescription {
            name,
            title: String::new(),
            live: false,
            run: 0,
            duration_us: Some(self.plan.duration_us()),
            tracks: self.plan.tracks().to_vec(),
        };
        let segments = self.plan.segments().to_vec();
        Index { id: self.plan.id(), description, oldest: 0, first: 0, segments, finished: true }
    }
}
