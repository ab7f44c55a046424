//! What it costs to lend a connection of a warm pool and to take it back, over an engine that does nothing.
//!
//! Prints a line each for a database with connections of its own and for one that takes a server's: the
//! nanoseconds of one `connect` and one `drop`, the median of the rounds. Run it optimised:
//!
//! ```sh
//! cargo run --release --package rowhouse-gateway --example lend
//! ```
#![expect(clippy::print_stdout, reason = "that is what it is for")]
use rowhouse_gateway::{Catalog, Dynamic, Gateway, Journal, Limits, Parts, Silent};
use rowhouse_testing::Fake;
use rowhouse_types::Target;
use std::sync::Arc;
use std::time::Instant;

/// Sessions of one round.
const TIMES: u32 = 200_000;
const ROUNDS: usize = 9;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let fake = Fake::default();
    fake.serve("pg", 50);
    let parts = Parts {
        catalog: Catalog::new([], Dynamic::Create).expect("a catalog"),
        engine: Arc::new(fake),
        observer: Arc::new(Silent),
        limits: Limits::default(),
        journal: Journal::in_memory(),
        metadata: None,
        migrator: None,
    };
    let gateway = Gateway::start(parts).await.expect("it starts");
    for (what, name) in [("own", "plain"), ("server", "pg-acme")] {
        let target = Target::Named(name.parse().expect("a name"));
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(&gateway, &target).await);
        }
        rounds.sort_unstable_by(f64::total_cmp);
        println!("{what} {:.0}", rounds[ROUNDS / 2]);
    }
}

/// Nanoseconds of one session.
async fn round(gateway: &Gateway, target: &Target) -> f64 {
    let began = Instant::now();
    for _ in 0..TIMES {
        drop(gateway.connect(target, None).await.expect("it is lent"));
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}
