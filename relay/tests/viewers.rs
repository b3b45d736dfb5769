//! What viewers of one node get: joiners, slow ones, stalled ones, and the end.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use std::time::Duration;

use common::*;
use proto::conn::ConnError;
use proto::{CloseCode, Message, Role};
use relay::Limits;

#[tokio::test]
async fn a_joiner_gets_the_description_then_the_newest_gop() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "Camera", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 3, 500);
    let mut viewer = running.watch("cam", 0).await;
    let Message::Describe(description) = read(&mut viewer).await.unwrap() else {
        panic!("no description")
    };
    assert_eq!((description.name.as_str(), description.tracks), ("cam", tracks()));
    let mut words = Vec::new();
    let first = packet(&mut viewer, &mut words).await;
    assert!(first.header.key, "starts with a key frame");
    assert_eq!(first.header.pts_us, 20 * 40_000, "of the newest GOP");
    assert_eq!(first.payload, make(VIDEO, true, 20 * 40_000, 500).payload);
    for expected in first.header.sequence + 1..60 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, expected);
    }
    assert_eq!(words, []);
}

#[tokio::test]
async fn a_viewer_from_the_start_gets_every_packet_and_the_end() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("film", "", false).unwrap();
    let mut viewer = running.watch("film", 0).await;
    // The source starts when somebody watches.
    within(source.viewers().wait_for(|n| *n == 1)).await.unwrap();
    let mut writer = source.start(tracks(), Some(1)).unwrap();
    // Sound before the first key frame belongs to it.
    writer.append(make(AUDIO, true, -20_000, 30)).unwrap();
    append_gops(&mut writer, 0, 30, 3_000);
    writer.end();
    let mut words = Vec::new();
    for sequence in 0..601 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
    assert_eq!(read(&mut viewer).await.unwrap(), Message::End);
    assert_eq!(words.len(), 1, "the description and nothing else: {words:?}");
    eventually("its viewer counts no more", || *source.viewers().borrow() == 0).await;
}

