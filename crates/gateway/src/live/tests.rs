//! The window and its positions, without a database.
use super::window::{Told, Window};
use super::{InvalidPosition, LiveLimits, Position};
use proptest::prelude::*;
use rowhouse_engine::{Change, ChangeKind, News, Untold};
use rowhouse_types::Value;
use std::num::NonZeroU32;

fn limits(window: u32) -> LiveLimits {
    LiveLimits { window: NonZeroU32::new(window).unwrap(), ..LiveLimits::default() }
}

fn insert(table: &str, n: i64) -> Change {
    let columns = ["n".to_owned()].into();
    Change { kind: ChangeKind::Insert, table: table.into(), columns, row: Box::new([Value::Integer(n)]) }
}

fn committed(numbers: impl IntoIterator<Item = i64>) -> News {
    News::Committed(numbers.into_iter().map(|n| insert("t", n)).collect())
}

/// The numbers of the rows that are told, and -1 for a gap.
fn numbers(told: &[Told]) -> Vec<i64> {
    let number = |told: &Told| match told {
        Told::Change { change, .. } => match change.row[0] {
            Value::Integer(n) => n,
            _ => panic!("a number"),
        },
        Told::Gap { .. } => -1,
    };
    told.iter().map(number).collect()
}

#[test]
fn a_position_is_a_word_and_nothing_else_is_a_position() {
    let position = Position { epoch: 0xab, number: 7 };
    assert_eq!(position.to_string(), "00000000000000ab-7");
    assert_eq!(position.to_string().parse(), Ok(position));
    for text in ["", "-", "ab-7", "00000000000000AB-7", "00000000000000ab-+7", "00000000000000ab--7"] {
        assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
    }
    assert_eq!("00000000000000ab-18446744073709551616".parse::<Position>(), Err(InvalidPosition));
}

#[test]
fn who_falls_behind_is_told_of_a_gap_and_goes_on_with_what_is_kept() {
    let mut window = Window::new(1);
    window.keep(committed(1..=3), &limits(4));
    let mut heard = 0;
    assert_eq!(numbers(&window.after(&mut heard, 2, |_| true)), [1, 2]);
    assert_eq!(heard, 2);
    window.keep(committed(4..=9), &limits(4));
    assert_eq!(numbers(&window.after(&mut heard, 9, |_| true)), [-1, 6, 7, 8, 9]);
    assert_eq!(numbers(&window.after(&mut heard, 9, |_| true)), [0; 0]);
    window.keep(News::Gap(Untold::Schema), &limits(4));
    assert_eq!(numbers(&window.after(&mut heard, 9, |_| false)), [-1], "a gap is everybody's");
    window.keep(committed([10]), &limits(4));
    assert_eq!(numbers(&window.after(&mut heard, 9, |_| false)), [0; 0]);
    assert_eq!(heard, 11, "what is not wanted is not looked at twice");
}

#[test]
fn who_comes_again_goes_on_where_it_was_if_that_is_of_this_telling() {
    let mut window = Window::new(1);
    window.keep(committed(1..=3), &limits(9));
    assert_eq!(window.heard_by(Position { epoch: 1, number: 2 }), Some(2));
    assert_eq!(window.heard_by(Position { epoch: 1, number: 4 }), None);
    assert_eq!(window.heard_by(Position { epoch: 2, number: 2 }), None);
}

#[test]
fn bytes_are_bounded_but_one_change_is_always_kept() {
    let tight = LiveLimits { window_bytes: 1, ..limits(100) };
    let mut window = Window::new(1);
    window.keep(committed(1..=3), &tight);
    let mut heard = 0;
    assert_eq!(numbers(&window.after(&mut heard, 9, |_| true)), [-1, 3]);
}

proptest! {
    /// Against the whole list: what is read is always a run of it, and what is skipped is told of.
    #[test]
    fn nothing_is_skipped_untold(sizes in prop::collection::vec(0_i64..6, 1..30), reads in prop::collection::vec(0_usize..5, 30)) {
        let (mut window, mut all, mut heard, mut next) = (Window::new(1), 0_i64, 0, 1_i64);
        for (size, most) in sizes.into_iter().zip(reads) {
            window.keep(committed(all + 1..=all + size), &limits(5));
            all += size;
            for number in numbers(&window.after(&mut heard, most + 1, |_| true)) {
                if number == -1 {
                    // What is kept begins after the gap.
                    prop_assert!(next <= all - 5);
                    next = all - 4;
                } else {
                    prop_assert_eq!(number, next);
                    next += 1;
                }
            }
            prop_assert_eq!(i64::try_from(heard).unwrap(), next - 1);
        }
    }
}
