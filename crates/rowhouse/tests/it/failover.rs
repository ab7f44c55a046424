//! A server with a second address: where the first is gone the second is taken, and the first again when it heals.
use crate::support::{Cluster, Served, Way, serve};
use serde_json::{Value, json};

/// What a query in the database of an organization answers: its first value, or the code of the error.
async fn ask(served: &Served, sql: &str) -> Result<Value, String> {
    let answer = served.post("/db/acme/query", "", json!({ "sql": sql }).to_string()).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    match answer.status {
        200 => Ok(body["rows"][0][0].clone()),
        _ => Err(body["error"]["code"].as_str().unwrap_or_default().to_owned()),
    }
}

/// Asks until it is answered: what is under way when a server goes is told so, and what comes later waits.
async fn ask_until(served: &Served, sql: &str, tries: usize) -> Value {
    let mut told = Vec::new();
    for _ in 0..tries {
        match ask(served, sql).await {
            Ok(value) => return value,
            Err(code) => told.push(code),
        }
    }
    panic!("not answered: {told:?}");
}

#[tokio::test]
async fn where_the_primary_is_gone_its_second_address_is_taken_and_the_first_when_it_heals() {
    let Some(cluster) = Cluster::find() else { return };
    let (mut first, mut second) = (Way::open(&cluster).await, Way::open(&cluster).await);
    let both = format!("{},{}", first.address, second.address);
    let [template, metadata] =
        [cluster.template(), cluster.metadata()].map(|dsn| dsn.replace(cluster.host(), &both));
    let options =
        [("results_db_template", &*template), ("database_url", &*metadata), ("postgres_spares", "0")];
    let served = serve(&options).await;
    ask(&served, "CREATE TABLE t (n int)").await.expect("it is made");
    ask(&served, "INSERT INTO t VALUES (1)").await.expect("it is written");

    first.cut().await;
    // At most those connections that are open already are found to be gone.
    assert_eq!(ask_until(&served, "SELECT n FROM t", 3).await, json!(1));
    ask(&served, "INSERT INTO t VALUES (2)").await.expect("the second takes writes");
    assert!(served.running.gateway().health().await.metadata);

    second.cut().await;
    let none = ask(&served, "SELECT n FROM t").await.expect_err("neither is there");
    assert_eq!(none, "database_unavailable");

    first.mend().await;
    assert_eq!(ask_until(&served, "SELECT count(*)::int FROM t", 3).await, json!(2));
    assert_eq!(cluster.databases(), ["acme"]);
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}