#[tokio::test]
async fn a_viewer_that_falls_behind_misses_pictures_but_no_sound_and_nobody_else_notices() {
    let limits = Limits { max_lag: Duration::from_millis(300), ..Limits::default() };
    let running = Running::start(limits, None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    let mut slow = running.watch("cam", 0).await;
    let mut quick = running.watch("cam", 0).await;
    within(source.viewers().wait_for(|n| *n == 2)).await.unwrap();
    let mut words = Vec::new();
    let mut sent = 0;
    // Far more than sockets buffer, over far more than the lag bound.
    for round in 0..12 {
        append_gops(&mut writer, round * 10, 1, 200_000);
        sent += 20;
        for sequence in sent - 20..sent {
            let packet = packet(&mut quick, &mut words).await;
            assert_eq!(packet.header.sequence, sequence, "the quick one misses nothing");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    writer.end();
    let (mut pictures, mut sounds, mut gaps, mut missing) = (0, Vec::new(), 0, 0);
    let mut after_gap = false;
    loop {
        match read(&mut slow).await.unwrap() {
            Message::Packet(packet) if packet.header.track == AUDIO => {
                sounds.push(packet.header.sequence);
            }
            Message::Packet(packet) => {
                assert!(!after_gap || packet.header.key, "goes on with a key frame");
                after_gap = false;
                pictures += 1;
            }
            Message::Gap(gap) => {
                assert!(gap.packets > 0 && gap.length_us > 0, "{gap:?}");
                (gaps, missing, after_gap) = (gaps + 1, missing + gap.packets, true);
            }
            Message::End => break,
            Message::Describe(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(gaps >= 1);
    assert_eq!(pictures + missing, 120, "what was missed is told exactly");
    assert!(sounds.windows(2).all(|pair| pair[0] < pair[1]), "sound in order: {sounds:?}");
    assert!(sounds.len() > 60, "sound goes on through the gap: {} of 120", sounds.len());
}

#[tokio::test]
async fn a_viewer_that_reads_nothing_is_closed_and_costs_no_memory() {
    let limits = Limits {
        max_lag: Duration::from_millis(200),
        stall: Duration::from_millis(700),
        log_memory: 40 << 20,
        ..Limits::default()
    };
    let running = Running::start(limits, None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    let mut dead = running.watch("cam", 0).await;
    within(source.viewers().wait_for(|n| *n == 1)).await.unwrap();
    let mut viewers = source.viewers();
    let mut round = 0;
    while *viewers.borrow_and_update() > 0 {
        // 2 MB every 50 ms: were the log not bounded, this would meet the memory limit.
        append_gops(&mut writer, round * 10, 1, 200_000);
        round += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(round < 400, "never closed");
    }
    let end = loop {
        match read(&mut dead).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, ConnError::Cut | ConnError::Io(_)), "{end}");
}

#[tokio::test]
async fn a_viewer_that_buffers_gets_bunches_and_the_last_one_too() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    let mut viewer = running.watch("cam", 400_000).await;
    let mut words = Vec::new();
    append_gops(&mut writer, 0, 1, 100);
    for sequence in 0..20 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
    // Within the pause after a bunch, and nothing follows: it must come all the same.
    writer.append(make(VIDEO, true, 1_000_000, 100)).unwrap();
    assert_eq!(packet(&mut viewer, &mut words).await.header.pts_us, 1_000_000);
}

#[tokio::test]
async fn a_viewer_may_leave_and_choose_another_stream_on_the_same_connection() {
    let running = Running::start(Limits::default(), None).await;
    let one = running.node.add_stream("one", "", true).unwrap();
    let two = running.node.add_stream("two", "", true).unwrap();
    let mut first = one.start(tracks(), None).unwrap();
    let _second = two.start(tracks(), None).unwrap();
    append_gops(&mut first, 0, 1, 100);
    let mut viewer = running.watch("one", 0).await;
    until(&mut viewer, "Packet").await;
    viewer.writer.write(&Message::Unsubscribe).await.unwrap();
    until(&mut viewer, "End").await;
    eventually("one is left", || *one.viewers().borrow() == 0).await;
    let wanted = proto::message::Subscribe { stream: Some("two".to_owned()), buffer_us: 0 };
    viewer.writer.write(&Message::Subscribe(wanted)).await.unwrap();
    let Message::Describe(description) = read(&mut viewer).await.unwrap() else { panic!() };
    assert_eq!(description.name, "two");
}

#[tokio::test]
async fn a_held_picture_is_told_to_those_who_watch_and_those_who_join() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let mut before = running.watch("cam", 0).await;
    until(&mut before, "Packet").await;
    writer.hold("the camera is unplugged");
    let Message::Held(held) = until(&mut before, "Held").await else { unreachable!() };
    assert_eq!(held.reason, "the camera is unplugged");
    let mut after = running.watch("cam", 0).await;
    until(&mut after, "Held").await;
    writer.resume();
    until(&mut before, "Resumed").await;
    until(&mut after, "Resumed").await;
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_cut_to_what_may_be_said() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let mut viewer = running.watch("cam", 0).await;
    until(&mut viewer, "Packet").await;
    writer.hold(&format!("ffmpeg:\n{}", "ü".repeat(600)));
    let Message::Held(held) = until(&mut viewer, "Held").await else { unreachable!() };
    assert!(held.reason.starts_with("ffmpeg:ü") && held.reason.len() <= proto::limits::TEXT);
}

#[tokio::test]
async fn a_change_of_the_tracks_reaches_those_who_watch_and_those_who_join() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let mut viewer = running.watch("cam", 0).await;
    until(&mut viewer, "Packet").await;
    let only_video = vec![tracks().remove(0)];
    writer.describe(only_video.clone()).unwrap();
    let mut joiner = running.watch("cam", 0).await;
    for who in [&mut viewer, &mut joiner] {
        let Message::Describe(description) = until(who, "Describe").await else { unreachable!() };
        assert_eq!(description.tracks, only_video);
    }
    assert!(writer.append(make(AUDIO, true, 0, 10)).is_err(), "the track is gone");
    writer.append(make(VIDEO, true, 500_000, 100)).unwrap();
    let mut words = Vec::new();
    assert_eq!(packet(&mut joiner, &mut words).await.header.pts_us, 500_000);
}

#[tokio::test]
async fn a_wish_for_a_key_frame_reaches_the_writer() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let writer = source.start(tracks(), None).unwrap();
    let mut viewer = running.watch("cam", 0).await;
    until(&mut viewer, "Describe").await;
    viewer.writer.write(&Message::KeyFrameWanted).await.unwrap();
    eventually("the wish arrives", || writer.take_key_frame_request()).await;
}

#[tokio::test]
async fn limits_are_told_in_a_sentence() {
    let limits = Limits { viewers: 1, ..Limits::default() };
    let running = Running::start(limits, None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let _writer = source.start(tracks(), None).unwrap();
    let mut first = running.watch("cam", 0).await;
    until(&mut first, "Describe").await;
    let mut second = running.watch("cam", 0).await;
    let refused = read(&mut second).await.unwrap_err();
    assert!(
        matches!(&refused, ConnError::Closed { code: Some(CloseCode::TooManyViewers), .. }),
        "{refused}"
    );
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let running = Running::start(limits, None).await;
    let _only = running.connect(Role::Control).await;
    let refused = proto::dial::dial(&running.address, Role::View, None, "").await.unwrap_err();
    assert!(refused.to_string().contains("--max-connections-per-address"), "{refused}");
}

#[tokio::test]
async fn shutting_down_is_told_to_everyone() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let mut viewer = running.watch("cam", 0).await;
    until(&mut viewer, "Packet").await;
    let mut control = running.connect(Role::Control).await;
    running.stop().await;
    for who in [&mut viewer, &mut control] {
        let end = loop {
            match read(who).await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(
            matches!(end, ConnError::Closed { code: Some(CloseCode::ShuttingDown), .. }),
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_stream_whose_source_does_not_start_is_told_unavailable() {
    let limits = Limits { start: Duration::from_millis(50), ..Limits::default() };
    let running = Running::start(limits, None).await;
    let _source = running.node.add_stream("cam", "", true).unwrap();
    let mut viewer = running.watch("cam", 0).await;
    let end = read(&mut viewer).await.unwrap_err();
    assert!(matches!(end, ConnError::Closed { code: Some(CloseCode::Unavailable), .. }), "{end}");
}
