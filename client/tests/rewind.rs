//! From a live stream into its past, and back to the present.

mod common;

use std::sync::atomic::Ordering;

use client::cue::Cue;
use client::session::{Command, Event};
use common::{Node, PICTURES, SEGMENT_US, Viewer, index, packet, watch};

/// Of the live stream there are 40 s, all but the last segment are kept.
const PACKETS: u64 = 100 * 2 * PICTURES;
const KEPT: u64 = 99;

fn is_cue(wanted: impl Fn(&Cue) -> bool) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Cue(cue) if wanted(cue))
}

/// Watches it live up to its last packet; gives when that is shown, microseconds.
async fn live(node: &std::sync::Arc<Node>) -> (Viewer, i64) {
    let mut viewer = watch(node, None).await;
    let last =
        |event: &Event| matches!(event, Event::Packet(p, _) if p.header.sequence == PACKETS - 1);
    viewer.until(|event| matches!(event, Event::Describe(d) if d.live)).await;
    viewer.until(last).await;
    (viewer, packet(PACKETS - 1).header.pts_us)
}

impl Viewer {
    async fn says(&mut self, command: Command) {
        self.remote.send(command).await.expect("listens");
    }

    /// Waits until it watches the present again.
    async fn is_live(&mut self) {
        self.until(|event| matches!(event, Event::Subscribed)).await;
        let first = self.until(|event| matches!(event, Event::Packet(..))).await;
        let Event::Packet(first, _) = first else { panic!("{first:?}") };
        assert_eq!(first.header.sequence, (PACKETS - 1) / 10 * 10, "from the newest key frame on");
    }
}

#[tokio::test]
async fn a_viewer_goes_back_and_returns_to_the_present() {
    let node = Node::live(PACKETS, Some(index(1, 0, KEPT, false)));
    let (mut viewer, shown_us) = live(&node).await;
    viewer.says(Command::Skip(-10_000_000)).await;
    let cue = viewer.until(is_cue(|cue| !cue.stands())).await;
    let Event::Cue(cue) = cue else { panic!("{cue:?}") };
    assert_eq!(cue.position_us, shown_us - 10_000_000);
    let Event::Packet(first, _) = viewer.until(|e| matches!(e, Event::Packet(..))).await else {
        panic!("no packet")
    };
    let before_us = cue.position_us - first.header.pts_us;
    assert!((0..=SEGMENT_US).contains(&before_us), "{before_us}");
    let progress = viewer.until(|event| matches!(event, Event::Progress(_))).await;
    let Event::Progress(progress) = progress else { panic!("{progress:?}") };
    let behind_us = progress.behind_us(cue.captured, 0).expect("is behind");
    assert!((9_000_000..20_000_000).contains(&behind_us), "{behind_us}");
    let counts = || [&node.subscribed, &node.opened].map(|n| n.load(Ordering::SeqCst));
    assert_eq!(counts(), [1, 1]);

    viewer.says(Command::Home).await;
    viewer.until(is_cue(|cue| cue.position_us == 0)).await;
    viewer.says(Command::End).await;
    viewer.is_live().await;
    // And once more, with other numbers than the first time.
    viewer.says(Command::Skip(-10_000_000)).await;
    let again = viewer.until(is_cue(|cue| !cue.stands())).await;
    assert!(matches!(again, Event::Cue(again) if again.number > cue.number), "{again:?}");
    assert_eq!(counts(), [2, 2]);
}

#[tokio::test]
async fn catching_up_leads_to_the_present() {
    let node = Node::live(PACKETS, Some(index(1, 0, KEPT, false)));
    let (mut viewer, _) = live(&node).await;
    viewer.says(Command::Skip(-10_000_000)).await;
    viewer.until(is_cue(|cue| !cue.stands())).await;
    viewer.says(Command::Skip(10_000_000)).await;
    viewer.is_live().await;
    // As near as it can be played, and played to the end of what is kept.
    viewer.says(Command::Skip(-1)).await;
    let near = viewer.until(is_cue(|cue| !cue.stands())).await;
    let Event::Cue(near) = near else { panic!("{near:?}") };
    let left_us = KEPT as i64 * SEGMENT_US - near.position_us;
    assert!((1_000_000..2_000_000).contains(&left_us), "{left_us}");
    viewer.is_live().await;
}

#[tokio::test]
async fn a_pause_goes_on_where_it_was_though_that_was_not_recorded_yet() {
    let node = Node::live(PACKETS, Some(index(1, 0, KEPT, false)));
    let (mut viewer, shown_us) = live(&node).await;
    viewer.says(Command::Pause).await;
    let paused = viewer.until(is_cue(Cue::stands)).await;
    assert!(matches!(paused, Event::Cue(cue) if cue.position_us == shown_us), "{paused:?}");
    viewer.until(|event| matches!(event, Event::Progress(p) if p.paused)).await;
    viewer.says(Command::Pause).await;
    viewer.until(|event| matches!(event, Event::Buffering(why) if why.contains("recorded"))).await;
    let mut grown = index(1, 0, KEPT + 10, false);
    grown.description = common::live_description();
    node.index.send_replace(grown);
    let plays = viewer.until(is_cue(|cue| !cue.stands())).await;
    assert!(matches!(plays, Event::Cue(cue) if cue.position_us == shown_us), "{plays:?}");
}

#[tokio::test]
async fn a_stream_of_which_nothing_is_kept_stays_live_and_says_so() {
    let node = Node::live(PACKETS, None);
    let (mut viewer, _) = live(&node).await;
    viewer.says(Command::Faster).await;
    viewer.says(Command::Pause).await;
    viewer.says(Command::Pause).await;
    viewer.says(Command::Skip(-10_000_000)).await;
    let Some(Event::Word(word)) = viewer.event().await else { panic!("no word") };
    assert!(word.contains("nothing of 'film' is kept"), "{word}");
    assert_eq!(node.subscribed.load(Ordering::SeqCst), 1, "the stream has gone on");
    assert!(!viewer.outcome.is_finished());
}

#[tokio::test]
async fn what_is_kept_no_more_leads_to_the_present() {
    let node = Node::live(PACKETS, Some(index(1, 0, KEPT, false)));
    let (mut viewer, _) = live(&node).await;
    viewer.says(Command::Home).await;
    viewer.until(is_cue(|cue| !cue.stands())).await;
    node.index.send_replace(index(2, 0, 3, false));
    viewer.is_live().await;
}
