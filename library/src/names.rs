//! Names of streams from those of files.

/// A stream's name from what a file or a host is called: what may not be in a name is replaced.
#[must_use]
pub fn stream_name(wish: &str, otherwise: &str) -> String {
    let allowed = |c: char| if c.is_control() || c == '/' || c == '\\' { '_' } else { c };
    let mut name: String = wish.trim().chars().map(allowed).collect();
    // Room for a number behind it.
    while name.len() > proto::limits::NAME - 8 {
        name.pop();
    }
    let name = name.trim();
    if proto::stream::is_valid_name(name) { name.to_owned() } else { otherwise.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_streams() {
        for (wish, name) in [
            ("holiday 2026", "holiday 2026"),
            (" a\\b\tc ", "a_b_c"),
            ("", "movie"),
            ("  ", "movie"),
        ] {
            assert_eq!(stream_name(wish, "movie"), name);
        }
        let long = stream_name(&"ü".repeat(500), "movie");
        assert!(proto::stream::is_valid_name(&long) && long.starts_with('ü'));
    }
}
