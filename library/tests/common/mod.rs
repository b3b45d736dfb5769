//! What tests of libraries share.

use std::time::Duration;

use proto::StreamInfo;
use relay::Node;
use tokio::time::timeout;

/// No condition takes longer, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a node offers, once it is as it should be; what it is instead, if it never is.
pub(crate) async fn catalogue(
    node: &Node,
    is_so: impl Fn(&[StreamInfo]) -> bool,
) -> Result<Vec<StreamInfo>, Vec<StreamInfo>> {
    let mut changes = node.catalogue_changes();
    let waiting = async {
        loop {
            let catalogue = node.catalogue();
            if is_so(&catalogue) {
                return catalogue;
            }
            changes.changed().await.expect("the node lives");
        }
    };
    timeout(PATIENCE, waiting).await.map_err(|_| node.catalogue())
}
