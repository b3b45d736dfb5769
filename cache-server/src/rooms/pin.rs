//! PINs as they are kept: Argon2id hashes, from which nobody reads a PIN.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many are hashed at a time, 19 MiB each: the others wait.
const AT_A_TIME: usize = 2;

/// Hashes PINs and checks them, off the tasks that talk.
#[derive(Debug)]
pub(super) struct Pins(Arc<Semaphore>);

/// Somebody's turn to have a PIN hashed.
pub(super) struct Turn(#[expect(dead_code, reason = "ends the turn")] Option<OwnedSemaphorePermit>);

impl Default for Pins {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Pins {
    pub(super) async fn turn(&self) -> Turn {
        // It is never closed.
        Turn(self.0.clone().acquire_owned().await.ok())
    }
}

impl Turn {
    /// How a PIN is kept; `None` if that cannot be made.
    pub(super) async fn hash(&self, pin: String) -> Option<Arc<str>> {
        let hash = tokio::task::spawn_blocking(move || {
            let hash = Argon2::default().hash_password(pin.as_bytes()).ok()?;
            Some(hash.to_string().into())
        });
        hash.await.ok().flatten()
    }

    /// Whether that is it.
    pub(super) async fn is_right(&self, pin: String, kept: Arc<str>) -> bool {
        let is_it = move || Argon2::default().verify_password(pin.as_bytes(), &*kept).is_ok();
        tokio::task::spawn_blocking(is_it).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pin_is_known_again_and_not_readable() {
        let pins = Pins::default().turn().await;
        let kept = pins.hash("4711".to_owned()).await.expect("a hash");
        assert!(kept.starts_with("$argon2id$") && !kept.contains("4711"), "{kept}");
        assert!(pins.is_right("4711".to_owned(), kept.clone()).await);
        assert!(!pins.is_right("4712".to_owned(), kept.clone()).await);
        assert_ne!(pins.hash("4711".to_owned()).await, Some(kept), "salted");
        assert!(!pins.is_right("4711".to_owned(), "nonsense".into()).await);
    }
}
