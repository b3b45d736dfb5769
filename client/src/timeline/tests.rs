use std::sync::Arc;

use super::*;

const MS: i64 = 1_000;
const S: i64 = 1_000_000;
const OFFSET: Offset = Offset(5 * S);
const CLOCK: Option<PeerClock> = Some(PeerClock { offset: OFFSET, settled: true });

/// A 25 fps stream, captured from 0 on our clock and seen through a way that takes
/// `transit(t)`; gives the arrivals and the delay after each.
fn simulate(
    timeline: &mut Timeline,
    from: i64,
    to: i64,
    transit: impl Fn(i64) -> i64,
) -> Vec<(Arrival, i64)> {
    let mut out = Vec::new();
    let mut last = i64::MIN;
    let mut t = from;
    while t < to {
        // TCP keeps the order: nothing overtakes.
        let arrives = (t + transit(t)).max(last);
        last = arrives;
        let header = PacketHeader {
            pts_us: t + 100 * S,
            dts_us: t + 100 * S,
            captured_at_us: Stamp(t) + OFFSET,
            ..PacketHeader::default()
        };
        let arrival = timeline.packet(&header, CLOCK, Stamp(arrives));
        out.push((arrival, timeline.schedule.delay_us()));
        t += 40 * MS;
    }
    out
}

fn timeline(wanted_ms: i64) -> Timeline {
    Timeline::new(wanted_ms * MS, Arc::default())
}

#[test]
fn a_steady_way_keeps_the_asked_delay() {
    let mut timeline = timeline(250);
    for (arrival, delay) in simulate(&mut timeline, 0, 60 * S, |_| 30 * MS) {
        assert_eq!(delay, 250 * MS);
        assert_eq!(arrival.transit_us, Some(30 * MS));
        assert!(!arrival.late);
    }
}

#[test]
fn capture_times_are_on_our_clock_and_due_after_the_delay() {
    let mut timeline = timeline(250);
    let all = simulate(&mut timeline, 0, S, |_| 10 * MS);
    assert_eq!(all[3].0.captured, Stamp(120 * MS));
    assert_eq!(timeline.schedule.due(all[3].0.captured), Stamp(370 * MS));
    assert_eq!(timeline.shown_us(Stamp(370 * MS)), Some(100 * S + 120 * MS));
}

#[test]
fn one_hiccup_is_forgiven() {
    let mut timeline = timeline(250);
    let hiccup = |t| if (10 * S..10 * S + 40 * MS).contains(&t) { 900 * MS } else { 20 * MS };
    let all = simulate(&mut timeline, 0, 20 * S, hiccup);
    assert!(all.iter().any(|(a, _)| a.late), "the hiccup is seen");
    // The packets held up behind it may cross a second's boundary, never more.
    assert!(timeline.schedule.delay_us() <= 900 * MS);
    let last = all.last().expect("has packets");
    assert!(!last.0.late);
}

#[test]
fn a_habit_of_coming_late_grows_the_delay_and_its_end_shrinks_it_slowly() {
    let mut timeline = timeline(100);
    let often = |t: i64| if t % (2 * S) < 80 * MS { 400 * MS } else { 10 * MS };
    let all = simulate(&mut timeline, 0, 40 * S, often);
    let grown = all.last().expect("has packets").1;
    assert!((400 * MS..450 * MS).contains(&grown), "grew to {grown}");
    assert!(!all[all.len() - 200..].iter().any(|(a, _)| a.late), "nothing is late any more");

    let calm = simulate(&mut timeline, 40 * S, 240 * S, |_| 10 * MS);
    let mut before = grown;
    for (_, delay) in &calm {
        assert!(before - delay <= 200, "shrank by {} us in a frame", before - delay);
        before = *delay;
    }
    assert_eq!(before, 100 * MS);
}

#[test]
fn in_a_room_the_delay_is_the_rooms_and_what_is_needed_is_said() {
    let mut timeline = timeline(100);
    timeline.schedule.set_room_delay_us(700 * MS);
    simulate(&mut timeline, 0, 10 * S, |_| 400 * MS);
    assert_eq!(timeline.schedule.delay_us(), 700 * MS);
    assert_eq!(timeline.schedule.needs_us(), 400 * MS + DECODE_US);
    assert_eq!(timeline.schedule.ahead_us(), 300 * MS);
    // A step down, which all make slowly and together; then one that leaves it far behind.
    timeline.schedule.set_room_delay_us(600 * MS);
    let steps = simulate(&mut timeline, 10 * S, 60 * S, |_| 20 * MS);
    assert!(steps[0].1 > 690 * MS && steps.iter().any(|(_, delay)| *delay == 600 * MS));
    timeline.schedule.set_room_delay_us(300 * MS);
    let steps = simulate(&mut timeline, 60 * S, 61 * S, |_| 20 * MS);
    assert_eq!(steps[0].1, 300 * MS);
}

