use super::super::key::Keys;
use super::*;
use proptest::prelude::*;

/// A table whose sessions are numbers, and a clock.
struct Bench {
    table: Table<u32>,
    keys: Keys,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { table: Table::default(), keys: Keys::new(), now: Instant::now() }
    }

    fn key(&self, number: usize) -> Key {
        self.keys.key(None, &number.to_be_bytes())
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.expire(self.now);
        self.check();
    }

    fn begin(&mut self, number: usize) -> Place {
        self.table.begin(self.key(number), self.now, false)
    }

    fn begin_in_transaction(&mut self, number: usize) -> Place {
        self.table.begin(self.key(number), self.now, true)
    }

    fn claim(&mut self, number: usize) -> Found<u32> {
        let found = self.table.claim(self.key(number), self.now, true);
        self.check();
        found
    }

    fn detach(&mut self, place: Place) -> Option<oneshot::Receiver<Infallible>> {
        let interrupted = self.table.detach(place, self.now);
        self.check();
        interrupted
    }

    fn finish(&mut self, place: Place, outcome: Outcome<u32>) {
        if let Some((to, answer)) = self.table.finish(place, outcome, self.now)
            && let Err((place, outcome)) = to.send(answer)
        {
            self.finish(place, outcome);
        }
        self.check();
    }

    fn len(&self, queue: Queue) -> usize {
        self.table.queue(queue).len()
    }

    fn sessions_given_up(&mut self) -> Vec<u32> {
        let session = |state| match state {
            State::Kept(outcome) => Some(outcome.session),
            _ => None,
        };
        self.table.given_up().into_iter().filter_map(session).collect()
    }

    /// The invariants of the module's head.
    fn check(&self) {
        let table = &self.table;
        let flights =
            || table.flights.iter().flat_map(|(key, flights)| flights.iter().map(move |f| (key, f)));
        for queue in Queue::ALL {
            let queued = flights().filter(|(_, flight)| flight.state.queue() == Some(queue));
            let queued: BTreeSet<_> =
                queued.map(|(key, flight)| (flight.until.expect("a deadline"), flight.id, *key)).collect();
            assert_eq!(&queued, table.queue(queue));
            assert!(queued.len() <= queue.most());
        }
        assert_eq!(table.bytes, flights().map(|(_, flight)| flight.state.bytes()).sum::<usize>());
        assert!(table.bytes <= REPLY_BYTES_MAX);
        assert!(table.flights.values().all(|same| !same.is_empty()));
        assert!(!table.closed || Queue::ALL.iter().all(|&queue| table.queue(queue).is_empty()));
    }
}

fn outcome(session: u32) -> Outcome<u32> {
    Outcome { reply: Bytes::from_static(b"reply"), session, in_transaction: false }
}

fn in_transaction(session: u32) -> Outcome<u32> {
    Outcome { in_transaction: true, ..outcome(session) }
}

fn is_interrupted(interrupted: &mut oneshot::Receiver<Infallible>) -> bool {
    interrupted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

#[test]
fn a_resend_joins_what_its_peer_left_in_flight_and_gets_the_outcome() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    let mut interrupted = bench.detach(place).expect("there is room");
    let Found::InFlight(_, mut answer) = bench.claim(1) else { panic!("it is in flight") };
    bench.pass(10 * WINDOW);
    assert!(!is_interrupted(&mut interrupted), "somebody waits for it");
    bench.finish(place, outcome(7));
    let (_, outcome) = answer.try_recv().expect("it has finished");
    assert_eq!((outcome.session, &outcome.reply[..]), (7, &b"reply"[..]));
}

#[test]
fn a_resend_gets_what_finished_after_its_peer_left_and_only_one_does() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    let _interrupted = bench.detach(place);
    bench.finish(place, outcome(7));
    let Found::Finished(place, _) = bench.claim(1) else { panic!("it has finished") };
    assert!(matches!(bench.claim(1), Found::Nothing(_)), "a request of its own");
    bench.table.forget(place);
}

#[test]
fn nobody_joins_a_request_whose_peer_is_connected() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    assert!(matches!(bench.claim(1), Found::Nothing(_)), "sent at once by another");
    bench.pass(SLOW);
    assert!(matches!(bench.claim(1), Found::Unclear), "worth a moment");
    assert!(matches!(bench.table.claim(bench.key(1), bench.now, false), Found::Nothing(_)), "and no longer");
    assert!(matches!(bench.claim(2), Found::Nothing(_)), "other bytes");
    let _interrupted = bench.detach(place);
    let Found::InFlight(..) = bench.claim(1) else { panic!("its peer has left") };
    assert!(matches!(bench.claim(1), Found::Unclear), "joined by a peer that is connected");
}

