use super::*;
use rowhouse_gateway::{Interface, Query, Verdict};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that is edited, and a server that takes every change but what it is told to refuse.
struct Editor {
    file: Arc<Mutex<String>>,
    elsewhere: Arc<AtomicU32>,
    refuses: Arc<Mutex<Option<&'static str>>>,
    in_force: InForce,
}

#[derive(Debug)]
struct Fake {
    elsewhere: Arc<AtomicU32>,
    refuses: Arc<Mutex<Option<&'static str>>>,
}

impl Effect for Fake {
    fn limit(&self, (_, after): (&Config, &Config), _: &Cause) -> Result<Option<Recording>, Unchanged> {
        if let Some(key) = *self.refuses.lock().expect("no panic") {
            return Err(Unchanged { key, reason: format!("{key} is refused") });
        }
        self.elsewhere.store(after.client_limit.get(), Ordering::Relaxed);
        Ok(None)
    }

    fn apply(&self, _: (&Config, &Config)) {}

    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)> {
        vec![("client_limit", self.elsewhere.load(Ordering::Relaxed).into())]
    }
}

impl Editor {
    fn new(text: &str) -> Self {
        let file = Arc::new(Mutex::new(text.to_owned()));
        let (elsewhere, refuses) = (Arc::new(AtomicU32::new(1000)), Arc::new(Mutex::new(None)));
        let read = file.clone();
        let source = Source::new(move || {
            let mut layers = Layers::new();
            layers.toml(&read.lock().expect("no panic"), Path::new("a.toml"))?;
            layers.flag("log_format", "json", "--log-format");
            Ok(layers)
        });
        let layers = source.read().expect("valid");
        let config = Config::resolve(&layers).expect("valid");
        elsewhere.store(config.client_limit.get(), Ordering::Relaxed);
        let effect = Box::new(Fake { elsewhere: elsewhere.clone(), refuses: refuses.clone() });
        let parts = InForceParts { source, read: (layers, config), effect, journal: Journal::in_memory() };
        Self { file, elsewhere, refuses, in_force: InForce::new(parts) }
    }

    fn edit(&self, text: &str) {
        text.clone_into(&mut self.file.lock().expect("no panic"));
    }

    fn reload(&self) -> Result<Outcome, String> {
        self.in_force.reload(&by(Interface::Reload)).map_err(|error| error.to_string())
    }

    fn change(&self, values: Json) -> Result<Outcome, String> {
        let values = serde_json::from_value(values).expect("an object");
        self.in_force.change(&values, &by(Interface::Http)).map_err(|error| error.to_string())
    }

    fn told(&self, key: &str) -> (Json, String) {
        let options = self.in_force.options();
        let found = options.into_iter().find(|told| told.option.key == key).expect("an option");
        (found.value, found.origin.to_string())
    }
}

fn by(interface: Interface) -> Cause {
    Cause::new(interface, "test")
}

fn keys(changed: &[Changed]) -> Vec<&'static str> {
    changed.iter().map(|changed| changed.key).collect()
}

