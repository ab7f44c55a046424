//! The registry's machine against a model: names in a deque, the one used longest ago in front.
use super::shares::{Claim, Owner};
use super::table::{Admission, Effects, Table};
use crate::book::Book;
use crate::budget::Budgets;
use crate::catalog::Spec;
use crate::event::CloseReason;
use crate::limits::Limits;
use crate::live::Live;
use crate::pool::Pool;
use crate::tenant::{Tenant, TenantKind, TenantParts};
use futures::executor::block_on;
use proptest::prelude::*;
use rowhouse_engine::{Engine, Location};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, Target};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

fn name(n: u8) -> DatabaseName {
    format!("db{n}").parse().expect("valid")
}

fn tenant(name: &DatabaseName) -> Arc<Tenant> {
    let fake = Fake::default();
    fake.put(name.as_str());
    let location = Location(name.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let database = runtime.block_on(fake.open(&location)).expect("present");
    let book = Book::new(Limits::default());
    let budgets = Budgets::new(TaskTracker::new());
    let pool = Pool::new(database.clone(), book.all().database, &budgets, TaskTracker::new());
    let spec = Spec { target: Target::Named(name.clone()), location };
    let live = Live::new(book, Arc::default());
    Arc::new(Tenant::new(spec, TenantKind::Dynamic, TenantParts { database, pool, live }))
}

fn table(max: u32, waiting: u32) -> Table {
    let max_connections = NonZeroU32::new(max).expect("positive");
    Table::new(&Limits { max_connections, max_waiting: waiting, ..Limits::default() })
}

fn nobody() -> Claim {
    Claim { owner: Owner::NOBODY, now: Instant::now() }
}

/// One use of a database, from asking to giving back, with every close done at once.
fn visit(table: &mut Table, name: &DatabaseName, evicted: &mut Vec<String>) {
    visit_as(table, name, nobody(), evicted);
}

fn visit_as(table: &mut Table, name: &DatabaseName, claim: Claim, evicted: &mut Vec<String>) {
    let mut effects = Effects::default();
    let granted = match table.admit(name, claim, &mut effects) {
        Admission::Open(_) => None,
        Admission::Place => Some(()),
        Admission::Wait(_, mut place) => {
            for (victim, reason) in std::mem::take(&mut effects.close) {
                assert_eq!(reason, CloseReason::Evicted);
                let victim = victim.spec.target.name().expect("named").clone();
                evicted.push(victim.to_string());
                table.closed(&victim, &mut effects);
            }
            for waker in std::mem::take(&mut effects.wake) {
                waker.send(()).expect("waiting");
            }
            place.try_recv().expect("granted when the victim is closed");
            Some(())
        }
        other => panic!("no reason for {other:?}"),
    };
    if granted.is_some() {
        table.opened(name, tenant(name), false);
    }
    table.check();
    table.give_back(name, claim.now, &mut effects);
    assert!(effects.close.is_empty(), "nobody waits, so nobody is evicted");
    table.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn evicts_exactly_the_least_recently_used(visits in proptest::collection::vec(0..8u8, 1..60), max in 1..6u32) {
        let mut table = table(max, 10);
        let mut model: VecDeque<u8> = VecDeque::new();
        for n in visits {
            let mut evicted = Vec::new();
            visit(&mut table, &name(n), &mut evicted);
            let mut expected = Vec::new();
            match model.iter().position(|&open| open == n) {
                Some(at) => drop(model.remove(at)),
                None if model.len() == max as usize => {
                    expected.extend(model.pop_front().map(|oldest| name(oldest).to_string()));
                }
                None => {}
            }
            model.push_back(n);
            prop_assert_eq!(evicted, expected);
            prop_assert_eq!(table.status(Instant::now()).open, model.len());
        }
    }

    /// However the number of places changes under whatever is used: never more than allowed are open,
    /// never more after a shrink than before, and nobody waits beside an idle one.
    #[test]
    fn any_change_of_the_number_of_places_keeps_to_it(
        steps in proptest::collection::vec((0..4u8, 0..8u8, 1..6u32), 1..120),
    ) {
        let mut table = table(3, 4);
        let mut effects = Effects::default();
        let (mut leased, mut granted): (Vec<DatabaseName>, Vec<_>) = (Vec::new(), Vec::new());
        let mut waiting: Vec<(DatabaseName, tokio::sync::oneshot::Receiver<()>)> = Vec::new();
        let mut most = 3;
        for (step, n, places) in steps {
            let name = name(n);
            match step {
                0 if !waiting.iter().any(|(of, _)| *of == name) => match table.lend(&name) {
                    Some(_) => leased.push(name),
                    None => match table.admit(&name, nobody(), &mut effects) {
                        Admission::Place => granted.push(name),
                        Admission::Wait(_, place) => waiting.push((name, place)),
                        Admission::QueueFull | Admission::Closing(_) => {}
                        other => panic!("no reason for {other:?}"),
                    },
                },
                1 if !leased.is_empty() => {
                    let name = leased.swap_remove(usize::from(n) % leased.len());
                    table.give_back(&name, Instant::now(), &mut effects);
                }
                2 => {
                    let max_connections = NonZeroU32::new(places).expect("positive");
                    let before = table.status(Instant::now()).places;
                    let limits = Limits { max_connections, max_waiting: 4, ..Limits::default() };
                    table.resize(&limits, Instant::now(), &mut effects);
                    most = before.max(places as usize);
                }
                _ => {
                    for (tenant, _) in effects.close.drain(..).collect::<Vec<_>>() {
                        table.closed(tenant.spec.target.name().expect("named"), &mut effects);
                    }
                }
            }
            for waker in effects.wake.drain(..) {
                // Nobody watches in this test.
                let _left = waker.send(());
            }
            for at in (0..waiting.len()).rev() {
                if waiting[at].1.try_recv().is_ok() {
                    granted.push(waiting.swap_remove(at).0);
                }
            }
            for name in granted.drain(..) {
                table.opened(&name, tenant(&name), false);
                leased.push(name);
            }
            table.check();
            let status = table.status(Instant::now());
            prop_assert!(status.places <= most, "{} places of {most}", status.places);
            most = most.min(status.places).max(status.limit);
        }
    }

    /// The reference: the misses of plain LRU with any number of places, for names seen before.
    #[test]
    fn tells_the_fewest_places_that_would_have_kept_open_what_was_opened_again(
        visits in proptest::collection::vec(0..12u8, 1..120),
        max in 1..6u32,
    ) {
        let mut table = table(max, 10);
        for n in &visits {
            visit(&mut table, &name(*n), &mut Vec::new());
        }
        let status = table.status(Instant::now());
        prop_assert_eq!(status.reopened, misses(&visits, max as usize));
        match status.would_fit {
            None => prop_assert_eq!(misses(&visits, max as usize), 0),
            Some(fit) => {
                prop_assert_eq!(misses(&visits, fit), 0, "{} places are enough", fit);
                prop_assert!(0 < misses(&visits, fit - 1), "{} places are the fewest", fit);
            }
        }
    }

    /// Whoever asks for what, and whoever comes and goes: the ledger of shares adds up.
    #[test]
    fn nobody_within_its_share_loses_a_database_in_use_to_another(
        visits in proptest::collection::vec((0..4u64, 0..10u8), 1..200),
        left in 0..4u64,
    ) {
        const PLACES: u32 = 8;
        let mut table = table(PLACES, 10);
        (1..=4).for_each(|client| table.enter(Owner(client)));
        let start = Instant::now();
        let mut mine: Vec<VecDeque<DatabaseName>> = vec![VecDeque::new(); 4];
        for (step, (client, n)) in visits.iter().enumerate() {
            if step == visits.len() / 2 {
                table.leave(Owner(left + 1));
            }
            // Each has names of its own, and all are used all the time.
            let name: DatabaseName = format!("db{client}-{n}").parse().expect("valid");
            let now = start + Duration::from_millis(step as u64);
            let mut evicted = Vec::new();
            visit_as(&mut table, &name, Claim { owner: Owner(client + 1), now }, &mut evicted);
            let own = &mut mine[usize::try_from(*client).expect("small")];
            own.retain(|open| *open != name);
            own.push_back(name);
            for victim in evicted {
                let (at, of) = mine.iter_mut().enumerate().find_map(|(at, of)| {
                    of.contains(&victim.parse().expect("valid")).then_some((at, of))
                }).expect("it was open");
                let least = of.iter().position(|open| open.as_str() == victim).expect("it was open");
                prop_assert_eq!(least, 0, "of its owner's, the one unused for longest");
                let held = of.len();
                of.remove(least);
                let fair = PLACES as usize / 4;
                prop_assert!(fair < held || at as u64 == *client, "{} was taken within its share", victim);
            }
        }
    }
}

/// How often plain LRU with so many places opens a name that it had opened before.
fn misses(visits: &[u8], places: usize) -> u64 {
    let (mut open, mut seen, mut misses) = (VecDeque::new(), Vec::new(), 0);
    for n in visits {
        match open.iter().position(|open| open == n) {
            Some(at) => drop(open.remove(at)),
            None => misses += u64::from(seen.contains(n)),
        }
        seen.push(*n);
        open.push_back(*n);
        if places < open.len() {
            open.pop_front();
        }
    }
    misses
}

#[test]
fn many_evictions_later_the_count_is_still_exact() {
    let mut table = table(2, 10);
    // Far more evictions than names are remembered.
    for n in 0..5_000 {
        let name: DatabaseName = format!("once{n}").parse().expect("valid");
        visit(&mut table, &name, &mut Vec::new());
    }
    assert_eq!(table.status(Instant::now()).reopened, 0);
    for n in [4_990, 4_000] {
        let name: DatabaseName = format!("once{n}").parse().expect("valid");
        visit(&mut table, &name, &mut Vec::new());
    }
    let status = table.status(Instant::now());
    assert_eq!((status.reopened, status.would_fit), (2, Some(1_000)));
    visit(&mut table, &"once1".parse().expect("valid"), &mut Vec::new());
    assert_eq!(table.status(Instant::now()).reopened, 2, "forgotten");
}

#[test]
fn it_is_plain_lru_for_a_client_that_is_alone_whoever_was_there_before() {
    let mut table = table(2, 10);
    let (left, alone) = (Owner(1), Owner(2));
    table.enter(left);
    table.enter(alone);
    let claim = |owner| Claim { owner, now: Instant::now() };
    visit_as(&mut table, &name(0), claim(left), &mut Vec::new());
    visit_as(&mut table, &name(1), claim(left), &mut Vec::new());
    table.leave(left);
    let mut evicted = Vec::new();
    (2..5).for_each(|n| visit_as(&mut table, &name(n), claim(alone), &mut evicted));
    assert_eq!(evicted, ["db0", "db1", "db2"]);
}

#[test]
fn a_client_that_comes_anew_for_each_name_takes_from_those_who_left() {
    let mut table = table(6, 10);
    let victim = Owner(1);
    table.enter(victim);
    let claim = |owner| Claim { owner, now: Instant::now() };
    let mut evicted = Vec::new();
    (0..3).for_each(|n| visit_as(&mut table, &name(n), claim(victim), &mut evicted));
    for n in 10..60 {
        let attacker = Owner(u64::from(n));
        table.enter(attacker);
        visit_as(&mut table, &name(n), claim(attacker), &mut evicted);
        table.leave(attacker);
    }
    assert_eq!(evicted.len(), 47);
    assert!((0..3).all(|n| !evicted.contains(&name(n).to_string())), "{evicted:?}");
}

#[test]
fn a_newcomer_gets_its_share_of_what_somebody_alone_had_taken() {
    let mut table = table(10, 10);
    let (first, second) = (Owner(1), Owner(2));
    table.enter(first);
    table.enter(second);
    let now = Instant::now();
    (0..50).for_each(|n| visit_as(&mut table, &name(n), Claim { owner: first, now }, &mut Vec::new()));
    for n in 100..105 {
        visit_as(&mut table, &name(n), Claim { owner: second, now }, &mut Vec::new());
    }
    let mut evicted = Vec::new();
    (50..60).for_each(|n| visit_as(&mut table, &name(n), Claim { owner: first, now }, &mut evicted));
    visit_as(&mut table, &name(105), Claim { owner: second, now }, &mut evicted);
    let of_second: Vec<_> = evicted.iter().filter(|name| name.starts_with("db10")).collect();
    assert_eq!(of_second, ["db100"], "its own sixth evicts its first, and nobody else's does");
    // What nobody has used for the window is nobody's working set.
    let later = now + Limits::default().fair_window;
    let mut evicted = Vec::new();
    visit_as(&mut table, &name(200), Claim { owner: first, now: later }, &mut evicted);
    assert_eq!(evicted, ["db101"]);
}

#[test]
fn a_retired_database_is_closed_when_its_last_use_ends_and_opened_anew_only_then() {
    let mut table = table(2, 2);
    let mut effects = Effects::default();
    assert!(matches!(table.admit(&name(0), nobody(), &mut effects), Admission::Place));
    let old = tenant(&name(0));
    table.opened(&name(0), old.clone(), false);
    assert!(table.lend(&name(0)).is_some());
    assert!(table.retire(&old, &name(0), &mut effects));
    assert!(!table.retire(&old, &name(0), &mut effects), "once");
    assert!(table.lend(&name(0)).is_none());
    let Admission::Closing(mut closed) = table.admit(&name(0), nobody(), &mut effects) else {
        panic!("leaving")
    };
    table.give_back(&name(0), Instant::now(), &mut effects);
    assert!(effects.close.is_empty(), "one use is left");
    table.give_back(&name(0), Instant::now(), &mut effects);
    assert!(matches!(effects.close[..], [(_, CloseReason::Replaced)]));
    assert!(closed.try_recv().is_err(), "not before it is closed");
    table.closed(&name(0), &mut effects);
    effects.wake.drain(..).for_each(|waker| waker.send(()).expect("waiting"));
    block_on(closed).expect("told");
    assert!(matches!(table.admit(&name(0), nobody(), &mut effects), Admission::Place));
    let new = tenant(&name(0));
    table.opened(&name(0), new.clone(), false);
    assert!(!table.retire(&old, &name(0), &mut effects), "another opening is none of its business");
    table.give_back(&name(0), Instant::now(), &mut effects);
    assert!(table.retire(&new, &name(0), &mut effects));
    assert_eq!(effects.close.len(), 2, "at once, when nobody uses it");
    table.check();
}

#[test]
fn waiters_are_served_in_order_and_those_who_give_up_are_passed_over() {
    let mut table = table(1, 2);
    let mut effects = Effects::default();
    assert!(matches!(table.admit(&name(0), nobody(), &mut effects), Admission::Place));
    table.opened(&name(0), tenant(&name(0)), false);
    let Admission::Wait(first, _gone) = table.admit(&name(1), nobody(), &mut effects) else { panic!("full") };
    let Admission::Wait(_, mut second) = table.admit(&name(2), nobody(), &mut effects) else {
        panic!("full")
    };
    assert!(matches!(table.admit(&name(3), nobody(), &mut effects), Admission::QueueFull));
    assert!(effects.close.is_empty(), "what is leased is not evicted");
    assert!(table.give_up(first));
    assert!(!table.give_up(first));
    table.give_back(&name(0), Instant::now(), &mut effects);
    assert_eq!(effects.close.len(), 1, "idle while someone waits");
    assert!(second.try_recv().is_err(), "not before it is closed");
    table.closed(&name(0), &mut effects);
    for waker in effects.wake {
        waker.send(()).expect("waiting");
    }
    block_on(second).expect("granted");
}

#[test]
fn a_database_being_closed_is_opened_anew_only_afterwards() {
    let mut table = table(2, 2);
    let mut effects = Effects::default();
    assert!(matches!(table.admit(&name(0), nobody(), &mut effects), Admission::Place));
    table.opened(&name(0), tenant(&name(0)), false);
    table.give_back(&name(0), Instant::now(), &mut effects);
    // Two others want in while one place is left: the idle one must go.
    assert!(matches!(table.admit(&name(1), nobody(), &mut effects), Admission::Place));
    assert!(matches!(table.admit(&name(2), nobody(), &mut effects), Admission::Wait(..)));
    let Admission::Closing(closed) = table.admit(&name(0), nobody(), &mut effects) else {
        panic!("draining")
    };
    table.closed(&name(0), &mut effects);
    for waker in effects.wake {
        // The one who waits for a place has left in this test.
        let _left = waker.send(());
    }
    block_on(closed).expect("told");
}