#[test]
fn a_reply_that_was_read_is_never_given_again() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    bench.pass(SLOW);
    assert!(bench.table.written(place, Bytes::from_static(b"reply"), bench.now));
    assert!(matches!(bench.claim(1), Found::Unclear), "it is to be seen");
    bench.table.forget(place);
    assert!(matches!(bench.claim(1), Found::Nothing(_)));
}

#[test]
fn a_reply_that_was_written_and_not_read_is_given_to_the_resend() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    bench.pass(SLOW);
    assert!(bench.table.written(place, Bytes::from_static(b"reply"), bench.now));
    bench.table.unread(place, 7, false, bench.now);
    let Found::Finished(_, outcome) = bench.claim(1) else { panic!("it was not read") };
    assert_eq!((outcome.session, &outcome.reply[..]), (7, &b"reply"[..]));
}

#[test]
fn a_reply_that_came_fast_or_was_written_long_ago_counts_as_read() {
    let mut bench = Bench::new();
    let fast = bench.begin(1);
    assert!(!bench.table.written(fast, Bytes::new(), bench.now));
    let slow = bench.begin(2);
    bench.pass(SLOW);
    assert!(bench.table.written(slow, Bytes::new(), bench.now));
    bench.pass(WINDOW);
    bench.table.unread(slow, 7, false, bench.now);
    assert_eq!(bench.sessions_given_up(), [7]);
    assert!(matches!(bench.claim(2), Found::Nothing(_)));
}

#[test]
fn each_of_five_resends_joins_in_turn() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    let mut interrupted = bench.detach(place).expect("there is room");
    for _ in 0..5 {
        bench.pass(WINDOW / 2);
        let Found::InFlight(joined, _answer) = bench.claim(1) else { panic!("it is in flight") };
        bench.pass(WINDOW / 2);
        assert!(bench.table.part(joined, bench.now));
        bench.check();
    }
    assert!(!is_interrupted(&mut interrupted));
    bench.finish(place, outcome(7));
    assert!(matches!(bench.claim(1), Found::Finished(..)));
}

#[test]
fn an_outcome_on_its_way_to_a_resend_that_leaves_is_kept() {
    let mut bench = Bench::new();
    let place = bench.begin(1);
    let _interrupted = bench.detach(place);
    let Found::InFlight(joined, mut answer) = bench.claim(1) else { panic!("it is in flight") };
    bench.finish(place, outcome(7));
    assert!(!bench.table.part(joined, bench.now), "it is not in flight any more");
    let (place, outcome) = answer.try_recv().expect("it was sent");
    bench.finish(place, outcome);
    assert!(matches!(bench.claim(1), Found::Finished(..)));
}

#[test]
fn what_nobody_asks_for_again_is_given_up_when_the_window_ends() {
    let mut bench = Bench::new();
    let (running, done) = (bench.begin(1), bench.begin(2));
    let mut interrupted = bench.detach(running).expect("there is room");
    let _interrupted = bench.detach(done);
    bench.finish(done, outcome(7));
    assert_eq!(bench.table.waiting(), Waiting { detached: 1, kept: 1 });
    bench.pass(WINDOW - Duration::from_millis(1));
    assert_eq!(bench.table.next_deadline(), Some(bench.now + Duration::from_millis(1)));
    assert!(bench.sessions_given_up().is_empty());
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.table.next_deadline(), None);
    assert_eq!(bench.sessions_given_up(), [7]);
    assert!(is_interrupted(&mut interrupted));
    bench.finish(running, outcome(8));
    assert_eq!(bench.sessions_given_up(), [8], "it finished as it was being interrupted");
    assert!(matches!(bench.claim(1), Found::Nothing(_)));
    assert!(matches!(bench.claim(2), Found::Nothing(_)));
}

#[test]
fn a_resend_learns_that_its_transaction_is_lost_rather_than_run_outside_it() {
    let mut bench = Bench::new();
    for (number, finishes) in [(0, false), (1, true)] {
        let place = bench.begin_in_transaction(number);
        let _interrupted = bench.detach(place);
        if finishes {
            bench.finish(place, in_transaction(7));
        }
        bench.pass(WINDOW);
        assert!(matches!(bench.claim(number), Found::Lost));
        assert!(matches!(bench.claim(number), Found::Nothing(_)), "it is told once");
    }
    let commit = bench.begin_in_transaction(2);
    let _interrupted = bench.detach(commit);
    bench.finish(commit, outcome(7));
    bench.pass(WINDOW);
    assert!(matches!(bench.claim(2), Found::Nothing(_)), "a transaction that had ended is not lost");
    let place = bench.begin_in_transaction(3);
    let _interrupted = bench.detach(place);
    bench.pass(WINDOW);
    bench.pass(LOST_WINDOW);
    assert!(matches!(bench.claim(3), Found::Nothing(_)), "it is forgotten in time");
}

