use proto::room::Remote;

use super::*;

fn live() -> Stage {
    Stage::of(About { film: None, ..about(RoomSettings::default()) }, 50)
}

fn needs(stage: &mut Stage, seat: SeatId, needs_us: u32) {
    stage.reports(seat, |report| report.needs_us = needs_us);
}

fn delay_us(stage: &Stage) -> u32 {
    stage.timeline().delay_us
}

#[test]
fn a_live_room_plays_and_has_no_remote() {
    let mut stage = live();
    let ana = stage.enter("Ana");
    assert_eq!(stage.going(), Going::Playing);
    stage.says(ana, Message::Remote(Remote::Pause));
    assert_eq!(stage.refused(ana), Some(Refusal::Live));
    stage.wait_us(S);
    stage.words(ana, "hello");
    assert_eq!(stage.lines(ana).pop().map(|line| line.position_us), Some(0));
}

#[test]
fn the_slowest_viewer_decides_and_time_brings_it_down_again() {
    let mut stage = live();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    needs(&mut stage, ana, 200_000);
    assert_eq!(delay_us(&stage), 300_000, "what it needs and a margin");
    stage.wait_us(S);
    needs(&mut stage, ben, 900_000);
    assert_eq!(delay_us(&stage), 1_000_000);
    assert!(stage.timeline().anchor_us > stage.now);
    for second in 0..31 {
        assert_eq!(delay_us(&stage), 1_000_000, "after {second} s");
        stage.wait_us(S);
        needs(&mut stage, ana, 200_000);
        needs(&mut stage, ben, 300_000);
    }
    stage.wait_us(S);
    assert_eq!(delay_us(&stage), 400_000);
}

#[test]
fn it_grows_no_more_than_once_a_second() {
    let mut stage = live();
    let ana = stage.enter("Ana");
    needs(&mut stage, ana, 100_000);
    let epoch = stage.timeline().epoch;
    for n in 0..10 {
        needs(&mut stage, ana, 200_000 + n * 50_000);
    }
    assert_eq!(stage.timeline().epoch, epoch);
    stage.wait_us(S);
    assert_eq!((stage.timeline().epoch, delay_us(&stage)), (epoch + 1, 750_000));
}

#[test]
fn who_is_ill_does_not_count() {
    let mut stage = live();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    needs(&mut stage, ana, 200_000);
    stage.wait_us(S);
    needs(&mut stage, ben, 20_000_000);
    stage.wait_us(2 * S);
    assert_eq!(delay_us(&stage), 300_000);
    // Nor who has nothing to show for seconds.
    stage.reports(ben, |report| (report.ready, report.needs_us) = (false, 800_000));
    assert_eq!(delay_us(&stage), 900_000);
    for _ in 0..40 {
        stage.wait_us(S);
        needs(&mut stage, ana, 200_000);
        stage.reports(ben, |report| (report.ready, report.needs_us) = (false, 800_000));
    }
    assert_eq!(delay_us(&stage), 300_000);
}
