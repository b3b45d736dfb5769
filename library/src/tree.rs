//! The movies below a folder.

use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders within folders that are looked into.
const DEEPEST: usize = 16;
/// Entries of all folders that are looked at.
const MOST_ENTRIES: usize = 500_000;
/// How the names of movies and sound files end; everything else in a folder is left alone.
const ENDINGS: [&str; 32] = [
    "3gp", "aac", "asf", "avi", "divx", "f4v", "flac", "flv", "m2ts", "m4a", "m4v", "mka", "mkv",
    "mov", "mp3", "mp4", "mpeg", "mpg", "mts", "mxf", "oga", "ogg", "ogm", "ogv", "opus", "qt",
    "ts", "vob", "wav", "webm", "wma", "wmv",
];

/// Tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    pub(crate) modified: Option<SystemTime>,
}

impl Stamp {
    /// Of the file at `path` as it is now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::new(&metadata))
    }

    fn new(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// All movies, at most `most`, in the order of their paths. A folder that is reached twice, by a link,
/// counts once; what cannot be read is left out.
///
/// # Errors
/// The system's, if `root` itself cannot be read.
pub(crate) fn movies(root: &Path, most: usize) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    let mut seen = HashSet::from([root.canonicalize()?]);
    let mut entries = 0;
    let mut folders = vec![(root.to_owned(), 0)];
    std::fs::read_dir(root)?;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(listing) = std::fs::read_dir(&folder) else { continue };
        for entry in listing.flatten() {
            entries += 1;
            if entries > MOST_ENTRIES || found.len() >= most {
                return Ok(found);
            }
            let path = entry.path();
            if is_hidden(&path) {
                continue;
            }
            // Follows links: a library may be made of them.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                let mut is_new = || path.canonicalize().is_ok_and(|real| seen.insert(real));
                if depth < DEEPEST && is_new() {
                    folders.push((path, depth + 1));
                }
            } else if metadata.is_file() && is_movie(&path) {
                found.insert(path, Stamp::new(&metadata));
            }
        }
    }
    Ok(found)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_movie(path: &Path) -> bool {
    path.extension().is_some_and(|name| ending(&name.to_string_lossy()).is_some())
}

/// An ending, if it is one of movies and sound files.
pub(crate) fn ending(name: &str) -> Option<&'static str> {
    ENDINGS.into_iter().find(|ending| ending.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movies_are_found_wherever_they_lie_and_once() {
        let root = tempfile::tempdir().expect("folder");
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("a/b")).expect("made");
        std::fs::create_dir_all(at(".hidden")).expect("made");
        for path in
            ["one.MP4", "a/two.mkv", "a/b/three.webm", "a/cover.jpg", ".hidden/x.mp4", "mp4"]
        {
            std::fs::write(at(path), b"1").expect("written");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.path(), at("a/b/loop")).expect("linked");
            std::os::unix::fs::symlink(at("nowhere.mp4"), at("dangling.mp4")).expect("linked");
        }
        let found = movies(root.path(), 10).expect("readable");
        let expected = ["a/b/three.webm", "a/two.mkv", "one.MP4"].map(at);
        assert!(found.keys().eq(expected.iter()), "{found:?}");
        assert_eq!(movies(root.path(), 2).expect("readable").len(), 2);
        assert!(movies(&at("nowhere"), 10).is_err());
    }
}
