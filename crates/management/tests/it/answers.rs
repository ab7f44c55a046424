//! Every answer that scripts know, byte for byte.
use super::support::{Managed, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scripts_read_is_as_they_know_it() {
    let managed = Managed::start().await;
    managed.get("/health").await.is(200, "{\"service\":\"rowhouse\",\"status\":\"healthy\"}\n");
    managed.get("/stats").await.is(
        200,
        "{\"active_connections\":0,\"available_slots\":1000,\"max_connections\":1000,\"usage_percentage\":0}\n",
    );
    managed.get("/limit").await.is(200, "{\"active_connections\":0,\"current_limit\":1000}\n");
    managed.write("PUT", "/limit", "{\"limit\":10}\n").await.is(
        200,
        "{\"message\":\"Connection limit updated to 10\",\"new_limit\":10,\"status\":\"success\"}\n",
    );
    managed.write("POST", "/limit/increase", "{\"amount\":500}").await.is(
        200,
        "{\"increase_amount\":500,\"message\":\"Connection limit increased from 10 to 510\",\"new_limit\":510,\"old_limit\":10,\"status\":\"success\"}\n",
    );
    managed.write("POST", "/limit/decrease", "{\"amount\":200}").await.is(
        200,
        "{\"decrease_amount\":200,\"message\":\"Connection limit decreased from 510 to 310\",\"new_limit\":310,\"old_limit\":510,\"status\":\"success\"}\n",
    );
    for body in ["", "{}", "\n"] {
        let answer = managed.write("POST", "/limit/increase", body).await;
        assert!(answer.body.starts_with("{\"increase_amount\":100,"), "{answer:?}");
    }
    let answer = managed.get("/limit").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
    assert!(!answer.headers.contains_key("transfer-encoding"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_told_of_those_connected_and_a_limit_below_them_is_refused() {
    let managed = Managed::start().await;
    let mut guests = Vec::new();
    for _ in 0..3 {
        let from = "127.0.0.1:1".parse().expect("an address");
        guests.push(managed.clients.admit("test", from).await.expect("room").identify(None));
    }
    let usage = async |limit: &str| {
        managed.write("PUT", "/limit", &format!("{{\"limit\":{limit}}}")).await;
        managed.json("/stats").await["usage_percentage"].to_string()
    };
    assert_eq!(usage("3").await, "100");
    assert_eq!(usage("8").await, "37.5");
    assert_eq!(usage("9").await, "33.33333333333333");
    let below = managed.write("PUT", "/limit", "{\"limit\":2}").await;
    below.is(
        400,
        "{\"error\":\"cannot set limit to 2 when 3 connections are active\",\"status\":\"failed\"}\n",
    );
    managed.write("POST", "/limit/decrease", "{\"amount\":7}").await.is(
        400,
        "{\"active_connections\":3,\"current_limit\":9,\"error\":\"cannot decrease limit to 2 when 3 connections are active\",\"minimum_allowed\":3,\"status\":\"failed\"}\n",
    );
    let drained = managed.write("PUT", "/limit", "{\"drain\":true,\"limit\":2}").await;
    assert_eq!(drained.status, 200);
    managed.get("/stats").await.is(
        200,
        "{\"active_connections\":3,\"available_slots\":0,\"max_connections\":2,\"usage_percentage\":150}\n",
    );
    let connections = managed.json("/connections?sort=idle&limit=2").await;
    assert_eq!(connections["connections"].as_array().expect("a list").len(), 2);
    let next = connections["next"].as_str().expect("there is one more");
    let rest = managed.json(&format!("/connections?sort=idle&limit=2&after={next}")).await;
    assert_eq!(rest["connections"].as_array().expect("a list").len(), 1);
    let id = rest["connections"][0]["id"].as_u64().expect("a number");
    let closed = managed.write("DELETE", &format!("/connections/{id}"), "").await;
    closed.is(200, &format!("{{\"message\":\"Connection {id} closed\",\"status\":\"success\"}}\n"));
    assert_eq!(managed.write("DELETE", "/connections/999", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_limit_and_no_amount_changes_nothing_and_is_told_in_one_form() {
    let managed = Managed::start().await;
    for value in ["-5", "0", "2147483648", "1e99", "\"5\"", "4.5", "null", "[]"] {
        for (method, path, key) in [("PUT", "/limit", "limit"), ("POST", "/limit/increase", "amount")] {
            let answer = managed.write(method, path, &format!("{{\"{key}\":{value}}}")).await;
            assert_eq!(answer.status, 400, "{path} {value}: {answer:?}");
            assert!(answer.body.starts_with("{\"error\":\""), "{answer:?}");
            assert!(answer.body.ends_with("\",\"status\":\"failed\"}\n"), "{answer:?}");
        }
    }
    for body in ["{", "limit=5", "{\"limit\":5}x", "[1]"] {
        let answer = managed.write("PUT", "/limit", body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    for body in ["{\"limit\":0}", "{\"limit\":-1}", "{}", ""] {
        managed
            .write("PUT", "/limit", body)
            .await
            .is(400, "{\"error\":\"connection limit must be positive\",\"status\":\"failed\"}\n");
    }
    let most = managed.write("POST", "/limit/increase", "{\"amount\":2147483647}").await;
    most.is(400, "{\"error\":\"connection limit must be at most 2147483647\",\"status\":\"failed\"}\n");
    managed.get("/limit").await.is(200, "{\"active_connections\":0,\"current_limit\":1000}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_paths_and_types_are_refused_as_documented() {
    let managed = Managed::start().await;
    for (method, path, allow) in [
        ("DELETE", "/limit", "GET, PUT"),
        ("POST", "/stats", "GET"),
        ("GET", "/limit/increase", "POST"),
        ("OPTIONS", "/limit", "GET, PUT"),
        ("TRACE", "/health", "GET"),
    ] {
        let answer = managed.send(&request(method, path, "", "")).await;
        answer.is(405, "Method not allowed\n");
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
        assert!(answer.headers["content-type"].starts_with("text/plain"));
    }
    let head = managed.send(&request("HEAD", "/health", "", "")).await;
    head.is(405, "");
    assert_eq!(head.headers["allow"], "GET");
    managed.get("/nope").await.is(404, "404 page not found\n");
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        let answer = managed.send(&request("PUT", "/limit", kind, "{\"limit\":5}")).await;
        assert_eq!(answer.status, 415, "{kind}");
    }
    let kind = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(managed.send(&request("PUT", "/limit", kind, "{\"limit\":5}")).await.status, 200);
    let long = format!("{{\"limit\":5,\"reason\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(managed.write("PUT", "/limit", &long).await.status, 413);
    assert_eq!(managed.get("/stats?x=1").await.status, 400);
    assert_eq!(managed.get("/connections?limit=0").await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_are_made_listed_limited_and_dropped() {
    let managed = Managed::start().await;
    for number in 0..25 {
        let body = format!("{{\"name\":\"d{number:02}\"}}");
        assert_eq!(managed.write("POST", "/databases", &body).await.status, 200);
    }
    let (mut path, mut names) = ("/databases?limit=10".to_owned(), Vec::new());
    loop {
        let page = managed.json(&path).await;
        assert_eq!(page["known"], 26);
        let databases = page["databases"].as_array().expect("a list");
        names.extend(databases.iter().map(|one| one["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/databases?limit=10&after={next}");
    }
    assert_eq!(names.len(), 26);
    assert!(names[0] == "~default" && names[1..].is_sorted());
    assert_eq!(managed.write("POST", "/databases", "{\"name\":\"d00\"}").await.status, 409);
    assert_eq!(managed.write("POST", "/databases", "{\"name\":\"../x\"}").await.status, 400);
    managed
        .write("PUT", "/databases/d00/limit", "{\"limit\":7}")
        .await
        .is(200, "{\"message\":\"Connection limit updated to 7\",\"new_limit\":7,\"status\":\"success\"}\n");
    managed.get("/databases/d00/limit").await.is(200, "{\"active_connections\":0,\"current_limit\":7}\n");
    let limits = managed.write("PATCH", "/databases/d00/limits", "{\"statement_timeout\":\"2s\"}").await;
    assert!(limits.body.contains("\"pool_size\":7") && limits.body.contains("\"statement_timeout\":\"2s\""));
    assert_eq!(managed.write("DELETE", "/databases/d00", "").await.status, 400);
    assert_eq!(managed.write("DELETE", "/databases/d00", "{\"confirm\":\"d01\"}").await.status, 400);
    assert_eq!(managed.write("DELETE", "/databases/d00", "{\"confirm\":\"d00\"}").await.status, 200);
    assert_eq!(managed.get("/databases/d00").await.status, 404);
    let audit = managed.json("/audit?action=drop_database").await;
    assert_eq!(audit["entries"][0]["database"], "d00");
    assert_eq!(audit["entries"][0]["source"], "http");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_name_the_busiest_databases_only() {
    let managed = Managed::start().await;
    for number in 0..40 {
        let target = rowhouse_types::Target::Named(format!("d{number}").parse().expect("valid"));
        drop(managed.gateway.connect(&target, None).await.expect("it opens"));
    }
    let other = rowhouse_types::Target::Named("other".parse().expect("valid"));
    for _ in 0..5 {
        drop(managed.gateway.connect(&other, None).await.expect("it opens"));
    }
    let metrics = managed.get("/metrics").await;
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    let samples: Vec<_> =
        metrics.body.lines().filter(|line| line.starts_with("rowhouse_database_uses{")).collect();
    assert_eq!(samples.len(), 21, "{samples:?}");
    assert_eq!(samples.iter().filter(|sample| sample.contains("\"other\"")).count(), 1);
    for name in ["rowhouse_connections_active 0", "rowhouse_connections_available 1000", "program_metric 1"] {
        assert!(metrics.body.lines().any(|line| line == name), "{name}");
    }
}
