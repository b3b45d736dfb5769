//! What members seal so that nobody on the way reads it, as JSON: bytes are hexadecimal digits.

use std::fmt::Write;

use proto::room::{Sealed, Secret};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

/// See [`Sealed`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedWord {
    nonce: String,
    bytes: String,
}

/// See [`Secret`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretWord {
    salt: String,
    check: SealedWord,
}

impl SealedWord {
    /// `None`: these are no such digits.
    pub(crate) fn sealed(&self) -> Option<Sealed> {
        let nonce = bytes(&self.nonce)?.try_into().ok()?;
        Some(Sealed { nonce, bytes: ByteBuf::from(bytes(&self.bytes)?) })
    }
}

impl SecretWord {
    /// `None`: these are no such digits.
    pub(crate) fn secret(&self) -> Option<Secret> {
        let salt = bytes(&self.salt)?.try_into().ok()?;
        Some(Secret { salt, check: self.check.sealed()? })
    }
}

/// A sealed text for a page.
pub(crate) fn sealed(sealed: &Sealed) -> Value {
    json!({"nonce": digits(&sealed.nonce), "bytes": digits(&sealed.bytes)})
}

/// A room's secret for a page.
pub(crate) fn secret(secret: &Secret) -> Value {
    json!({"salt": digits(&secret.salt), "check": sealed(&secret.check)})
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_comes_back_as_it_was() {
        let check = Sealed { nonce: [250; 24], bytes: ByteBuf::from(vec![0, 1, 15, 16, 255]) };
        let before = Secret { salt: [7; 16], check };
        let json = secret(&before);
        assert_eq!(json["check"]["bytes"], "00010f10ff");
        let word: SecretWord = serde_json::from_value(json).expect("a secret");
        assert_eq!(word.secret(), Some(before));
    }

    #[test]
    fn what_are_no_digits_is_refused() {
        for (nonce, text) in [("00", "00"), (&"00".repeat(25), "00"), (&"0g".repeat(24), "00")] {
            let word = SealedWord { nonce: nonce.to_owned(), bytes: text.to_owned() };
            assert_eq!(word.sealed(), None, "{nonce}");
        }
        for text in ["0", "0x", "é0", "00 "] {
            let word = SealedWord { nonce: "00".repeat(24), bytes: text.to_owned() };
            assert_eq!(word.sealed(), None, "{text}");
        }
    }
}