#[test]
fn a_resend_adopts_no_transaction_that_may_be_anothers() {
    let mut bench = Bench::new();
    let (one, other) = (bench.begin_in_transaction(1), bench.begin_in_transaction(1));
    let mut interrupted = [one, other].map(|place| bench.detach(place).expect("there is room"));
    assert!(matches!(bench.claim(1), Found::Lost));
    assert!(matches!(bench.claim(1), Found::Lost));
    drop(bench.table.given_up());
    assert!(interrupted.iter_mut().all(is_interrupted));
    let (one, other) = (bench.begin(2), bench.begin(2));
    let _interrupted = [one, other].map(|place| bench.detach(place));
    assert!(matches!(bench.claim(2), Found::InFlight(..)), "without a transaction they are the same");
    assert!(matches!(bench.claim(2), Found::InFlight(..)));
}

#[test]
fn over_the_bound_a_request_is_interrupted_when_its_peer_leaves() {
    let mut bench = Bench::new();
    let detached: Vec<_> = (0..DETACHED_MAX).map(|number| (number, bench.begin(number))).collect();
    let mut waiting = Vec::new();
    for (_, place) in &detached {
        waiting.push(bench.detach(*place).expect("there is room"));
    }
    let (plain, transaction) = (bench.begin(DETACHED_MAX), bench.begin_in_transaction(DETACHED_MAX + 1));
    assert!(bench.detach(plain).is_none());
    assert!(bench.detach(transaction).is_none());
    assert!(matches!(bench.claim(DETACHED_MAX), Found::Nothing(_)));
    assert!(matches!(bench.claim(DETACHED_MAX + 1), Found::Lost));
    let Found::InFlight(joined, _answer) = bench.claim(0) else { panic!("it is in flight") };
    let another = bench.begin(DETACHED_MAX + 2);
    let _takes_the_room = bench.detach(another).expect("there is room");
    assert!(bench.table.part(joined, bench.now));
    drop(bench.table.given_up());
    assert!(is_interrupted(&mut waiting[0]), "no room to come back to");
}

#[test]
fn over_the_bounds_the_oldest_outcome_goes_first() {
    let mut bench = Bench::new();
    for number in 0..=KEPT_MAX {
        let place = bench.begin(number);
        bench.finish(place, outcome(u32::try_from(number).expect("small")));
    }
    assert_eq!((bench.len(Queue::Kept), bench.sessions_given_up()), (KEPT_MAX, vec![0]));
    let large = Bytes::from(vec![0; REPLY_BYTES_MAX / 2 + 1]);
    for number in [1000, 1001] {
        bench.pass(Duration::from_millis(1));
        let place = bench.begin(number);
        let session = u32::try_from(number).expect("small");
        bench.finish(place, Outcome { reply: large.clone(), session, in_transaction: false });
    }
    assert_eq!(bench.len(Queue::Kept), 1, "two are too many bytes, and those before are older");
    assert!(matches!(bench.claim(1001), Found::Finished(..)));
    let place = bench.begin_in_transaction(2000);
    let reply = Bytes::from(vec![0; REPLY_BYTES_MAX + 1]);
    bench.finish(place, Outcome { reply, session: 1, in_transaction: true });
    assert!(matches!(bench.claim(2000), Found::Lost), "larger than all that may be kept");
}

#[test]
fn lost_transactions_and_written_replies_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..=LOST_MAX {
        let place = bench.begin_in_transaction(number);
        let (key, now) = (bench.key(number), bench.now);
        let flight = bench.table.remove(place.key, place.id).expect("it began");
        bench.table.give_up(key, Flight { state: State::Kept(Box::new(in_transaction(1))), ..flight }, now);
    }
    assert_eq!(bench.len(Queue::Lost), LOST_MAX);
    let places: Vec<_> = (0..=WRITTEN_MAX).map(|number| bench.begin(10_000 + number)).collect();
    bench.now += SLOW;
    for place in places {
        bench.table.written(place, Bytes::new(), bench.now);
    }
    assert_eq!(bench.len(Queue::Written), WRITTEN_MAX);
    bench.check();
}

