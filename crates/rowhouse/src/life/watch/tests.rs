use super::super::in_force::{Effect, InForceParts, Unchanged};
use super::super::{InForce, Source};
use super::*;
use crate::config::{Config, Layers};
use rowhouse_gateway::{Action, ClientsParts, Journal, Place, Query, Recording, Silent};
use std::net::SocketAddr;
use std::sync::Mutex;

const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Hears of usage.
#[derive(Debug, Default)]
struct Ear(Mutex<Vec<(bool, u32)>>);

impl Observer for Ear {
    fn observe(&self, event: &Event<'_>) {
        let heard = match event {
            Event::ClientUsageHigh { active, .. } => (true, *active),
            Event::ClientUsageNormal { active, .. } => (false, *active),
            _ => return,
        };
        self.0.lock().expect("no panic").push(heard);
    }
}

#[derive(Debug)]
struct NoEffect;

impl Effect for NoEffect {
    fn limit(&self, _: (&Config, &Config), _: &Cause) -> Result<Option<Recording>, Unchanged> {
        Ok(None)
    }

    fn apply(&self, _: (&Config, &Config)) {}

    fn changed_elsewhere(&self) -> Vec<(&'static str, serde_json::Value)> {
        Vec::new()
    }
}

/// A limit that is watched while clients come and go.
struct Scene {
    clients: Clients,
    journal: Journal,
    ear: Arc<Ear>,
    places: Vec<Place>,
}

impl Scene {
    /// Begins watching, with these options.
    fn begin(limit: u32, options: &[(&'static str, &str)]) -> (Self, Watch) {
        let mut layers = Layers::new();
        options.iter().for_each(|(key, value)| layers.code(key, *value));
        let config = Config::resolve(&layers).expect("valid");
        let journal = Journal::in_memory();
        let clients = Clients::new(ClientsParts {
            limit: NonZeroU32::new(limit).expect("not zero"),
            handshake_limit: NonZeroU32::new(1000).expect("not zero"),
            observer: Arc::new(Silent),
            journal: journal.clone(),
        });
        let (source, read) = (Source::fixed(layers.clone()), (layers, config));
        let parts = InForceParts { source, read, effect: Box::new(NoEffect), journal: journal.clone() };
        let (in_force, ear) = (Arc::new(InForce::new(parts)), Arc::new(Ear::default()));
        let watch = Watch { clients: clients.clone(), observer: ear.clone(), in_force };
        (Self { clients, journal, ear, places: Vec::new() }, watch)
    }

    /// As many clients as this are connected from now on.
    async fn connected(&mut self, many: usize) {
        self.places.truncate(many);
        while self.places.len() < many {
            let guest = self.clients.admit("test", FROM).await.expect("there is room");
            self.places.push(guest.identify(None).expect("it is let in"));
        }
    }

    fn limit(&self) -> u32 {
        self.clients.status().limit.get()
    }
}

/// Lets so many seconds pass, a second at a time.
async fn seconds(many: u32) {
    for _ in 0..many {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Watches while a scene is played.
async fn play(watch: Watch, scene: impl Future<Output = ()>) {
    let scene = async {
        // Between two looks, so that it never matters who comes first.
        tokio::time::sleep(EVERY / 2).await;
        scene.await;
    };
    tokio::select! {
        () = watch.run() => unreachable!("it watches for ever"),
        () = scene => {}
    }
}

#[tokio::test(start_paused = true)]
async fn high_usage_is_told_once_however_it_trembles() {
    let (mut scene, watch) = Scene::begin(100, &[]);
    play(watch, async move {
        for many in [80, 81, 79, 85, 75, 90, 70, 82, 69, 60, 81] {
            scene.connected(many).await;
            seconds(2).await;
        }
        let heard = scene.ear.0.lock().expect("no panic");
        assert_eq!(*heard, [(true, 81), (false, 69), (true, 81)]);
    })
    .await;
}

const OPTIONS: [(&str, &str); 2] = [("autoscale", "true"), ("autoscale_max", "1500")];

#[tokio::test(start_paused = true)]
async fn a_limit_in_use_rises_by_steps_up_to_its_highest() {
    let (mut scene, watch) = Scene::begin(1000, &OPTIONS);
    play(watch, async move {
        scene.connected(801).await;
        seconds(61).await;
        assert_eq!(scene.limit(), 1200);
        scene.connected(1200).await;
        seconds(60).await;
        assert_eq!(scene.limit(), 1400);
        scene.connected(1400).await;
        seconds(60).await;
        assert_eq!(scene.limit(), 1500);
        seconds(600).await;
        assert_eq!(scene.limit(), 1500);
        let entries = scene.journal.entries(Query::default()).await.expect("in memory");
        assert_eq!(entries.len(), 3);
        let last = &entries[0].entry;
        assert_eq!((last.action, last.cause.interface), (Action::ClientLimit, Interface::Autoscale));
        assert_eq!(last.cause.reason.as_deref(), Some("usage 100.0%"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_out_of_use_falls_by_steps_down_to_its_lowest() {
    let (mut scene, watch) = Scene::begin(450, &OPTIONS);
    play(watch, async move {
        scene.connected(10).await;
        let mut seen = Vec::new();
        for _ in 0..8 {
            seconds(60).await;
            seen.push(scene.limit());
        }
        seen.dedup();
        assert_eq!(seen, [350, 250, 150, 100]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn between_the_two_marks_nothing_changes() {
    let (mut scene, watch) = Scene::begin(1000, &OPTIONS);
    play(watch, async move {
        for many in [300, 500, 800] {
            scene.connected(many).await;
            seconds(300).await;
            assert_eq!(scene.limit(), 1000, "{many}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_step_down_that_would_call_for_a_step_up_is_not_made() {
    let (mut scene, watch) = Scene::begin(150, &[("autoscale", "true"), ("autoscale_min", "1")]);
    play(watch, async move {
        scene.connected(44).await;
        seconds(600).await;
        assert_eq!(scene.limit(), 150);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_holds_the_next_step_back() {
    let options = [OPTIONS[0], ("autoscale_interval", "10s"), ("autoscale_cooldown", "100s")];
    let (mut scene, watch) = Scene::begin(1000, &options);
    play(watch, async move {
        scene.connected(1000).await;
        seconds(99).await;
        assert_eq!(scene.limit(), 1200);
        scene.connected(1200).await;
        seconds(12).await;
        assert_eq!(scene.limit(), 1400);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_drains_is_left_alone() {
    let (mut scene, watch) = Scene::begin(1000, &OPTIONS);
    play(watch, async move {
        scene.connected(900).await;
        let low = NonZeroU32::new(200).expect("not zero");
        let change = Change::Set { limit: low, drain: true };
        scene.clients.change(change, Cause::new(Interface::Http, "test")).expect("it drains");
        seconds(600).await;
        assert_eq!(scene.limit(), 200);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_scales_unless_it_is_asked_for() {
    let (mut scene, watch) = Scene::begin(1000, &[]);
    play(watch, async move {
        scene.connected(1000).await;
        seconds(600).await;
        assert_eq!(scene.limit(), 1000);
    })
    .await;
}
