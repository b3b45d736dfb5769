use super::*;

const RATE: u32 = 48_000;
const DELAY_US: i64 = 100_000;

struct Card {
    feed: Feed,
    playout: Playout,
    schedule: Arc<Schedule>,
    /// When the next callback's first frame is heard.
    heard_us: f64,
    played: Vec<f32>,
}

fn card(rate: u32, channels: usize) -> Card {
    let schedule = Arc::new(Schedule::default());
    let _ = crate::timeline::Timeline::new(DELAY_US, schedule.clone());
    let (feed, playout) = ring(Format { rate, channels }, schedule.clone());
    Card { feed, playout, schedule, heard_us: 0.0, played: Vec::new() }
}

impl Card {
    /// One callback of 10 ms.
    fn callback(&mut self) {
        let Format { rate, channels } = self.playout.format;
        let mut out = vec![9.0; rate as usize / 100 * channels];
        self.playout.fill(&mut out, Stamp(self.heard_us as i64), 1.0);
        self.heard_us += 10_000.0;
        self.played.extend(out.chunks(channels).map(|frame| frame[0]));
    }

    /// When, after the start, the first frame louder than a half was heard.
    fn first_loud_us(&self) -> f64 {
        let frame = self.played.iter().position(|s| s.abs() > 0.5).expect("is heard");
        frame as f64 * 1e6 / f64::from(self.playout.format.rate)
    }
}

/// Silence with a step to 0.9 at `at`.
fn step(frames: usize, at: usize) -> Vec<f32> {
    (0..frames).map(|i| if i < at { 0.0 } else { 0.9 }).collect()
}

#[test]
fn sound_is_heard_when_it_is_due() {
    for (source, device) in [(48_000, 48_000), (8_000, 48_000), (44_100, 48_000)] {
        let mut card = card(device, 1);
        // Captured at 300 ms, the step is 200 ms into it: due at 300 + 200 + 100 ms.
        let fifth = source as usize / 5;
        assert!(card.feed.push(Stamp(300_000), source, &step(2 * fifth, fifth)));
        for _ in 0..100 {
            card.callback();
        }
        let heard = card.first_loud_us();
        assert!((heard - 600_000.0).abs() < 500.0, "{source} to {device}: at {heard} us");
        assert!(card.played.iter().all(|s| s.abs() < 1.5), "nothing else is heard");
    }
}

#[test]
fn what_should_have_been_heard_is_skipped_to_the_frame() {
    let mut card = card(RATE, 1);
    card.heard_us = 450_000.0;
    assert!(card.feed.push(Stamp(300_000), RATE, &step(19_200, 9_600)));
    for _ in 0..30 {
        card.callback();
    }
    let heard = card.first_loud_us() + 450_000.0;
    assert!((heard - 600_000.0).abs() < 500.0, "at {heard} us");
}

#[test]
fn stretches_join_without_a_click_and_a_hole_is_silent() {
    let mut card = card(RATE, 2);
    let tone = |from: usize, frames: usize| -> Vec<f32> {
        (from..from + frames).flat_map(|i| [(i as f32 * 0.05).sin() * 0.8; 2]).collect()
    };
    // 20 ms each, their times rounded as a container does; a hole of 40 ms after the fifth.
    for i in 0..10_usize {
        let hole = if i < 5 { 0 } else { 40_000 };
        let captured = i as i64 * 20_000 + hole + if i % 2 == 0 { 300 } else { -300 };
        assert!(card.feed.push(Stamp(captured), RATE, &tone(i * 960, 960)));
    }
    for _ in 0..40 {
        card.callback();
    }
    let sounding = |from_ms: usize, to_ms: usize| {
        let part = &card.played[from_ms * 48..to_ms * 48];
        part.iter().filter(|s| s.abs() > 1e-3).count() as f64 / part.len() as f64
    };
    assert_eq!(sounding(0, 99), 0.0);
    assert!(sounding(105, 199) > 0.95);
    assert_eq!(sounding(203, 238), 0.0);
    assert!(sounding(246, 338) > 0.95);
    let steepest = card.played[106 * 48..198 * 48]
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .fold(0.0, f32::max);
    assert!(steepest < 0.05, "a click of {steepest}");
}