#[test]
fn after_the_close_nothing_waits_for_a_resend() {
    let mut bench = Bench::new();
    let (running, done, joined, later) = (bench.begin(1), bench.begin(2), bench.begin(3), bench.begin(4));
    let mut interrupted = bench.detach(running).expect("there is room");
    bench.finish(done, outcome(7));
    let mut joined_interrupted = bench.detach(joined).expect("there is room");
    let Found::InFlight(_, mut answer) = bench.claim(3) else { panic!("it is in flight") };
    bench.table.close();
    bench.check();
    assert_eq!(bench.sessions_given_up(), [7]);
    assert!(is_interrupted(&mut interrupted));
    assert!(!is_interrupted(&mut joined_interrupted), "its resend is in flight like any request");
    bench.finish(joined, outcome(8));
    assert!(answer.try_recv().is_ok());
    assert!(bench.detach(later).is_none());
    bench.check();
}

/// What happens to a request of a client that sends again until it has an answer.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The client gives up; the request finishes before the resend comes, or after.
    GivesUp { finishes: bool },
    /// The request finishes and the client reads the reply.
    Reads,
    /// The request finishes, and the client closes with the reply unread.
    ClosesUnread,
    /// The request finishes, and the client has left before the reply is written.
    LeavesFirst,
}

/// Where the client's request is.
enum At {
    /// Run by the client's own peer.
    Own(Place),
    /// Joined: the runner's place and the joiner's.
    Joined(Place, Place, oneshot::Receiver<Answer<u32>>),
    /// Finished, in the hands of the client's peer.
    Done(Place, Outcome<u32>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => any::<bool>().prop_map(|finishes| Event::GivesUp { finishes }),
        1 => Just(Event::Reads),
        1 => Just(Event::ClosesUnread),
        1 => Just(Event::LeavesFirst),
    ]
}

/// One request, asked until it is answered; returns which run answered it.
fn ask(bench: &mut Bench, runs: &mut u32, events: &mut impl Iterator<Item = (Event, u64)>) -> u32 {
    let Found::Nothing(place) = bench.claim(1) else { panic!("a request of its own is run") };
    *runs += 1;
    let mut at = At::Own(place);
    let mut runner = place;
    for (event, millis) in events.by_ref().chain([(Event::Reads, 0)]) {
        bench.pass(Duration::from_millis(millis));
        let run = *runs;
        at = match (event, at) {
            (Event::GivesUp { finishes }, At::Own(place)) => {
                let _interrupted = bench.detach(place).expect("there is room");
                runner = place;
                if finishes {
                    bench.finish(place, outcome(run));
                }
                again(bench, runner)
            }
            (Event::GivesUp { finishes }, At::Joined(_, joiner, _answer)) => {
                assert!(bench.table.part(joiner, bench.now));
                if finishes {
                    bench.finish(runner, outcome(run));
                }
                again(bench, runner)
            }
            (Event::GivesUp { .. } | Event::LeavesFirst, At::Done(place, outcome)) => {
                bench.finish(place, outcome);
                again(bench, runner)
            }
            (Event::LeavesFirst, At::Own(place)) => {
                bench.finish(place, outcome(run));
                again(bench, runner)
            }
            (_, At::Joined(runner, _, mut answer)) => {
                bench.finish(runner, outcome(run));
                let (place, outcome) = answer.try_recv().expect("it has finished");
                At::Done(place, outcome)
            }
            (Event::ClosesUnread | Event::Reads, at) => {
                let (place, outcome) = match at {
                    At::Own(place) => (place, outcome(run)),
                    At::Done(place, outcome) => (place, outcome),
                    At::Joined(..) => unreachable!("above"),
                };
                let seen = bench.table.written(place, outcome.reply, bench.now);
                if matches!(event, Event::Reads) || !seen {
                    bench.table.forget(place);
                    return outcome.session;
                }
                bench.table.unread(place, outcome.session, false, bench.now);
                again(bench, runner)
            }
        };
    }
    let At::Done(place, outcome) = at else { panic!("the last event is a read") };
    bench.table.forget(place);
    outcome.session
}

fn again(bench: &mut Bench, runner: Place) -> At {
    match bench.claim(1) {
        Found::InFlight(joiner, answer) => At::Joined(runner, joiner, answer),
        Found::Finished(place, outcome) => At::Done(place, outcome),
        found => panic!("a resend is not run again: {found:?}"),
    }
}

proptest! {
    #[test]
    fn each_request_runs_once_and_is_answered_by_its_own_run(
        requests in proptest::collection::vec(
            proptest::collection::vec((event(), 0..2 * WINDOW.as_millis() as u64 / 3), 0..8),
            1..6,
        ),
    ) {
        let (mut bench, mut runs) = (Bench::new(), 0);
        for events in requests {
            let before = runs;
            let answered_by = ask(&mut bench, &mut runs, &mut events.into_iter());
            prop_assert_eq!((runs, answered_by), (before + 1, runs));
        }
        prop_assert!(bench.table.flights.is_empty());
        prop_assert_eq!(bench.table.next_deadline(), None);
    }
}
