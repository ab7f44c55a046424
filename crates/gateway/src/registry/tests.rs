//! The registry's machine against a model: names in a deque, the one used longest ago in front.
use super::table::{Admission, Effects, Table};
use crate::catalog::Spec;
use crate::limits::PoolLimits;
use crate::pool::Pool;
use crate::tenant::{Tenant, TenantKind};
use futures::executor::block_on;
use proptest::prelude::*;
use rowhouse_engine::{Engine, Location};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, Target};
use std::collections::VecDeque;
use std::sync::Arc;
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
    let pool = Pool::new(database.clone(), PoolLimits::default(), TaskTracker::new());
    let spec = Spec { target: Target::Named(name.clone()), location };
    Arc::new(Tenant::new(spec, TenantKind::Dynamic, database, pool))
}

/// One use of a database, from asking to giving back, with every close done at once.
fn visit(table: &mut Table, name: &DatabaseName, evicted: &mut Vec<String>) {
    let mut effects = Effects::default();
    let granted = match table.admit(name, &mut effects) {
        Admission::Open(_) => None,
        Admission::Place => Some(()),
        Admission::Wait(_, mut place) => {
            for victim in std::mem::take(&mut effects.close) {
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
    table.give_back(name, &mut effects);
    assert!(effects.close.is_empty(), "nobody waits, so nobody is evicted");
    table.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn evicts_exactly_the_least_recently_used(visits in proptest::collection::vec(0..8u8, 1..60), max in 1..6usize) {
        let mut table = Table::new(max, 10);
        let mut model: VecDeque<u8> = VecDeque::new();
        for n in visits {
            let mut evicted = Vec::new();
            visit(&mut table, &name(n), &mut evicted);
            let mut expected = Vec::new();
            match model.iter().position(|&open| open == n) {
                Some(at) => drop(model.remove(at)),
                None if model.len() == max => {
                    expected.extend(model.pop_front().map(|oldest| name(oldest).to_string()));
                }
                None => {}
            }
            model.push_back(n);
            prop_assert_eq!(evicted, expected);
            prop_assert_eq!(table.status().open, model.len());
        }
    }
}

#[test]
fn waiters_are_served_in_order_and_those_who_give_up_are_passed_over() {
    let mut table = Table::new(1, 2);
    let mut effects = Effects::default();
    assert!(matches!(table.admit(&name(0), &mut effects), Admission::Place));
    table.opened(&name(0), tenant(&name(0)), false);
    let Admission::Wait(first, _gone) = table.admit(&name(1), &mut effects) else { panic!("full") };
    let Admission::Wait(_, mut second) = table.admit(&name(2), &mut effects) else { panic!("full") };
    assert!(matches!(table.admit(&name(3), &mut effects), Admission::QueueFull));
    assert!(effects.close.is_empty(), "what is leased is not evicted");
    assert!(table.give_up(first));
    assert!(!table.give_up(first));
    table.give_back(&name(0), &mut effects);
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
    let mut table = Table::new(2, 2);
    let mut effects = Effects::default();
    assert!(matches!(table.admit(&name(0), &mut effects), Admission::Place));
    table.opened(&name(0), tenant(&name(0)), false);
    table.give_back(&name(0), &mut effects);
    // Two others want in while one place is left: the idle one must go.
    assert!(matches!(table.admit(&name(1), &mut effects), Admission::Place));
    assert!(matches!(table.admit(&name(2), &mut effects), Admission::Wait(..)));
    let Admission::Closing(closed) = table.admit(&name(0), &mut effects) else { panic!("draining") };
    table.closed(&name(0), &mut effects);
    for waker in effects.wake {
        // The one who waits for a place has left in this test.
        let _left = waker.send(());
    }
    block_on(closed).expect("told");
}