#[test]
fn a_card_that_runs_fast_is_kept_in_time() {
    let mut card = card(RATE, 1);
    let mut pushed = 0;
    for callback in 0..6_000_i64 {
        while pushed < callback + 20 {
            let sound = vec![0.1; 480];
            assert!(card.feed.push(Stamp(pushed * 10_000), RATE, &sound));
            pushed += 1;
        }
        card.callback();
        // 200 ppm fast: the next callback is heard earlier than 10 ms later.
        card.heard_us -= 2.0;
    }
    let lag = card.playout.steer.error_us();
    assert!(lag.abs() < 1_000, "{lag} us");
    let silent = card.played[RATE as usize..].iter().filter(|s| **s == 0.0).count();
    assert_eq!(silent, 0, "not one frame is missing");
}

#[test]
fn a_change_of_delay_is_followed_and_the_picture_told() {
    let mut card = card(RATE, 1);
    let mut pushed = 0;
    let mut timeline = crate::timeline::Timeline::new(DELAY_US, card.schedule.clone());
    for callback in 0..400_i64 {
        if callback == 300 {
            // 40 ms more: steered to.
            timeline = crate::timeline::Timeline::new(DELAY_US + 40_000, card.schedule.clone());
        }
        while pushed < callback + 10 {
            assert!(card.feed.push(Stamp(pushed * 10_000), RATE, &vec![0.1; 480]));
            pushed += 1;
        }
        card.callback();
    }
    drop(timeline);
    let lag = card.schedule.picture_due(Stamp(0)).us_since(card.schedule.due(Stamp(0)));
    assert!((-40_000..-10_000).contains(&lag), "the picture follows the sound: {lag} us");
}

#[test]
fn what_ends_at_a_moment_is_silent_from_there_and_fades_before() {
    let mut card = card(RATE, 2);
    let second = vec![0.5; RATE as usize];
    assert!(card.feed.push(Stamp(0), RATE, &second));
    // In the middle of a callback.
    card.schedule.set_sound_until(Some(Stamp(DELAY_US + 203_000)));
    for _ in 0..40 {
        card.callback();
    }
    let at = |ms: usize| card.played[ms * 48..(ms + 1) * 48].iter().copied().fold(0.0, f32::max);
    assert!(at(297) > 0.4 && at(300) < 0.4, "{} {}", at(297), at(300));
    let silent = card.played[303 * 48..].iter().all(|sample| *sample == 0.0);
    assert!(silent, "something is heard after the end");
    // Something else begins.
    card.schedule.set_sound_until(None);
    card.feed.cut();
    assert!(card.feed.push(Stamp(400_000), RATE, &second[..RATE as usize / 5]));
    for _ in 0..20 {
        card.callback();
    }
    assert!(card.played[520 * 48..].iter().any(|sample| *sample > 0.4));
}

#[test]
fn a_full_ring_takes_nothing_and_an_empty_one_is_silent() {
    let mut card = card(RATE, 2);
    let second = vec![0.0; RATE as usize];
    assert!(card.feed.push(Stamp(0), RATE, &second));
    assert!(!card.feed.push(Stamp(500_000), RATE, &second));
    for _ in 0..100 {
        card.callback();
    }
    assert!(card.feed.push(Stamp(500_000), RATE, &second));
    assert!(card.played.iter().all(|s| *s == 0.0));
}

#[test]
fn absurd_times_end_a_callback_all_the_same() {
    let mut card = card(RATE, 2);
    for captured in [i64::MIN, i64::MAX, 0, 1 << 60] {
        card.feed.push(Stamp(captured), 1, &[0.5; 20]);
        card.feed.push(Stamp(captured), u32::MAX, &[0.5; 20]);
    }
    for _ in 0..10 {
        card.callback();
    }
    assert!(card.played.len() == 4_800);
}
