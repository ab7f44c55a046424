//! The description says what is so: every route is in it, and every shape is that of a real answer.
use super::support::{Managed, request};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where a path leads that has names in it.
fn real(path: &str) -> String {
    path.replace("{name}", "~default")
        .replace("{id}", "1")
        .replace("{organization}", "acme")
        .replace("{member}", "a@example.com")
}

/// The keys of an answer, and those the description says it has.
fn keys(
    description: &Value,
    operation: &Value,
    answer: &Value,
) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    let properties = description["components"]["schemas"][name]["properties"].as_object()?;
    let told = answer.as_object()?.keys().cloned().collect();
    Some((told, properties.keys().cloned().collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_described_is_served_and_every_shape_is_real() {
    let managed = Managed::start().await;
    for (path, body) in [
        ("/organizations", r#"{"id": "acme"}"#),
        ("/members", r#"{"email": "a@example.com", "organization": "acme"}"#),
    ] {
        assert_eq!(managed.write("POST", path, body).await.status, 200, "{path}");
    }
    let description = managed.json("/openapi.json").await;
    let paths = description["paths"].as_object().expect("paths");
    let mut compared = 0;
    // What has a server of its own is asked on the main port.
    for (path, operations) in paths.iter().filter(|(_, operations)| operations["servers"].is_null()) {
        for (method, operation) in operations.as_object().expect("operations") {
            let (method, real) = (method.to_uppercase(), real(path));
            if method != "GET" {
                let answer = managed.send(&request(&method, &real, "", "{}")).await;
                assert_eq!(
                    answer.status, 415,
                    "{method} {path} takes what is not said to be JSON: {answer:?}"
                );
                continue;
            }
            let answer = managed.get(&real).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let Ok(json) = serde_json::from_str(&answer.body) else { continue };
            if let Some((told, described)) = keys(&description, operation, &json) {
                assert_eq!(told, described, "{path}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 10, "only {compared} shapes were compared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_described() {
    let managed = Managed::start().await;
    let description = managed.json("/openapi.json").await;
    let described: BTreeSet<_> = description["paths"].as_object().expect("paths").keys().cloned().collect();
    let promised = [
        "/health",
        "/ready",
        "/stats",
        "/limit",
        "/limit/increase",
        "/limit/decrease",
        "/limit/history",
        "/connections",
        "/connections/{id}",
        "/databases",
        "/databases/{name}",
        "/databases/{name}/limit",
        "/databases/{name}/limit/increase",
        "/databases/{name}/limit/decrease",
        "/databases/{name}/limits",
        "/databases/{name}/evict",
        "/databases/{name}/pause",
        "/databases/{name}/resume",
        "/databases/{name}/checkpoint",
        "/databases/{name}/backup",
        "/pools",
        "/metrics",
        "/migrations",
        "/config",
        "/log-level",
        "/audit",
        "/tokens",
        "/tokens/{name}",
        "/users",
        "/users/{name}",
        "/organizations",
        "/organizations/{organization}",
        "/organizations/{organization}/suspend",
        "/organizations/{organization}/resume",
        "/members",
        "/members/{member}",
        "/members/{member}/suspend",
        "/members/{member}/resume",
        "/members/{member}/identities",
        "/identities",
        "/settings",
        "/query",
        "/db/{name}/query",
    ];
    assert_eq!(described, promised.map(str::to_owned).into());
}