#[test]
fn what_may_change_takes_effect_and_what_needs_a_restart_is_told() {
    let editor = Editor::new("drain_timeout = '9s'\n");
    editor.edit("drain_timeout = '5s'\nsynchronous = 'off'\nlog_format = 'text'\n");
    let outcome = editor.reload().expect("valid");
    assert_eq!(keys(&outcome.changed), ["drain_timeout"]);
    assert_eq!((&outcome.changed[0].from, &outcome.changed[0].to), (&json!("9s"), &json!("5s")));
    let told: Vec<_> = outcome.unchanged.iter().map(|unchanged| unchanged.reason.as_str()).collect();
    assert_eq!(told, [r#"synchronous stays "full": to change it, restart the server"#]);
    assert_eq!(editor.in_force.config().drain_timeout.as_secs(), 5);
    assert_eq!(editor.told("synchronous"), (json!("full"), "by default".to_owned()));
    assert_eq!(editor.reload().expect("valid").changed, [], "nothing was edited since");
}

#[test]
fn the_same_written_otherwise_is_no_change() {
    let editor = Editor::new("");
    editor.edit("synchronous = 'full'\nmax_request_bytes = '65536KiB'\nport = 9090\nidle_timeout = 30\n");
    let outcome = editor.reload().expect("valid");
    assert_eq!((outcome.changed, outcome.unchanged), (Vec::new(), Vec::new()));
}

#[test]
fn a_faulty_file_changes_nothing() {
    let editor = Editor::new("drain_timeout = '9s'\n");
    for faulty in [
        "drain_timeout = '5s'\nnonsense = 1\n",
        "drain_timeout = '5s'\nclient_limit = 0\n",
        "drain_timeout = '5s'\nauto_create = true\n",
        "drain_timeout = '5s'\nlog_level = 'a=b=c'\n",
        "drain_timeout = \n",
    ] {
        editor.edit(faulty);
        let error = editor.reload().expect_err(faulty);
        assert!(!error.is_empty());
        assert_eq!(editor.in_force.config().drain_timeout.as_secs(), 9, "{faulty}: {error}");
    }
}

#[test]
fn a_change_at_run_time_is_over_all_layers_until_what_is_beneath_is_edited() {
    let editor = Editor::new("drain_timeout = '9s'\nlog_level = 'info'\n");
    let outcome = editor.change(json!({ "drain_timeout": 3, "log_level": "debug" })).expect("valid");
    assert_eq!(keys(&outcome.changed), ["drain_timeout", "log_level"]);
    assert_eq!(editor.told("drain_timeout"), (json!("3s"), "changed at run time by http".to_owned()));
    editor.edit("drain_timeout = '9s'\nlog_level = 'warn'\n");
    assert_eq!(keys(&editor.reload().expect("valid").changed), ["log_level"]);
    assert_eq!(editor.told("drain_timeout").0, json!("3s"));
    assert_eq!(editor.told("log_level"), (json!("warn"), "in a.toml".to_owned()));
    editor.change(json!({ "drain_timeout": null })).expect("valid");
    assert_eq!(editor.told("drain_timeout"), (json!("9s"), "in a.toml".to_owned()));
}

#[test]
fn a_change_of_several_options_is_all_or_none() {
    let editor = Editor::new("");
    for (wrong, says) in [
        (json!({ "drain_timeout": "5s", "synchronous": "off" }), "synchronous stays \"full\""),
        (json!({ "drain_timeout": "5s", "log_levl": "info" }), "did you mean \"log_level\"?"),
        (json!({ "drain_timeout": "5s", "client_limit": "many" }), "client_limit must be a whole number"),
        (json!({ "drain_timeout": "5s", "client_limit": [1] }), "client_limit must be a whole number"),
        (json!({ "drain_timeout": "5s", "log_level": "a=b=c" }), "log_level must be a filter"),
    ] {
        let error = editor.change(wrong).expect_err("one of them is wrong");
        assert!(error.contains(says), "{error}");
        assert_eq!(editor.in_force.config().drain_timeout.as_secs(), 30);
    }
}

#[test]
fn a_limit_changed_elsewhere_is_told_and_survives_a_reload() {
    let editor = Editor::new("client_limit = 500\n");
    editor.elsewhere.store(600, Ordering::Relaxed);
    let (value, origin) = editor.told("client_limit");
    assert_eq!((value, origin.as_str()), (json!(600), "changed at run time by a change of the limit"));
    editor.edit("client_limit = 500\ndrain_timeout = '1s'\n");
    assert_eq!(keys(&editor.reload().expect("valid").changed), ["drain_timeout"]);
    assert_eq!(editor.elsewhere.load(Ordering::Relaxed), 600);
    editor.elsewhere.store(rowhouse_gateway::Change::LIMIT_MAX, Ordering::Relaxed);
    assert_eq!(editor.told("client_limit").0, json!(rowhouse_gateway::Change::LIMIT_MAX));
    editor.edit("client_limit = 700\ndrain_timeout = '1s'\n");
    assert_eq!(keys(&editor.reload().expect("valid").changed), ["client_limit"]);
    assert_eq!(editor.elsewhere.load(Ordering::Relaxed), 700);
}

#[test]
fn what_a_limit_refuses_keeps_its_value_and_the_rest_is_changed() {
    let editor = Editor::new("client_limit = 500\n");
    *editor.refuses.lock().expect("no panic") = Some("client_limit");
    editor.edit("client_limit = 5\ndrain_timeout = '1s'\n");
    let outcome = editor.reload().expect("valid");
    assert_eq!(keys(&outcome.changed), ["drain_timeout"]);
    assert_eq!(outcome.unchanged[0].reason, "client_limit is refused");
    assert_eq!(editor.in_force.config().client_limit.get(), 500);
    for change in [json!({ "client_limit": 5 }), json!({ "client_limit": 5, "drain_timeout": "7s" })] {
        let error = editor.change(change).expect_err("it is refused");
        assert_eq!(error, "client_limit is refused");
        assert_eq!(editor.in_force.config().drain_timeout.as_secs(), 1, "all or none");
    }
    *editor.refuses.lock().expect("no panic") = None;
    assert_eq!(keys(&editor.reload().expect("valid").changed), ["client_limit"], "tried again");
}

#[tokio::test]
async fn every_change_and_every_refusal_is_recorded() {
    let editor = Editor::new("");
    editor.edit("drain_timeout = '1s'\n");
    editor.reload().expect("valid");
    editor.edit("nonsense = 1\n");
    editor.reload().expect_err("unknown");
    editor.change(json!({ "log_level": "debug" })).expect("valid");
    editor.change(json!({ "synchronous": "off" })).expect_err("it needs a restart");
    let entries = editor.in_force.journal.entries(Query::default()).await.expect("in memory");
    let told = entries.iter().rev().map(|recorded| {
        let entry = &recorded.entry;
        (entry.action, entry.cause.interface, entry.verdict())
    });
    use {Interface as I, Verdict as V};
    let expected = [
        (Action::Config, I::Reload, V::Applied),
        (Action::Reload, I::Reload, V::Applied),
        (Action::Reload, I::Reload, V::Refused),
        (Action::LogLevel, I::Http, V::Applied),
        (Action::Config, I::Http, V::Refused),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(entries[1].entry.to.as_deref(), Some("log_level = \"debug\""));
}
