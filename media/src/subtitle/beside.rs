//! Files with subtitles that lie beside a movie: of the same name, with or without a language behind.

use std::fs;
use std::path::Path;

use proto::limits;

use super::{Found, Place};

/// Entries of the movie's folder that are looked at.
const MOST_ENTRIES: usize = 20_000;

/// In the order of their names.
pub(super) fn find(movie: &Path) -> Vec<Found> {
    let stem = movie.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = movie.parent().filter(|folder| !folder.as_os_str().is_empty());
    let listing = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let mut found: Vec<(String, Found)> = Vec::new();
    for entry in listing.take(MOST_ENTRIES) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(words) = words_of(&name, &stem) else { continue };
        // Follows links, as the movie may be one.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.is_file() {
            let (language, title) = told(words);
            found.push((name, Found::new(Place::File(entry.path()), language, title, &metadata)));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found.truncate(limits::SUBTITLES);
    found.into_iter().map(|(_, found)| found).collect()
}

/// What stands between the movie's name and the ending: "" of `film.srt`, "en.forced" of
/// `film.en.forced.srt`; `None` for a file that is no subtitles of it.
fn words_of<'a>(name: &'a str, stem: &str) -> Option<&'a str> {
    let (rest, ending) = name.rsplit_once('.')?;
    let is_text = ["srt", "vtt"].iter().any(|known| ending.eq_ignore_ascii_case(known));
    let words = rest.strip_prefix(stem).filter(|_| is_text && !stem.is_empty())?;
    if words.is_empty() { Some(words) } else { words.strip_prefix('.') }
}

/// A language where the first word is one, and the rest as a title.
fn told(words: &str) -> (String, String) {
    let (first, rest) = words.split_once('.').unwrap_or((words, ""));
    let mut parts = first.split('-');
    let is_letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let leads = parts.next().is_some_and(|part| {
        (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    if leads && parts.all(|part| (2..=8).contains(&part.len()) && is_letters(part)) {
        (first.to_ascii_lowercase(), rest.replace('.', " "))
    } else {
        (String::new(), words.replace('.', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_subtitles_they_are_and_in_which_language() {
        let said = |name: &str| words_of(name, "film").map(told);
        let two = |language: &str, title: &str| Some((language.to_owned(), title.to_owned()));
        assert_eq!(said("film.srt"), two("", ""));
        assert_eq!(said("film.en.VTT"), two("en", ""));
        assert_eq!(said("film.pt-BR.forced.srt"), two("pt-br", "forced"));
        assert_eq!(said("film.Director.srt"), two("", "Director"));
        for other in ["film2.srt", "film.mp4", "film", "afilm.srt", "film-2.srt", "srt", ".srt"] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(words_of(".srt", ""), None);
    }

    #[test]
    fn they_are_found_beside_the_movie_alone() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["film.mp4", "film.srt", "film.de.srt", "other.srt"] {
            fs::write(folder.path().join(name), "1").expect("written");
        }
        fs::create_dir(folder.path().join("film.fr.srt")).expect("made");
        let found = find(&folder.path().join("film.mp4"));
        let languages: Vec<&str> = found.iter().map(|f| f.track.language.as_str()).collect();
        assert_eq!(languages, ["de", ""]);
        assert_ne!(found[0].track.key, found[1].track.key);
        fs::write(folder.path().join("film.srt"), "12").expect("written");
        let again = find(&folder.path().join("film.mp4"));
        assert_ne!(again[1].track.key, found[1].track.key, "it was written to");
        assert_eq!(again[0], found[0]);
    }
}
