//! Other nodes: an origin whose streams are offered here, live ones and recordings, and a relay that
//! ours are pushed to.

mod beside;
mod pull;
mod push;
pub(crate) mod receive;
mod remote;

pub use push::PushError;

/// What is said of a peer that cannot be reached: every try fails in the same way, one line is enough.
#[derive(Debug, Default)]
struct Complaint(Option<String>);

impl Complaint {
    /// Says why the peer is dialled again, unless that was the last thing said.
    fn say(&mut self, reason: String) {
        if self.0.as_ref() != Some(&reason) {
            tracing::warn!("{reason} (dialling again until it works)");
            self.0 = Some(reason);
        }
    }

    /// It works: the next failure is news.
    fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Complaint;

    #[test]
    fn the_same_is_said_once_until_it_worked() {
        let mut complaint = Complaint::default();
        complaint.say("refused".to_owned());
        assert_eq!(complaint.0.as_deref(), Some("refused"));
        complaint.say("no route".to_owned());
        assert_eq!(complaint.0.as_deref(), Some("no route"));
        complaint.clear();
        assert_eq!(complaint.0, None);
    }
}
