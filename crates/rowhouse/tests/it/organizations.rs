//! Organizations as operators meet them: by command, and in `/ready`.
use crate::support::{Cluster, Operator, Served, Way, serve, text};
use rowhouse_types::Target;
use serde_json::{Value, json};

#[test]
fn an_organization_is_made_suspended_resumed_and_dropped_by_command() {
    let operator = Operator::start("rowhouse", "100", &["--auto-connect", "--auto-create"]);
    let show = |key: &str| {
        let shown = operator.prints("rowhouse org show acme --port 9090 --json");
        serde_json::from_str::<Value>(&shown).expect("JSON")[key].clone()
    };
    operator.prints("rowhouse org create acme --title 'Acme, Inc.' --port 9090");
    assert_eq!((show("title"), show("state")), (json!("Acme, Inc."), json!("active")));
    let twice = operator.runs("rowhouse org create acme --port 9090");
    assert_eq!(twice.status.code(), Some(1));
    assert!(text(&twice).contains("there is such a database already"), "{}", text(&twice));
    operator.prints("rowhouse org suspend acme --reason 'not paid' --port 9090");
    assert_eq!((show("state"), show("why")), (json!("suspended"), json!("not paid")));
    assert!(operator.prints("rowhouse org list --port 9090").contains("suspended"));
    operator.prints("rowhouse org resume acme --port 9090");
    let again = operator.runs("rowhouse org resume acme --port 9090");
    assert!(!again.status.success() && text(&again).contains("the database is active"), "{}", text(&again));
    // Nobody is there to be asked.
    let unasked = operator.runs("rowhouse org drop acme --port 9090 < /dev/null");
    assert!(!unasked.status.success() && text(&unasked).contains("--yes"), "{}", text(&unasked));
    operator.prints("rowhouse org drop acme --yes --port 9090");
    let gone = operator.runs("rowhouse org show acme --port 9090");
    assert!(!gone.status.success() && text(&gone).contains("no such organization"), "{}", text(&gone));
    let history = operator.prints("rowhouse audit --data-directory data --json 2>/dev/null || true");
    for action in ["create_database", "suspend", "resume", "drop_database"] {
        assert!(history.contains(&format!("\"{action}\"")), "{action}: {history}");
    }
}

#[test]
fn members_and_what_is_set_are_told_as_they_are() {
    let operator = Operator::start("rowhouse", "100", &["--auto-connect", "--auto-create"]);
    operator.prints("rowhouse org create acme --port 9090");
    let odd = operator.runs("rowhouse member create 'no address' --port 9090");
    assert!(!odd.status.success() && text(&odd).contains("one of mail"), "{}", text(&odd));
    operator.prints("rowhouse member create b@example.com --org acme --port 9090");
    let nowhere = operator.runs("rowhouse member create c@example.com --org nobody --port 9090");
    assert!(text(&nowhere).contains("there is no such organization"), "{}", text(&nowhere));
    let listed = operator.prints("rowhouse member list --org acme --port 9090");
    assert!(listed.contains("b@example.com") && !listed.contains("c@example.com"), "{listed}");
    operator.prints("rowhouse member suspend b@example.com --port 9090");
    assert!(operator.prints("rowhouse member show b@example.com --port 9090").contains("suspended"));
    operator.prints("rowhouse setting set limit 5 --port 9090");
    let own = operator.prints("rowhouse setting list --org acme --json --port 9090");
    assert_eq!(serde_json::from_str::<Value>(&own).expect("JSON"), json!({ "settings": [] }));
    assert!(operator.prints("rowhouse setting list --port 9090").contains("limit"));
    operator.prints("rowhouse member drop b@example.com --port 9090");
    assert!(!operator.prints("rowhouse member list --port 9090").contains("b@example.com"));
}

/// The status of `/ready`, and what it tells.
async fn ready(served: &Served, query: &str) -> (u16, Value) {
    let address = served.running.management().expect("it is managed").addresses()[0];
    let request = format!("GET /ready{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = served.send_to(address, request.into_bytes()).await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn ready_tells_of_each_open_organization_whether_it_answers() {
    let Some(cluster) = Cluster::find() else { return };
    let mut way = Way::open(&cluster).await;
    let template = cluster.template_by(&way);
    let options = [
        ("results_db_template", &*template),
        ("postgres_spares", "0"),
        ("management", "true"),
        ("management_port", "0"),
    ];
    let strict = serve(&options).await;
    let lenient = serve(&[&options[..], &[("ready_requires", "metadata")]].concat()).await;
    let target = Target::Named("acme".parse().expect("a name"));
    drop(strict.running.gateway().connect(&target, None).await.expect("it is made"));
    let (status, told) = ready(&strict, "?compat=1").await;
    let all = json!({"metadata": true, "results_acme": true});
    let checks = json!({"databases": all, "metadata_db": true, "org_databases": {"results_acme": true}});
    assert_eq!((status, told), (200, json!({"status": "ready", "checks": checks})));
    way.cut().await;
    // What was found is told for a second.
    let (status, told) = loop {
        let (status, told) = ready(&strict, "").await;
        if status != 200 {
            break (status, told);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!((status, &told["status"]), (503, &json!("not_ready")));
    assert_eq!(told["checks"]["org_databases"], json!({"results_acme": false}));
    assert_eq!(told["checks"]["metadata_db"], json!(true));
    assert_eq!(ready(&strict, "?compat=1").await.0, 200);
    assert_eq!(ready(&lenient, "").await.0, 200);
    way.mend().await;
    let healed = loop {
        let (status, told) = ready(&strict, "").await;
        if status == 200 {
            break told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(healed["checks"]["org_databases"], json!({"results_acme": true}));
    for server in [strict, lenient] {
        server.running.shut_down().await.expect("nothing is in flight");
    }
    cluster.done();
}
