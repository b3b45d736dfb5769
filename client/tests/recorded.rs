//! Recordings, against a node that has one and sometimes fails.

mod common;

use std::sync::atomic::Ordering;

use client::session::{Command, Event};
use common::{Answer, Node, PICTURES, SEGMENT_US, index, watch, words};

#[tokio::test]
async fn a_recording_plays_to_its_end() {
    let node = Node::new(index(1, 0, 3, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    assert_eq!(packets, (0..3 * 2 * PICTURES).collect::<Vec<_>>());
    assert!(matches!(rest.last(), Some(Event::Ended)), "{rest:?}");
    assert!(rest.iter().any(|event| matches!(event, Event::AllFed)));
    assert!(words(&rest).is_empty());
    assert!(viewer.outcome.await.expect("does not panic").is_ok());
    assert_eq!(*node.asked.lock().expect("not poisoned"), [0, 1, 2]);
}

#[tokio::test]
async fn a_seek_feeds_from_the_key_frame_before() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, Some(100 * SEGMENT_US + 290_000)).await;
    // Picture 1007 is wanted, 1005 is the key frame before it. Sound runs up from 300 ms before.
    let (cue, packets) = viewer.played(20).await;
    assert_eq!((cue.position_us, cue.rate), (100 * SEGMENT_US + 290_000, 1.0));
    let (pictures, sound): (Vec<u64>, Vec<u64>) = packets.iter().partition(|n| *n % 2 == 0);
    assert_eq!(pictures[..3], [2010, 2012, 2014]);
    assert_eq!(sound[..3], [2001, 2003, 2005]);
    assert!(!node.asked.lock().expect("not poisoned").contains(&0), "from there on alone");

    viewer.remote.send(Command::Skip(20_000_000)).await.expect("listens");
    let landed = viewer.until(|event| matches!(event, Event::Cue(c) if c.rate == 1.0)).await;
    let Event::Cue(landed) = landed else { panic!("{landed:?}") };
    let by_us = landed.position_us - cue.position_us;
    assert!((20_000_000..25_000_000).contains(&by_us), "{by_us}");
    assert!(landed.number > cue.number);
    let Some(Event::Packet(first, _)) = viewer.event().await else { panic!("no packet") };
    let before_us = landed.position_us - first.header.pts_us;
    assert!((0..=SEGMENT_US).contains(&before_us), "{before_us}");
}

#[tokio::test]
async fn a_pause_stands_and_goes_on_where_it_was_and_the_speed_is_kept() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    viewer.played(1).await;
    viewer.remote.send(Command::Faster).await.expect("listens");
    viewer.until(|event| matches!(event, Event::Cue(c) if c.rate == 1.25)).await;
    viewer.remote.send(Command::Pause).await.expect("listens");
    let paused = viewer.until(|event| matches!(event, Event::Cue(c) if c.stands())).await;
    viewer.until(|event| matches!(event, Event::Progress(p) if p.paused)).await;
    viewer.remote.send(Command::Pause).await.expect("listens");
    let again = viewer.until(|event| matches!(event, Event::Cue(_))).await;
    let (Event::Cue(paused), Event::Cue(again)) = (paused, again) else { panic!("no cues") };
    assert_eq!((paused.position_us, again.rate), (again.position_us, 1.25));
}

#[tokio::test]
async fn a_damaged_segment_is_fetched_again_and_one_that_stays_so_is_left_out() {
    let node = Node::new(index(1, 0, 4, true), |number, times| match number {
        1 if times < 2 => Answer::Damaged,
        2 => Answer::Damaged,
        _ => Answer::Whole,
    });
    let mut viewer = watch(&node, None).await;
    let (mut packets, rest) = viewer.rest_of_it().await;
    // What follows the hole is fed again when the hole is jumped over.
    packets.sort_unstable();
    packets.dedup();
    let expected: Vec<u64> = (0..4 * 2 * PICTURES).filter(|n| n / (2 * PICTURES) != 2).collect();
    assert_eq!(packets, expected);
    assert_eq!((node.times_asked(1), node.times_asked(2)), (3, 4));
    assert!(rest.iter().any(|event| matches!(event, Event::Gap(_))));
    assert_eq!(words(&rest).len(), 1, "{rest:?}");
    assert_eq!(node.opened.load(Ordering::SeqCst), 1, "on the same connection");
}

#[tokio::test]
async fn a_connection_cut_within_a_segment_is_made_again_and_nothing_is_lost() {
    let node = Node::new(index(1, 0, 4, true), |number, times| {
        if number == 1 && times == 0 { Answer::CutIn } else { Answer::Whole }
    });
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    let mut once = packets.clone();
    once.dedup();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, (0..4 * 2 * PICTURES).collect::<Vec<_>>());
    assert_eq!(node.opened.load(Ordering::SeqCst), 2);
    assert_eq!(rest.iter().filter(|event| matches!(event, Event::Lost(_))).count(), 1);
    assert!(matches!(rest.last(), Some(Event::Ended)));
}

#[tokio::test]
async fn what_cannot_be_had_now_is_asked_for_again_and_said_once() {
    let node = Node::new(index(1, 0, 3, true), |number, times| match number {
        1 if times < 2 => Answer::Later,
        2 => Answer::Gone,
        _ => Answer::Whole,
    });
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    assert!(packets.contains(&(2 * PICTURES)) && !packets.contains(&(4 * PICTURES)));
    let said = words(&rest);
    assert_eq!(said.iter().filter(|word| word.contains("trying again")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|word| word.contains("left out")).count(), 1, "{said:?}");
}

#[tokio::test]
async fn a_growing_recording_waits_at_its_end_and_goes_on() {
    let node = Node::new(index(1, 0, 4, false), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    let waits = |event: &Event| matches!(event, Event::Buffering(why) if why.contains("recorded"));
    viewer.until(waits).await;
    node.index.send_replace(index(1, 0, 8, true));
    let (packets, rest) = viewer.rest_of_it().await;
    assert_eq!(packets.last(), Some(&(8 * 2 * PICTURES - 1)));
    assert!(rest.iter().any(|event| matches!(event, Event::Resumed)), "{rest:?}");
    assert_eq!(node.times_asked(0), 1, "what was here is not fetched again");
}

#[tokio::test]
async fn another_recording_under_the_name_goes_on_at_the_same_time() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, Some(50_000_000)).await;
    viewer.played(1).await;
    node.index.send_replace(index(2, 0, 500, true));
    viewer.until(|event| matches!(event, Event::Word(word) if word.contains("changed"))).await;
    viewer.until(|event| matches!(event, Event::Open(d) if d.run == 2)).await;
    let (cue, _) = viewer.played(1).await;
    assert!((50_000_000..60_000_000).contains(&cue.position_us), "{cue:?}");
}
