//! What may be a name and a password. Pure.

use proto::room::is_valid_member;

use crate::limits;

/// Whether somebody may be called so, and if not, why. Names are shown to others: nothing that cannot
/// be seen, or that makes two look the same, is in them. They fit rooms, where people have them, too.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let fine = |c: char| c.is_alphanumeric() || " -_.'".contains(c);
    if name.is_empty() {
        Err("a name is missing")
    } else if !name.chars().all(fine) || name.contains("  ") {
        Err("a name has letters, digits, single spaces and - _ . ' alone")
    } else if !is_valid_member(name) {
        Err("a name has at most 40 characters, and no space before or after it")
    } else {
        Ok(())
    }
}

/// Whether that is good enough as a password of somebody of that name, and if not, why.
pub(super) fn check_password(name: &str, password: &str) -> Result<(), &'static str> {
    let mut characters = password.chars();
    let first = characters.next();
    if password.chars().count() < limits::PASSWORD_CHARACTERS {
        Err("a password has at least 8 characters")
    } else if password.len() > limits::PASSWORD {
        Err("that password is too long; 256 characters are enough")
    } else if characters.all(|c| Some(c) == first) || fold(password) == fold(name) {
        Err("that password is the first one would guess; take another")
    } else {
        Ok(())
    }
}

/// The same for names that differ in nothing but capitals.
pub(super) fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_can_be_seen() {
        for fine in ["Ana", "ana", "Jürgen O'Neil", "王小明", "a-b_c.d", "7"] {
            assert_eq!(check_name(fine), Ok(()), "{fine}");
        }
        for bad in [
            "",
            " Ana",
            "Ana ",
            "A  B",
            "a:b",
            "a/b",
            "<b>",
            "Ana\u{200b}",
            "\u{202e}anA",
            "Ana\u{0}",
            "a\nb",
            "😀",
            &"x".repeat(41),
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(fold("ÄNNE"), fold("änne"));
    }

    #[test]
    fn passwords_are_long_and_not_the_name() {
        for fine in ["correct horse", "12345679", "ÄÖÜäöüßé", " spaces  "] {
            assert_eq!(check_password("Ana", fine), Ok(()), "{fine}");
        }
        for bad in ["", "1234567", "aaaaaaaaaaaa", "Jonathan", "JONATHAN", &"ab".repeat(200)] {
            assert!(check_password("jonathan", bad).is_err(), "{bad}");
        }
    }
}
