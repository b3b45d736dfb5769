//! Other nodes: an origin whose streams are offered here, and a relay that ours are pushed to.

mod pull;
mod push;
pub(crate) mod receive;

pub use push::PushError;
