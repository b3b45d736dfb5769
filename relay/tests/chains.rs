//! Nodes behind nodes: pulling on demand, lost origins, pushing.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use std::time::Duration;

use common::*;
use proto::message::List;
use proto::stream::StreamState;
use proto::{Message, Role};
use relay::{Limits, Node};

fn impatient() -> Limits {
    Limits { linger: Duration::from_millis(50), ..Limits::default() }
}

/// Keeps pulling from `address` in the background.
fn pull(node: &Node, address: &str) {
    let (node, address) = (node.clone(), address.to_owned());
    tokio::spawn(async move { node.pull(&address).await });
}

async fn offers(node: &Node, stream: &str) {
    eventually(&format!("{stream} is offered"), || {
        node.catalogue().iter().any(|info| info.name == stream)
    })
    .await;
}

#[tokio::test]
async fn packets_pass_two_relays_unchanged_and_only_while_somebody_watches() {
    let origin = Running::start(impatient(), None).await;
    let near = Running::start(impatient(), None).await;
    let far = Running::start(impatient(), None).await;
    let source = origin.node.add_stream("film", "A film", false).unwrap();
    pull(&near.node, &origin.address);
    offers(&near.node, "film").await;
    pull(&far.node, &near.address);
    offers(&far.node, "film").await;
    assert_eq!(*source.viewers().borrow(), 0, "nobody watches, nothing is pulled");

    let mut viewer = far.watch("film", 0).await;
    within(source.viewers().wait_for(|n| *n == 1)).await.unwrap();
    let mut writer = source.start(tracks(), Some(5_000_000)).unwrap();
    append_gops(&mut writer, 0, 10, 20_000);
    let Message::Describe(description) = read(&mut viewer).await.unwrap() else { panic!() };
    assert_eq!(description.title, "A film");
    assert_eq!(description.duration_us, Some(5_000_000));
    let mut words = Vec::new();
    for sequence in 0..200u64 {
        let got = packet(&mut viewer, &mut words).await;
        let sent = make(got.header.track, got.header.key, got.header.pts_us, got.payload.len());
        assert_eq!(got.header.sequence, sequence);
        assert_eq!(got.payload, sent.payload);
        let age = proto::conn::now().us_since(got.header.captured_at_us);
        assert!((-50_000..5_000_000).contains(&age), "stamped on the way: {age} us old");
    }
    drop(viewer);
    within(source.viewers().wait_for(|n| *n == 0)).await.unwrap();
    drop(writer);
    // The next viewer starts it anew.
    let mut again = far.watch("film", 0).await;
    within(source.viewers().wait_for(|n| *n == 1)).await.unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    writer.end();
    until(&mut again, "End").await;
}

#[tokio::test]
async fn an_origin_that_was_stopped_is_found_again() {
    let origin = Running::start(impatient(), None).await;
    let at = origin.address.parse().unwrap();
    let relay = Running::start(Limits::default(), None).await;
    let source = origin.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    pull(&relay.node, &origin.address);
    offers(&relay.node, "cam").await;
    let mut viewer = relay.watch("cam", 0).await;
    until(&mut viewer, "Packet").await;
    drop((writer, source));
    origin.stop().await;

    // It ended in good order, so its viewers are told the end; the next one finds it again.
    until(&mut viewer, "End").await;
    let origin = Running::start_at(at, impatient(), None).await;
    let source = origin.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    offers(&relay.node, "cam").await;
    let mut again = relay.watch("cam", 0).await;
    until(&mut again, "Packet").await;
}

#[tokio::test]
async fn a_cut_origin_is_held_and_resumed_on_the_same_connection() {
    let relay = Running::start(Limits::default(), None).await;
    let mut cut = Proxy::start().await;
    let origin = Running::start(impatient(), None).await;
    cut.to(&origin.address);
    let source = origin.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    pull(&relay.node, &cut.address);
    offers(&relay.node, "cam").await;
    let mut viewer = relay.watch("cam", 0).await;
    let mut words = Vec::new();
    for sequence in 0..20 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
    cut.cut();
    until(&mut viewer, "Held").await;
    let held = |info: &proto::StreamInfo| info.state == StreamState::Held;
    assert!(relay.node.catalogue().iter().any(held));
    // Goes on meanwhile; the newest GOP comes again and what was seen stays out.
    append_gops(&mut writer, 10, 1, 100);
    cut.to(&origin.address);
    until(&mut viewer, "Resumed").await;
    for sequence in 20..40 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
    // Another run of the source: counted from 0 again, after a new description.
    drop(writer);
    until(&mut viewer, "End").await;
}