#[test]
fn who_enters_a_room_has_its_delay_at_once() {
    let mut timeline = timeline(400);
    simulate(&mut timeline, 0, 5 * S, |_| 20 * MS);
    timeline.schedule.set_room_delay_us(350 * MS);
    let steps = simulate(&mut timeline, 5 * S, 6 * S, |_| 20 * MS);
    assert_eq!(steps[0].1, 350 * MS);
}

#[test]
fn growth_is_bounded() {
    let mut timeline = timeline(100);
    simulate(&mut timeline, 0, 60 * S, |_| 60 * S);
    assert_eq!(timeline.schedule.delay_us(), 100 * MS + MOST_GROWTH_US);
}

#[test]
fn what_was_captured_before_joining_is_neither_late_nor_slow() {
    let mut timeline = timeline(100);
    timeline.joined(Stamp(10 * S));
    // Two seconds of backlog at once, then live.
    let all = simulate(&mut timeline, 8 * S, 14 * S, |t| (10 * S + 5 * MS - t).max(5 * MS));
    for (arrival, delay) in all {
        assert_eq!(arrival.transit_us.is_some(), arrival.captured >= Stamp(10 * S));
        assert!(!arrival.late);
        assert_eq!(delay, 100 * MS);
    }
}

#[test]
fn latency_zero_waits_for_no_picture_but_for_the_sound() {
    let mut timeline = timeline(0);
    let all = simulate(&mut timeline, 0, 10 * S, |_| 30 * MS);
    assert!(all.iter().all(|(a, delay)| *delay == 0 && !a.late));
    timeline.schedule.sound_needs_us(120 * MS);
    simulate(&mut timeline, 10 * S, 11 * S, |_| 30 * MS);
    assert_eq!(timeline.schedule.delay_us(), 120 * MS);
}

#[test]
fn a_new_run_starts_a_new_base() {
    let mut timeline = timeline(250);
    simulate(&mut timeline, 0, 2 * S, |_| 10 * MS);
    timeline.new_run();
    let header =
        PacketHeader { pts_us: 0, captured_at_us: Stamp(3 * S) + OFFSET, ..Default::default() };
    let arrival = timeline.packet(&header, CLOCK, Stamp(3 * S + 10 * MS));
    assert_eq!(arrival.captured, Stamp(3 * S));
}

#[test]
fn noise_in_the_stamps_is_smoothed_and_a_jump_is_followed() {
    let mut timeline = timeline(250);
    simulate(&mut timeline, 0, S, |_| 10 * MS);
    let mut packet = |pts: i64, captured: i64| {
        let header = PacketHeader {
            pts_us: pts + 100 * S,
            captured_at_us: Stamp(captured) + OFFSET,
            ..Default::default()
        };
        timeline.packet(&header, CLOCK, Stamp(captured + 10 * MS)).captured.0
    };
    let noisy = packet(S, S + 30 * MS);
    assert!((noisy - S).abs() < 100, "moved by {} us", noisy - S);
    assert_eq!(packet(2 * S, 5 * S), 5 * S);
}

#[test]
fn without_a_clock_the_fastest_packet_is_the_measure() {
    let mut timeline = timeline(250);
    let at = |pts: i64| PacketHeader { pts_us: pts, ..Default::default() };
    timeline.packet(&at(0), None, Stamp(100 * MS));
    timeline.packet(&at(40 * MS), None, Stamp(110 * MS));
    let arrival = timeline.packet(&at(80 * MS), None, Stamp(190 * MS));
    assert_eq!(arrival.captured, Stamp(150 * MS));
    assert_eq!(arrival.transit_us, None);
    // The clock becomes known: the guess is replaced at once.
    let header = PacketHeader { captured_at_us: Stamp(S) + OFFSET, ..at(120 * MS) };
    assert_eq!(timeline.packet(&header, CLOCK, Stamp(S + MS)).captured, Stamp(S));
}

#[test]
fn absurd_stamps_do_no_harm() {
    let mut timeline = timeline(250);
    for (pts, captured) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 0), (i64::MAX, 0)] {
        let header = PacketHeader {
            pts_us: pts,
            captured_at_us: Stamp(captured),
            ..PacketHeader::default()
        };
        timeline.packet(&header, CLOCK, Stamp(7));
        timeline.packet(&header, None, Stamp(i64::MAX));
    }
    assert!(timeline.schedule.delay_us() <= 250 * MS + MOST_GROWTH_US);
}
