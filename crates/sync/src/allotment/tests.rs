use super::*;
use futures::FutureExt;
use std::sync::Mutex as StdMutex;

const TURN: Duration = Duration::from_millis(100);

type Ending = Arc<StdMutex<Vec<(u32, Unit<u32>)>>>;

/// An allotment whose things are numbers, and what is ending.
struct Scene {
    allotment: Allotment<u32>,
    ending: Ending,
    start: Instant,
}

impl Scene {
    fn new(limit: u32) -> Self {
        let ending = Ending::default();
        let taken = ending.clone();
        let discard = move |thing, unit| taken.lock().unwrap().push((thing, unit));
        let allotment = Allotment::new(NonZeroU32::new(limit).unwrap(), TURN, discard);
        Self { allotment, ending, start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// What is ending has ended: which.
    fn end(&self) -> Vec<u32> {
        let ended = std::mem::take(&mut *self.ending.lock().unwrap());
        ended.into_iter().map(|(thing, _unit)| thing).collect()
    }

    /// What is ending.
    fn ending(&self) -> Vec<u32> {
        self.ending.lock().unwrap().iter().map(|(thing, _)| *thing).collect()
    }

    /// A party that has made this and keeps it.
    fn keeper(&self, thing: u32, ms: u64) -> Party<u32> {
        let party = self.allotment.join();
        let unit = room(party.ask(self.at(ms)));
        party.give_back(thing, unit, self.at(ms));
        party
    }
}

fn room(asked: Asked<u32>) -> Unit<u32> {
    match asked {
        Asked::Granted(Granted::Room(unit)) => unit,
        asked => panic!("{asked:?}"),
    }
}

fn thing(asked: Asked<u32>) -> Lent<u32> {
    match asked {
        Asked::Granted(Granted::Thing(lent)) => lent,
        asked => panic!("{asked:?}"),
    }
}

fn wait(asked: Asked<u32>) -> Waiting<u32> {
    match asked {
        Asked::Wait(mut waiting) => {
            assert!((&mut waiting).now_or_never().is_none());
            waiting
        }
        asked => panic!("{asked:?}"),
    }
}

fn told(waiting: &mut Waiting<u32>) -> Option<Granted<u32>> {
    waiting.now_or_never()
}

#[test]
fn what_was_given_back_is_lent_again_and_the_one_used_last_first() {
    let scene = Scene::new(3);
    let party = scene.allotment.join();
    let (one, two) = (room(party.ask(scene.at(0))), room(party.ask(scene.at(0))));
    party.give_back(1, one, scene.at(1));
    party.give_back(2, two, scene.at(2));
    let lent = thing(party.ask(scene.at(5)));
    assert_eq!((lent.thing, lent.idle_since), (2, Some(scene.at(2))));
    assert_eq!(party.take().unwrap().thing, 1);
    assert!(party.take().is_none());
}

#[test]
fn for_whoever_finds_no_room_a_thing_of_the_party_that_used_none_for_longest_is_ended() {
    let scene = Scene::new(3);
    let (first, second, _third) = (scene.keeper(1, 0), scene.keeper(2, 1), scene.keeper(3, 2));
    let lent = first.take().unwrap();
    first.give_back(lent.thing, lent.unit, scene.at(3));
    let newcomer = scene.allotment.join();
    let mut waiting = wait(newcomer.ask(scene.at(4)));
    assert_eq!(scene.ending(), [2]);
    assert!(told(&mut waiting).is_none(), "its room goes on only when it has ended");
    assert_eq!((second.status().held, second.status().reclaimed), (0, 1));
    assert_eq!(scene.end(), [2]);
    assert!(matches!(told(&mut waiting), Some(Granted::Room(_))));
    assert_eq!(scene.allotment.status().reclaimed, 1);
}

#[test]
fn who_holds_none_comes_before_who_holds_some_and_gets_what_is_given_back_at_once() {
    let scene = Scene::new(2);
    let (rich, poor) = (scene.allotment.join(), scene.allotment.join());
    let (one, _two) = (room(rich.ask(scene.at(0))), room(rich.ask(scene.at(0))));
    let mut third = wait(rich.ask(scene.at(1)));
    let mut first = wait(poor.ask(scene.at(2)));
    rich.give_back(1, one, scene.at(3));
    assert_eq!(scene.end(), [1]);
    assert!(told(&mut third).is_none());
    assert!(matches!(told(&mut first), Some(Granted::Room(_))));
}

#[test]
fn among_equals_who_has_use_for_it_goes_on_for_one_turn_and_then_hands_it_on() {
    let scene = Scene::new(1);
    let (one, other) = (scene.allotment.join(), scene.allotment.join());
    let unit = room(one.ask(scene.at(0)));
    let mut second = wait(one.ask(scene.at(1)));
    let mut third = wait(one.ask(scene.at(1)));
    let mut waiting = wait(other.ask(scene.at(2)));
    one.give_back(7, unit, scene.at(50));
    let Some(Granted::Thing(lent)) = told(&mut second) else { panic!("its turn is not over") };
    assert_eq!(lent.idle_since, None);
    one.give_back(7, lent.unit, scene.at(100));
    assert_eq!(scene.end(), [7]);
    assert!(told(&mut third).is_none());
    let Some(Granted::Room(unit)) = told(&mut waiting) else { panic!("the other's turn has come") };
    other.give_back(8, unit, scene.at(101));
    assert_eq!(scene.end(), [8], "it has no use for it, and somebody waits");
    assert!(matches!(told(&mut third), Some(Granted::Room(_))));
}

#[test]
fn equals_are_served_in_turn_whoever_asks_more_often() {
    let scene = Scene::new(1);
    let parties = [scene.allotment.join(), scene.allotment.join(), scene.allotment.join()];
    let mut unit = room(parties[0].ask(scene.at(0)));
    let mut holder = 0;
    let mut waiting: Vec<Vec<Waiting<u32>>> =
        parties.iter().map(|party| (0..6).map(|_| wait(party.ask(scene.at(1)))).collect()).collect();
    let mut served = Vec::new();
    for round in 1..=12 {
        parties[holder].give_back(0, unit, scene.at(round * 200));
        scene.end();
        let mut granted = (0..3).filter(|&at| waiting[at].first().is_some_and(was_granted));
        holder = granted.next().expect("somebody is served");
        let mut first = waiting[holder].remove(0);
        let Some(Granted::Room(next)) = told(&mut first) else { panic!() };
        unit = next;
        served.push(holder);
    }
    assert_eq!(served, [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
}

/// Whether it was granted, without taking it.
fn was_granted(waiting: &Waiting<u32>) -> bool {
    let (id, ticket) = (waiting.id, waiting.ticket.unwrap());
    waiting.allotment.step(|state, _effects| state.was_granted(id, ticket))
}

#[test]
fn whoever_leaves_passes_on_what_was_granted() {
    let scene = Scene::new(1);
    let (one, other) = (scene.allotment.join(), scene.allotment.join());
    let unit = room(one.ask(scene.at(0)));
    let (leaver, mut stayer) = (wait(one.ask(scene.at(1))), wait(other.ask(scene.at(2))));
    one.give_back(7, unit, scene.at(3));
    drop(leaver);
    assert_eq!(scene.end(), [7]);
    let Some(Granted::Room(room)) = told(&mut stayer) else { panic!("nobody else waits") };
    let leaver = wait(one.ask(scene.at(4)));
    let mut last = wait(other.ask(scene.at(5)));
    drop(room);
    drop(leaver);
    assert!(matches!(told(&mut last), Some(Granted::Room(_))));
}

#[test]
fn a_lower_limit_ends_what_is_kept_and_then_what_is_given_back() {
    let scene = Scene::new(3);
    let (_one, two) = (scene.keeper(1, 0), scene.keeper(2, 1));
    let lent = two.take().unwrap();
    let third = room(two.ask(scene.at(2)));
    scene.allotment.resize(NonZeroU32::new(1).unwrap());
    assert_eq!(scene.end(), [1]);
    two.give_back(lent.thing, lent.unit, scene.at(3));
    assert_eq!(scene.end(), [2]);
    two.give_back(3, third, scene.at(4));
    assert_eq!(scene.ending(), []);
    assert_eq!(scene.allotment.status().held, 1);
    let mut waiting = wait(scene.allotment.join().ask(scene.at(5)));
    scene.allotment.resize(NonZeroU32::new(2).unwrap());
    assert!(matches!(told(&mut waiting), Some(Granted::Room(_))));
}

#[test]
fn what_is_kept_beyond_so_many_ends_after_a_while_and_all_of_it_when_it_is_old() {
    let scene = Scene::new(4);
    let party = scene.allotment.join();
    let units: Vec<_> = (0..4).map(|_| room(party.ask(scene.at(0)))).collect();
    for (thing, unit) in (0..).zip(units) {
        party.give_back(thing, unit, scene.at(10 * u64::from(thing)));
    }
    let lifetime = Duration::from_secs(10);
    let tidy = |ms| Tidy { now: scene.at(ms), keep: 2, idle: Duration::from_millis(50), lifetime };
    party.tidy(&tidy(50));
    assert_eq!(scene.end(), [0]);
    party.tidy(&tidy(1_000));
    assert_eq!(scene.end(), [1]);
    party.tidy(&tidy(8_999));
    assert_eq!(scene.end(), []);
    party.tidy(&tidy(10_000));
    assert_eq!(scene.end(), [2, 3]);
}

#[test]
fn a_party_that_leaves_keeps_nothing_and_is_forgotten_when_all_has_ended() {
    let scene = Scene::new(2);
    let party = scene.keeper(1, 0);
    let lent = party.take().unwrap();
    let unit = room(party.ask(scene.at(1)));
    party.give_back(lent.thing, lent.unit, scene.at(2));
    drop(party);
    assert_eq!(scene.end(), [1]);
    drop(unit);
    assert_eq!(scene.allotment.status().held, 0);
    assert_eq!(scene.allotment.step(|state, _effects| state.parties()), 0);
}

#[test]
fn what_is_left_to_be_ended_by_its_party_is_counted_until_it_has() {
    let scene = Scene::new(1);
    let party = scene.keeper(1, 0);
    let drained = party.close();
    assert_eq!(drained.iter().map(|(thing, _)| *thing).collect::<Vec<_>>(), [1]);
    let mut waiting = wait(party.ask(scene.at(1)));
    assert_eq!(scene.allotment.status().ending, 1);
    drop(drained);
    let Some(Granted::Room(unit)) = told(&mut waiting) else { panic!("there is room") };
    party.give_back(2, unit, scene.at(2));
    assert_eq!(scene.end(), [2], "it keeps nothing any more");
}