#[tokio::test]
async fn a_relay_that_is_started_again_does_not_end_what_its_viewers_watch() {
    let origin = Running::start(impatient(), None).await;
    let source = origin.node.add_stream("cam", "", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let near = Running::start(Limits::default(), None).await;
    let at = near.address.parse().unwrap();
    let far = Running::start(Limits::default(), None).await;
    pull(&near.node, &origin.address);
    offers(&near.node, "cam").await;
    pull(&far.node, &near.address);
    offers(&far.node, "cam").await;
    let mut viewer = far.watch("cam", 0).await;
    until(&mut viewer, "Packet").await;
    near.stop().await;
    // It listens before it knows its origin's streams.
    let near = Running::start_at(at, Limits::default(), None).await;
    until(&mut viewer, "Held").await;
    pull(&near.node, &origin.address);
    loop {
        match read(&mut viewer).await.unwrap() {
            Message::Resumed => break,
            Message::End => panic!("the stream is not over"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_description_beyond_all_bounds_leaves_the_catalogue_readable() {
    let running = Running::start(Limits::default(), None).await;
    let source = running.node.add_stream("wall", "", true).unwrap();
    let mut track = tracks().remove(0);
    if let proto::stream::Media::Video(video) = &mut track.media {
        (video.width, video.height, video.frame_rate) = (16_384, 16_384, (u32::MAX, 1));
    }
    let _writer = source.start(vec![track; proto::limits::TRACKS], None).unwrap();
    let mut control = running.connect(Role::Control).await;
    control.writer.write(&Message::List(List { follow: false })).await.unwrap();
    let Message::Catalog(catalog) = read(&mut control).await.unwrap() else { panic!() };
    assert_eq!(catalog.streams.len(), 1);
}

#[tokio::test]
async fn streams_of_the_same_name_get_a_suffix_and_loops_are_left_out() {
    let one = Running::start(Limits::default(), None).await;
    let two = Running::start(Limits::default(), None).await;
    let relay = Running::start(Limits::default(), None).await;
    let _first = one.node.add_stream("cam", "", true).unwrap();
    let _second = two.node.add_stream("cam", "", true).unwrap();
    pull(&relay.node, &one.address);
    offers(&relay.node, "cam").await;
    pull(&relay.node, &two.address);
    offers(&relay.node, &format!("cam@{}", two.address)).await;
    // An origin that relays us back must not offer us our own.
    pull(&one.node, &relay.address);
    offers(&one.node, &format!("cam@{}", two.address)).await;
    let _third = two.node.add_stream("new", "", true).unwrap();
    offers(&one.node, "new").await;
    let cams: Vec<_> = one.node.catalogue().into_iter().map(|info| info.name).collect();
    assert_eq!(cams, ["cam".to_owned(), format!("cam@{}", two.address), "new".to_owned()]);
    let names: Vec<_> = relay.node.catalogue().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["cam".to_owned(), format!("cam@{}", two.address), "new".to_owned()]);
}

#[tokio::test]
async fn a_pushed_stream_is_watched_at_the_relay_and_held_while_its_publisher_is_away() {
    let relay = Running::start(Limits::default(), Some("secret")).await;
    let behind_nat = Node::new(relay::Config::default());
    let source = behind_nat.add_stream("cam", "My camera", true).unwrap();
    let mut writer = source.start(tracks(), None).unwrap();
    append_gops(&mut writer, 0, 1, 100);
    let push = |token: &str| {
        let (node, address) = (behind_nat.clone(), relay.address.clone());
        let token = Some(token.to_owned());
        async move { node.push(&address, "cam", "kitchen", token).await }
    };
    let refused = within(push("wrong")).await.unwrap_err();
    assert!(refused.to_string().contains("the token is wrong"), "{refused}");

    let pushing = tokio::spawn(push("secret"));
    offers(&relay.node, "kitchen").await;
    let mut viewer = relay.watch("kitchen", 0).await;
    let mut words = Vec::new();
    for sequence in 0..20 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
    pushing.abort();
    until(&mut viewer, "Held").await;
    append_gops(&mut writer, 10, 1, 100);
    let _pushing = tokio::spawn(push("secret"));
    until(&mut viewer, "Resumed").await;
    for sequence in 20..40 {
        assert_eq!(packet(&mut viewer, &mut words).await.header.sequence, sequence);
    }
}

#[tokio::test]
async fn pushing_without_leave_is_refused() {
    let closed = Running::start(Limits::default(), None).await;
    let node = Node::new(relay::Config::default());
    let _source = node.add_stream("cam", "", true).unwrap();
    let refused = within(node.push(&closed.address, "cam", "cam", None)).await.unwrap_err();
    assert!(refused.to_string().contains("--publish-token"), "{refused}");
}

#[tokio::test]
async fn the_catalogue_is_followed() {
    let running = Running::start(Limits::default(), None).await;
    let mut control = running.connect(Role::Control).await;
    control.writer.write(&Message::List(List { follow: true })).await.unwrap();
    let Message::Catalog(empty) = read(&mut control).await.unwrap() else { panic!() };
    assert_eq!(empty.streams, []);
    let source = running.node.add_stream("cam", "Camera", true).unwrap();
    let names = |catalogue: proto::message::Catalog| {
        catalogue.streams.into_iter().map(|s| s.name).collect::<Vec<_>>()
    };
    let Message::Catalog(one) = read(&mut control).await.unwrap() else { panic!() };
    assert_eq!(names(one), ["cam"]);
    drop(source);
    let Message::Catalog(none) = read(&mut control).await.unwrap() else { panic!() };
    assert_eq!(names(none), Vec::<String>::new());
}

/// A wire between two nodes that can be cut.
struct Proxy {
    address: String,
    target: tokio::sync::watch::Sender<Option<String>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (target, targets) = tokio::sync::watch::channel::<Option<String>>(None);
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let mut targets = targets.clone();
                tokio::spawn(async move {
                    let Some(target) = targets.borrow_and_update().clone() else { return };
                    let mut there = tokio::net::TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        _ = targets.changed() => {}
                    }
                });
            }
        });
        Self { address, target }
    }

    fn to(&mut self, address: &str) {
        self.target.send_replace(Some(address.to_owned()));
    }

    fn cut(&mut self) {
        self.target.send_replace(None);
    }
}
