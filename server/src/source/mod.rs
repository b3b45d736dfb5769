//! Where packets come from. Each source has a thread of its own and writes one stream.
//!
//! ```text
//! pattern     a picture made here: clock, stamp, flash and beep
//! movie       a file, at its own pace
//! input       whatever ffmpeg opens, dialled again when it is lost
//! camera      a webcam, passed through or encoded; held while it is away
//! microphone  the sound beside a camera
//! coder       pictures to packets: H.264 or JPEG
//! stage       what they have in common: runs, viewers wanted, held streams, the end
//! ```

pub mod camera;
pub mod coder;
pub mod input;
pub mod microphone;
pub mod movie;
pub mod pattern;
mod stage;

pub use stage::{Stage, Stop};

use std::collections::BTreeSet;

use proto::Track;

use crate::Error;
use crate::cli::Cli;
use coder::Settings;

/// A source that has been opened and can be served.
pub trait Feed: Send {
    /// What the stream is called unless the user says otherwise.
    fn name(&self) -> String;

    /// For people; may be empty.
    fn title(&self) -> String {
        String::new()
    }

    /// A live stream has no end known beforehand.
    fn is_live(&self) -> bool {
        true
    }

    /// What is sent, for people.
    fn summary(&self) -> String {
        let tracks: Vec<String> = self.tracks().iter().map(ToString::to_string).collect();
        tracks.join(", ")
    }

    /// The tracks as far as they are known before the first viewer comes.
    fn tracks(&self) -> Vec<Track>;

    /// How it comes about, for people.
    fn way(&self) -> String;

    /// Feeds the stream until it is told to stop.
    ///
    /// # Errors
    /// What cannot be mended by waiting: the stream is taken away, the others go on.
    fn run(self: Box<Self>, stage: Stage) -> Result<(), Error>;
}

/// A source and the name of its stream.
pub type Named = (String, Box<dyn Feed>);

/// Opens everything the command line names, and gives each stream its name.
///
/// # Errors
/// The first that cannot be served.
pub fn open(cli: &Cli) -> Result<Vec<Named>, Error> {
    let settings = Settings {
        codec: cli.codec,
        size: cli.size,
        rate: coder::Rate::whole(cli.fps),
        bitrate: cli.bitrate,
    };
    let mut feeds: Vec<Box<dyn Feed>> = Vec::new();
    for path in &cli.file {
        feeds.push(Box::new(movie::Feature::open(path, cli.repeat)?));
    }
    for url in &cli.input {
        feeds.push(Box::new(input::Input::open(url)?));
    }
    if cli.test_pattern {
        feeds.push(Box::new(pattern::Pattern::new(settings)?));
    }
    if let Some(wish) = &cli.webcam {
        let mut camera = camera::Camera::open(wish, settings)?;
        if let Some(wish) = &cli.mic {
            camera = camera.with(microphone::Microphone::open(wish)?);
        }
        feeds.push(Box::new(camera));
    }
    match &cli.name {
        Some(_) if feeds.len() != 1 => Err(Error::OneName(feeds.len())),
        Some(name) => Ok(feeds.into_iter().map(|feed| (name.clone(), feed)).collect()),
        None => {
            let names = distinct(feeds.iter().map(|feed| feed.name()));
            Ok(names.into_iter().zip(feeds).collect())
        }
    }
}

/// The same names, but the second of a kind gets a 2 behind it.
fn distinct(wishes: impl Iterator<Item = String>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut name = |wish: String| {
        let numbered = (2..).map(|n| format!("{wish} {n}"));
        let name = std::iter::once(wish.clone()).chain(numbered).find(|n| !taken.contains(n));
        let name = name.unwrap_or(wish);
        taken.insert(name.clone());
        name
    };
    wishes.map(&mut name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_name_are_told_apart() {
        let wishes = ["a", "b", "a", "a 2", "a"].map(str::to_owned);
        assert_eq!(distinct(wishes.into_iter()), ["a", "b", "a 2", "a 2 2", "a 3"]);
    }
}
