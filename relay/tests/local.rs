//! A viewer in the node's own process gets what any other viewer gets.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use std::time::Duration;

use common::{VIDEO, append_gops, eventually, tracks, within};
use proto::conn::{ConnError, Reader, Writer, greet};
use proto::message::Subscribe;
use proto::{CloseCode, Message, Role};
use relay::{Config, Node};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};

type Ends<T> = (Reader<ReadHalf<T>>, Writer<WriteHalf<T>>);

async fn dialled<T: AsyncRead + AsyncWrite + Unpin>(pipe: T) -> Ends<T> {
    let (read, write) = tokio::io::split(pipe);
    let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, Duration::from_secs(5)));
    greet(&mut reader, &mut writer, Role::View, None, "local").await.expect("welcome");
    (reader, writer)
}

fn subscribe(stream: &str) -> Message {
    Message::Subscribe(Subscribe { stream: Some(stream.to_owned()), buffer_us: 0 })
}

#[tokio::test]
async fn packets_come_through_the_pipe_as_they_were_appended() {
    let node = Node::new(Config::default());
    let source = node.add_stream("camera", "", true).unwrap();
    let (mut reader, mut writer) = dialled(node.dial_local("browser")).await;
    writer.write(&subscribe("camera")).await.unwrap();
    within(source.viewers().wait_for(|viewers| *viewers > 0)).await.unwrap();
    let mut run = source.start(tracks(), None).unwrap();
    // More than the pipe holds: the session waits for its reader.
    append_gops(&mut run, 0, 3, 20_000);
    assert!(matches!(within(reader.read()).await.unwrap(), Message::Describe(_)));
    let mut pictures = 0;
    while pictures < 20 {
        let Message::Packet(packet) = within(reader.read()).await.unwrap() else { continue };
        if packet.header.track == VIDEO {
            assert_eq!(packet.payload[7], (7 + packet.header.pts_us) as u8, "untouched");
            pictures += 1;
        }
    }
}

#[tokio::test]
async fn a_dropped_pipe_is_a_viewer_that_left() {
    let node = Node::new(Config::default());
    let source = node.add_stream("camera", "", true).unwrap();
    let ends = dialled(node.dial_local("browser")).await;
    let (mut reader, mut writer) = ends;
    writer.write(&subscribe("camera")).await.unwrap();
    let mut run = source.start(tracks(), None).unwrap();
    append_gops(&mut run, 0, 1, 100);
    within(reader.read()).await.unwrap();
    assert_eq!(node.catalogue()[0].viewers, 1);
    drop((reader, writer));
    eventually("the place is free again", || node.catalogue()[0].viewers == 0).await;
}

#[tokio::test]
async fn what_is_not_there_and_the_end_of_the_node_are_said() {
    let node = Node::new(Config::default());
    let (mut reader, mut writer) = dialled(node.dial_local("browser")).await;
    writer.write(&subscribe("nothing")).await.unwrap();
    let error = within(reader.read()).await.unwrap_err();
    assert!(matches!(error, ConnError::Closed { code: Some(CloseCode::NoSuchStream), .. }));
    let (mut reader, _writer) = dialled(node.dial_local("browser")).await;
    node.shut_down();
    let error = within(reader.read()).await.unwrap_err();
    assert!(matches!(error, ConnError::Closed { code: Some(CloseCode::ShuttingDown), .. }));
}
