use super::super::{Config, Layers, Origin, explain, explain_changed};
use super::*;
use rowhouse_engine_postgres::Host;
use rowhouse_gateway::{Dynamic, Limits};

const TEMPLATE: &str = "postgresql+asyncpg://mad:s3cret@localhost:5433/mad_results_{org_id}";

fn layers(options: &[(&'static str, &str)]) -> Layers {
    let mut layers = Layers::new();
    for (key, value) in options {
        layers.code(key, *value);
    }
    layers
}

fn resolved(options: &[(&'static str, &str)]) -> Config {
    Config::resolve(&layers(options)).unwrap_or_else(|error| panic!("{options:?}: {error}"))
}

fn refused(options: &[(&'static str, &str)]) -> String {
    let error = Config::resolve(&layers(options)).expect_err("refused");
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The pools of organizations and of the metadata database.
fn sizes(limits: &Limits) -> [(u32, u32); 2] {
    [limits.organizations, limits.metadata].map(|pool| (pool.size.get(), pool.overflow))
}

#[test]
fn databases_of_new_names_are_files_unless_there_is_a_template() {
    let config = resolved(&[("database_url", "postgres://mad@localhost/mad")]);
    assert!(config.postgres.is_none());
    assert_eq!(config.database_url.expect("the metadata database").database, "mad");
    assert_eq!(config.catalog.dynamic(), Dynamic::Off);
}

#[test]
fn a_template_says_where_new_names_are_and_that_they_are_created() {
    let config = resolved(&[("results_db_template", TEMPLATE), ("data_directory", "/data")]);
    let postgres = config.postgres.expect("PostgreSQL");
    assert_eq!(postgres.names.physical(&"acme".parse().expect("a name")), "mad_results_acme");
    let [server] = &*postgres.servers else { panic!("one server: {:?}", postgres.servers) };
    assert_eq!((&*server.label, &*server.admin.user, &*server.admin.database), ("main", "mad", "postgres"));
    assert_eq!(server.admin.hosts, [Host::Network { name: "localhost".to_owned(), port: 5433 }]);
    assert_eq!(postgres.secret, SecretFile::Made("/data/.rowhouse/postgres.secret".into()));
    assert_eq!(config.catalog.dynamic(), Dynamic::Create);
    assert_eq!(sizes(&config.limits), [(5, 10), (20, 30)]);
}

#[test]
fn who_says_so_has_no_database_created() {
    let template = [("results_db_template", TEMPLATE), ("data_directory", "/data")];
    for (key, value, expected) in [
        ("auto_create_org_dbs", "false", Dynamic::Open),
        ("auto_create", "false", Dynamic::Open),
        ("auto_connect", "false", Dynamic::Off),
    ] {
        let config = resolved(&[&template[..], &[(key, value)]].concat());
        assert_eq!(config.catalog.dynamic(), expected, "{key}");
    }
}

#[test]
fn the_server_is_administered_as_said_or_as_the_user_of_the_metadata_database() {
    let template = [("results_db_template", TEMPLATE), ("data_directory", "/data")];
    let admin = |more: &[(&'static str, &str)]| {
        let config = resolved(&[&template[..], more].concat());
        let admin = &config.postgres.expect("PostgreSQL").servers[0].admin;
        (admin.user.clone(), admin.database.clone())
    };
    let owned = |user: &str, database: &str| (user.to_owned(), database.to_owned());
    let metadata = ("database_url", "postgres://owner@localhost:5433/mad?connect_timeout=3");
    assert_eq!(admin(&[metadata]), owned("owner", "postgres"));
    let elsewhere = ("database_url", "postgres://owner@localhost:9999/mad");
    assert_eq!(admin(&[elsewhere]), owned("mad", "postgres"));
    let explicit = ("admin_url", "postgres://root@localhost:5433/defaultdb");
    assert_eq!(admin(&[metadata, explicit]), owned("root", "defaultdb"));
    let other = ("admin_url", "postgres://root@localhost:1/postgres");
    let message = refused(&[&template[..], &[other]].concat());
    assert!(message.contains("different servers"), "{message}");
}

#[test]
fn only_the_database_of_the_template_holds_the_place_and_only_once() {
    for wrong in [
        "postgres://mad@localhost/mad_results",
        "postgres://mad@localhost/mad_{org_id}_{org_id}",
        "postgres://mad@localhost/mad_{tenant}",
        "postgres://{org_id}@localhost/mad_results_{org_id}",
        "postgres://{org_id}@localhost/mad_results",
        "postgres://mad@localhost/mad_results_%7Borg_id%7D",
        "postgres://mad@localhost/mad_results_{org_id}?application_name={org_id}",
        "postgres://mad@localhost/mad%22results_{org_id}",
    ] {
        let message = refused(&[("results_db_template", wrong), ("data_directory", "/data")]);
        assert!(message.contains("results_db_template"), "{wrong}: {message}");
    }
}

#[test]
fn what_belongs_to_the_template_needs_it() {
    for (key, value) in [
        ("admin_url", "postgres://mad@localhost/postgres"),
        ("postgres_servers", r#"{"second": "postgres://mad@localhost/postgres"}"#),
    ] {
        let message = refused(&[(key, value)]);
        assert!(message.contains(key) && message.contains("results_db_template"), "{message}");
    }
}

#[test]
fn further_servers_have_labels_of_their_own() {
    let with = |servers| {
        [("results_db_template", TEMPLATE), ("data_directory", "/d"), ("postgres_servers", servers)]
    };
    let config =
        resolved(&with(r#"{"b": "postgres://x@localhost:2/postgres", "a": "postgres://x@localhost:3/d"}"#));
    let labels: Vec<_> =
        config.postgres.expect("PostgreSQL").servers.into_iter().map(|server| server.label).collect();
    assert_eq!(labels, ["main", "a", "b"]);
    for wrong in [
        r#"{"main": "postgres://x@localhost/d"}"#,
        r#"{"a/b": "postgres://x@localhost/d"}"#,
        r#"{"a": "mysql://x:s3cret@localhost/d"}"#,
        r#"{"a": 1}"#,
        "s3cret",
    ] {
        let message = refused(&with(wrong));
        assert!(message.contains("postgres_servers") && !message.contains("s3cret"), "{message}");
    }
}

#[test]
fn without_a_data_directory_the_secret_must_be_given() {
    let message = refused(&[("results_db_template", TEMPLATE)]);
    assert!(message.contains("--postgres-secret-file") && message.contains("--data-directory"), "{message}");
    let config = resolved(&[("results_db_template", TEMPLATE), ("postgres_secret_file", "/run/secret")]);
    assert_eq!(config.postgres.expect("PostgreSQL").secret, SecretFile::Given("/run/secret".into()));
    assert_eq!(config.catalog.dynamic(), Dynamic::Create);
}

#[test]
fn the_seven_variables_are_second_names_that_yield_to_the_first() {
    let mut layers = Layers::new();
    let names = [
        ("DB_DATABASE_URL", "postgresql+asyncpg://mad:s3cret@localhost/mad"),
        ("DB_RESULTS_DB_TEMPLATE", "postgresql+asyncpg://mad:s3cret@localhost/mad_results_{org_id}"),
        ("DB_AUTO_CREATE_ORG_DBS", "True"),
        ("DB_POOL_SIZE", "21"),
        ("DB_MAX_OVERFLOW", "31"),
        ("DB_ORG_POOL_SIZE", "6"),
        ("DB_ORG_MAX_OVERFLOW", "11"),
    ];
    layers.dot_env(variables(&names)).expect("valid");
    layers.dot_env(variables(&[("ROWHOUSE_DATA_DIRECTORY", "/data")])).expect("valid");
    let config = Config::resolve(&layers).expect("valid");
    assert_eq!(sizes(&config.limits), [(6, 11), (21, 31)]);
    assert!(config.postgres.is_some() && config.database_url.is_some());
    // The real environment wins over `.env`, and the own name over the other one of the same layer.
    layers
        .environment(variables(&[("ROWHOUSE_ORG_POOL_SIZE", "8"), ("DB_ORG_POOL_SIZE", "7")]))
        .expect("valid");
    layers.environment(variables(&[("DB_POOL_SIZE", "22")])).expect("valid");
    let config = Config::resolve(&layers).expect("valid");
    assert_eq!(sizes(&config.limits), [(8, 11), (22, 31)]);
    assert_eq!(layers.origin("metadata_pool_size"), Origin::Environment("DB_POOL_SIZE".to_owned()));
    assert_eq!(layers.warnings(), [""; 0]);
    let said = explain(&layers, "DB_POOL_SIZE").expect("a second name");
    assert!(
        said.starts_with("metadata_pool_size = 22\n  set    DB_POOL_SIZE in the environment\n"),
        "{said}"
    );
    assert!(said.contains("  also   DB_POOL_SIZE in the environment and in .env\n"), "{said}");
}

#[test]
fn other_variables_that_begin_so_are_no_error_but_told() {
    let mut layers = Layers::new();
    layers
        .environment(variables(&[("DB_ORG_POOLSIZE", "6"), ("DB_HOST", "x"), ("DBX", "x")]))
        .expect("valid");
    let [near, far] = layers.warnings() else { panic!("{:?}", layers.warnings()) };
    assert!(near.contains("DB_ORG_POOLSIZE") && near.contains("DB_ORG_POOL_SIZE"), "{near}");
    assert!(far.contains("DB_HOST") && !far.contains("did you mean"), "{far}");
}

#[test]
fn no_password_is_shown() {
    let layers = layers(&[
        ("data_directory", "/data"),
        (
            "database_url",
            "postgres://u:s3cret@a.example,b.example/d?password=s3cret&sslmode=require&pass%77ord=s3cret",
        ),
        ("results_db_template", TEMPLATE),
        ("postgres_servers", r#"{"second": "postgres://u:s3cret@localhost/d"}"#),
    ]);
    let said = explain_changed(&layers);
    assert!(!said.contains("s3cret"), "{said}");
    assert!(said.contains("postgresql+asyncpg://mad:***@localhost:5433/mad_results_{org_id}"), "{said}");
    let shown = |key| layers.value(key).expect("valid").expect("set").to_string();
    assert_eq!(shown("database_url"), "\"postgres://u:***@a.example,b.example/d?***&sslmode=require&***\"");
    assert_eq!(shown("postgres_servers"), "{\"second\":\"postgres://u:***@localhost/d\"}");
    assert!(!format!("{:?}", Config::resolve(&layers).expect("valid")).contains("s3cret"));
    let wrong = refused(&[("database_url", "mysql://u:s3cret@localhost/d")]);
    assert!(wrong.contains("database_url") && !wrong.contains("s3cret"), "{wrong}");
    let said = explain(&self::layers(&[("database_url", "s3cret")]), "database_url").expect("an option");
    assert!(!said.contains("s3cret"), "{said}");
    let mut number = Layers::new();
    number.toml("database_url = 3141", Path::new("a.toml")).expect("valid");
    let wrong = Config::resolve(&number).expect_err("no DSN").to_string();
    assert!(!wrong.contains("3141"), "{wrong}");
}
