//! What a node needs of the process it runs in.

use std::io;

use crate::Limits;

/// Descriptors that are not connections: files of segments, listeners, the system's own.
#[cfg(unix)]
const OTHERS: u64 = 512;

/// Lets this process have as many sockets as the system allows it (a viewer takes two), and takes no
/// more connections than that: without a descriptor left, sources could not go on either.
pub fn fit_to_descriptors(limits: &mut Limits) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!("the limit of open files stays at {:?}: {error}", limit.current);
        }
        let Some(most) = getrlimit(Resource::Nofile).current else { return };
        // With very few, half of them.
        let most = most.saturating_sub(OTHERS).max(most / 2);
        limits.connections = limits.connections.min(usize::try_from(most).unwrap_or(usize::MAX));
    }
    #[cfg(not(unix))]
    let _ = limits;
}

/// Returns when the user or the system asks the process to stop (Ctrl-C, SIGTERM).
///
/// # Errors
/// The system does not tell us of signals.
pub async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let mut limits = Limits { connections: usize::MAX, ..Limits::default() };
        fit_to_descriptors(&mut limits);
        let all = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(all.is_none_or(|all| (limits.connections as u64) < all));
    }
}
