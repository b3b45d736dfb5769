use proto::room::{Reaction, Sealed, Secret};

use super::*;

#[test]
fn lines_are_numbered_and_all_hear_the_same() {
    let mut stage = Stage::new();
    let (ana, ben) = (stage.enter("Ana"), stage.enter("Ben"));
    for n in 0..5 {
        stage.words(ana, &format!("a{n}"));
        stage.words(ben, &format!("b{n}"));
    }
    let lines = stage.lines(ana);
    assert_eq!(lines.len(), 12);
    assert!(lines.iter().zip(1..).all(|(line, number)| line.number == number));
    assert_eq!(lines[1..], stage.lines(ben)[1..]);
    let eva = stage.enter("Eva");
    assert_eq!(stage.lines(eva)[..12], lines, "who comes later reads it all");
}

#[test]
fn a_line_belongs_where_its_writer_is() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    for (said, kept) in [(12 * S, 12 * S), (-5 * S, 0), (FILM_S * S * 9, FILM_S * S)] {
        let words = Words::Reaction(Reaction::Wow);
        stage.says(ana, Message::Say(Say { position_us: said, words }));
        assert_eq!(stage.lines(ana).pop().map(|line| line.position_us), Some(kept));
    }
}

#[test]
fn nobody_talks_without_end() {
    let mut stage = Stage::new();
    let ana = stage.enter("Ana");
    for n in 0..100 {
        stage.words(ana, &n.to_string());
    }
    assert_eq!(stage.refused(ana), Some(Refusal::TooFast));
    assert!(stage.lines(ana).len() < 15);
    for _ in 0..4_100 {
        stage.wait_us(S / 2);
        stage.words(ana, "more");
    }
    assert_eq!(stage.room.lines.kept.len(), 2_000, "the oldest made way");
    let ben = stage.enter("Ben");
    let told = &stage.told[&ben];
    assert!(told.iter().all(|message| message.encode().len() <= proto::limits::CONTROL));
    // Its channel must take that at once.
    assert!(told.len() < crate::rooms::task::UNREAD / 4, "{}", told.len());
}

#[test]
fn where_lines_are_sealed_none_is_plain() {
    let sealed = Sealed { nonce: [0; 24], bytes: vec![1; 20].into() };
    let secret = Some(Secret { salt: [0; 16], check: sealed.clone() });
    let mut stage = Stage::with(RoomSettings { secret, ..RoomSettings::default() });
    let ana = stage.enter("Ana");
    let lines = stage.lines(ana).len();
    stage.words(ana, "oops");
    assert_eq!(stage.refused(ana), Some(Refusal::NotThere));
    assert_eq!(stage.lines(ana).len(), lines);
    let words = Words::Sealed(sealed);
    stage.says(ana, Message::Say(Say { position_us: 0, words: words.clone() }));
    assert_eq!(stage.lines(ana).pop().map(|line| line.what), Some(What::Said(words)));
}

#[test]
fn how_it_goes_is_told_once_a_second() {
    let mut stage = Stage::new();
    let seats: Vec<SeatId> = (0..10).map(|n| stage.enter(&format!("m{n}"))).collect();
    seats.iter().for_each(|seat| stage.ready(*seat, true));
    stage.wait_us(2 * S);
    stage.told.clear();
    for _ in 0..50 {
        seats.iter().for_each(|seat| stage.ready(*seat, true));
        stage.wait_us(S / 10);
    }
    let told = stage.told[&seats[0]].len();
    assert!((4..=6).contains(&told), "{told}");
}
