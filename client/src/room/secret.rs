//! What members of a room say to each other and the node cannot read (`docs/PROTOCOL.md`, sealed lines).

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use proto::room::{Sealed, Secret};
use serde_bytes::ByteBuf;

/// Of Argon2id: memory, KiB; passes; lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// What is sealed in [`Secret::check`], for nobody's name.
const CHECK: &str = "instep";

/// The key of a room. Cheap to clone.
#[derive(Clone)]
pub struct Key(XChaCha20Poly1305);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// A key cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The room was made with other words.
    #[error("this room is sealed with another passphrase: ask whoever made it")]
    Wrong,
    /// There is no memory for it, or the passphrase cannot be used.
    #[error("no key can be made of this passphrase")]
    Unusable,
}

/// Makes the secret of a new room. Takes a moment and 19 MiB, so that guessing does, too.
pub fn make(passphrase: &str) -> Result<(Secret, Key), SecretError> {
    let salt = rand::random();
    let key = derive(passphrase, &salt)?;
    let check = key.seal(CHECK, "").ok_or(SecretError::Unusable)?;
    Ok((Secret { salt, check }, key))
}

/// The key of somebody else's room, if this is its passphrase. Takes as long.
pub fn unlock(passphrase: &str, secret: &Secret) -> Result<Key, SecretError> {
    let key = derive(passphrase, &secret.salt)?;
    let opened = key.open(&secret.check, "");
    opened.filter(|text| text == CHECK).map(|_| key).ok_or(SecretError::Wrong)
}

fn derive(passphrase: &str, salt: &[u8; 16]) -> Result<Key, SecretError> {
    let (memory, passes, lanes) = COST;
    let mut key = [0; 32];
    let params = Params::new(memory, passes, lanes, Some(key.len()));
    let params = params.map_err(|_| SecretError::Unusable)?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(|_| SecretError::Unusable)?;
    Ok(Key(XChaCha20Poly1305::new(&key.into())))
}

impl Key {
    /// Seals a text of this writer.
    #[must_use]
    pub fn seal(&self, text: &str, writer: &str) -> Option<Sealed> {
        let nonce: [u8; 24] = rand::random();
        let payload = Payload { msg: text.as_bytes(), aad: writer.as_bytes() };
        let bytes = self.0.encrypt(&XNonce::from(nonce), payload).ok()?;
        Some(Sealed { nonce, bytes: ByteBuf::from(bytes) })
    }

    /// Opens what this writer sealed.
    #[must_use]
    pub fn open(&self, sealed: &Sealed, writer: &str) -> Option<String> {
        let payload = Payload { msg: &sealed.bytes, aad: writer.as_bytes() };
        let bytes = self.0.decrypt(&XNonce::from(sealed.nonce), payload).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        // Nobody has looked at it on the way.
        Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_what_others_cannot() {
        let (secret, key) = make("open sesame").expect("a key");
        let sealed = key.seal("hello \u{1b}[31mred", "Ana").expect("seals");
        assert!(!sealed.bytes.windows(5).any(|part| part == b"hello"));
        let ben = unlock("open sesame", &secret).expect("the same key");
        assert_eq!(ben.open(&sealed, "Ana").as_deref(), Some("hello  [31mred"));
        assert_eq!(ben.open(&sealed, "Eve"), None, "another writer");
        assert_eq!(unlock("open simsim", &secret).map(|_| ()), Err(SecretError::Wrong));
        let mut changed = sealed;
        changed.bytes[0] ^= 1;
        assert_eq!(ben.open(&changed, "Ana"), None);
    }

    #[test]
    fn the_key_is_argon2id_as_others_make_it() {
        let key = derive("open sesame", &[0; 16]).expect("a key");
        let sealed = Sealed { nonce: [0; 24], bytes: ByteBuf::from(KNOWN) };
        assert_eq!(key.open(&sealed, "Ana").as_deref(), Some("hi"));
    }

    /// `hi` by Ana, under that key and a nonce of zeros, made with OpenSSL's Argon2id and ChaCha20-Poly1305.
    const KNOWN: [u8; 18] = [
        0xc6, 0x94, 0x3d, 0xf4, 0x85, 0xb4, 0x21, 0x0d, 0xb3, 0x00, 0x5a, 0x8a, 0x4b, 0x20, 0x03,
        0xc0, 0xb2, 0x0f,
    ];
}
