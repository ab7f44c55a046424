//! The limit of clients, managed as documented: each command and script runs as it stands in the
//! documentation, but for the ports (`support::with_ports`).
use crate::support::{Client, Operator, Python, has, scripts, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What the scripts need beyond what every system has.
const TOOLS: [&str; 3] = ["curl", "jq", "bc"];

/// Clients that stay connected.
fn attend(operator: &Operator, count: u32) -> Option<Client> {
    let mut clients = Client::run(&Python::find()?, "attend.py", &[operator.server.address()]);
    assert_eq!(clients.exchange(&format!("come {count}")), count.to_string());
    Some(clients)
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_documented_command_prints_its_lines() {
    let operator = Operator::start("rowhouse", "1000", &[]);
    for (script, printed) in [
        ("rowhouse manager 9090 status", "Connection Status:\nCurrent Limit: 1000\nActive Connections: 0\n"),
        (
            "rowhouse manager 9090 stats",
            "Connection Statistics:\nActive Connections: 0\nMax Connections: 1000\nUsage Percentage: 0.0%\nAvailable Slots: 1000\n",
        ),
        ("rowhouse manager 9090 limit 2000", "Success: Connection limit updated to 2000\n"),
        (
            "rowhouse manager 9090 increase 500",
            "Success: Connection limit increased from 2000 to 2500\nOld Limit: 2000, New Limit: 2500\n",
        ),
        (
            "rowhouse manager 9090 decrease 200",
            "Success: Connection limit decreased from 2500 to 2300\nOld Limit: 2500, New Limit: 2300\n",
        ),
        (
            "rowhouse manager 9090 increase",
            "Success: Connection limit increased from 2300 to 2400\nOld Limit: 2300, New Limit: 2400\n",
        ),
        (
            "rowhouse manager 9090 decrease",
            "Success: Connection limit decreased from 2400 to 2300\nOld Limit: 2400, New Limit: 2300\n",
        ),
        ("rowhouse manager 9090 reset", "Success: Reset connection limit to default (1000)\n"),
        ("rowhouse manager 9090 health", "Health Check: healthy\nService: rowhouse\n"),
        ("rowhouse manager 9090 status --json", "{\"active_connections\":0,\"current_limit\":1000}\n"),
        ("rowhouse manager 9090 connections | head -n 1", "Active Connections: 0\n"),
    ] {
        assert_eq!(operator.prints(script), printed, "{script}");
    }
}

#[test]
fn as_shibudb_the_lines_of_that_command_stand_around_them() {
    let operator = Operator::start("shibudb", "310", &[]);
    let port = operator.server.management();
    let said = operator.prints("shibudb manager 9090 stats");
    let expected = format!(
        "Testing connectivity to management server...\n\
         ✓ Port {port} is listening\n\
         ✓ Management server is accessible\n\
         Connecting to management server at: http://localhost:{port}\n\
         Making request to: GET http://localhost:{port}/stats\n\
         Response status: 200 OK\n\
         Connection Statistics:\n\
         Active Connections: 0\n\
         Max Connections: 310\n\
         Usage Percentage: 0.0%\n\
         Available Slots: 310\n"
    );
    assert_eq!(said, expected);
    assert!(
        operator.prints("shibudb manager 9090 health").ends_with("Health Check: healthy\nService: shibudb\n")
    );
}

#[test]
fn a_refused_change_changes_nothing_and_is_told() {
    let operator = Operator::start("rowhouse", "10", &[]);
    let Some(_clients) = attend(&operator, 3) else { return };
    for (command, said) in [
        ("limit 2", "Error: cannot set limit to 2 when 3 connections are active"),
        ("limit 0", "Error: connection limit must be positive"),
        ("limit -1", "Error: connection limit must be positive"),
        ("decrease 8", "Error: cannot decrease limit to 2 when 3 connections are active"),
    ] {
        let output = operator.runs(&format!("rowhouse manager 9090 {command}"));
        assert_eq!(output.status.code(), Some(1), "{command}: {}", text(&output));
        assert!(output.stdout.is_empty(), "{command}: {}", text(&output));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error.lines().next(), Some(said), "{command}");
        let status = operator.prints("rowhouse manager 9090 status");
        assert_eq!(status, "Connection Status:\nCurrent Limit: 10\nActive Connections: 3\n", "{command}");
    }
    for command in ["increase 0", "increase -5", "decrease -5"] {
        let output = operator.runs(&format!("rowhouse manager 9090 {command}"));
        assert_eq!(output.status.code(), Some(1), "{command}: {}", text(&output));
        assert!(text(&output).starts_with("Error: "), "{}", text(&output));
    }
}

#[test]
fn draining_goes_below_what_is_connected_and_cuts_nobody_off() {
    let operator = Operator::start("rowhouse", "10", &[]);
    let Some(mut clients) = attend(&operator, 3) else { return };
    assert_eq!(
        operator.prints("rowhouse manager 9090 limit 2 --drain"),
        "Success: Connection limit updated to 2\n"
    );
    assert_eq!(clients.exchange("ask"), "3");
    let stats = operator.prints("rowhouse manager 9090 stats");
    assert!(stats.contains("Usage Percentage: 150.0%\nAvailable Slots: 0\n"), "{stats}");
}

#[test]
fn the_production_flow_and_the_development_flow_run() {
    let operator = Operator::start("shibudb", "1000", &[]);
    operator.prints("set -e\nshibudb manager 9090 stats\nshibudb manager 9090 increase 500\nshibudb manager 9090 decrease 300");
    assert_eq!(operator.limit(), 1200);
    let operator = Operator::start("shibudb", "100", &[]);
    operator.prints("set -e\nshibudb manager 9090 limit 1000");
    assert_eq!(operator.limit(), 1000);
    operator.prints("set -e\nshibudb manager 9090 limit 100");
    assert_eq!(operator.limit(), 100);
}

#[test]
fn the_requests_of_curl_are_answered_as_documented() {
    if !has(&TOOLS) {
        return;
    }
    let operator = Operator::start("shibudb", "1000", &[]);
    let write = "-H \"Content-Type: application/json\" -d";
    for (request, answer) in [
        ("http://localhost:10090/health".to_owned(), r#"{"service":"shibudb","status":"healthy"}"#),
        (
            "http://localhost:10090/stats".to_owned(),
            r#"{"active_connections":0,"available_slots":1000,"max_connections":1000,"usage_percentage":0}"#,
        ),
        (
            format!("-X PUT http://localhost:10090/limit {write} '{{\"limit\": 2000}}'"),
            r#"{"message":"Connection limit updated to 2000","new_limit":2000,"status":"success"}"#,
        ),
        (
            format!("-X POST http://localhost:10090/limit/increase {write} '{{\"amount\": 500}}'"),
            r#"{"increase_amount":500,"message":"Connection limit increased from 2000 to 2500","new_limit":2500,"old_limit":2000,"status":"success"}"#,
        ),
        (
            format!("-X POST http://localhost:10090/limit/decrease {write} '{{\"amount\": 200}}'"),
            r#"{"decrease_amount":200,"message":"Connection limit decreased from 2500 to 2300","new_limit":2300,"old_limit":2500,"status":"success"}"#,
        ),
        ("http://localhost:10090/limit".to_owned(), r#"{"active_connections":0,"current_limit":2300}"#),
        (
            format!("-X PUT http://localhost:10090/limit {write} '{{\"limit\": 0}}'"),
            r#"{"error":"connection limit must be positive","status":"failed"}"#,
        ),
    ] {
        assert_eq!(operator.prints(&format!("curl -s {request}")), format!("{answer}\n"), "{request}");
    }
}

#[test]
fn the_loop_that_scales_by_usage_raises_and_lowers() {
    if !has(&TOOLS) {
        return;
    }
    let operator = Operator::start("rowhouse", "10", &[]);
    let Some(mut clients) = attend(&operator, 9) else { return };
    // Two rounds instead of a minute's wait between endless ones; nothing else is other than documented.
    let script = r#"
for round in 1 2; do
    usage=$(curl -s http://localhost:10090/stats | jq -r '.usage_percentage')

    if (( $(echo "$usage > 80" | bc -l) )); then
        echo "High: ${usage}%"
        curl -s -X POST http://localhost:10090/limit/increase \
             -H "Content-Type: application/json" \
             -d '{"amount": 200}'
    elif (( $(echo "$usage < 30" | bc -l) )); then
        echo "Low: ${usage}%"
        curl -s -X POST http://localhost:10090/limit/decrease \
             -H "Content-Type: application/json" \
             -d '{"amount": 100}'
    fi
    sleep 0.01
done
"#;
    let said = operator.prints(script);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!((lines[0], json(lines[1])["new_limit"].as_u64()), ("High: 90%", Some(210)));
    assert!(lines[2].starts_with("Low: 4.28571428571428"), "{said}");
    assert_eq!(json(lines[3])["new_limit"], 110);
    assert_eq!(clients.exchange("ask"), "9");
}

#[test]
fn the_alerts_read_their_numbers() {
    if !has(&["bc"]) {
        return;
    }
    let operator = Operator::start("shibudb", "10", &[]);
    let Some(_clients) = attend(&operator, 9) else { return };
    let usage = r#"
usage=$(shibudb manager 9090 stats | grep "Usage Percentage" | awk '{print $3}' | sed 's/%//')
echo "$usage"
if (( $(echo "$usage > 80" | bc -l) )); then
    echo "WARNING: ${usage}%"
fi
"#;
    assert_eq!(operator.prints(usage), "90.0\nWARNING: 90.0%\n");
    let change = r#"
old_limit=$(shibudb manager 9090 status | grep "Current Limit" | awk '{print $3}')
shibudb manager 9090 increase 5 > /dev/null
new_limit=$(shibudb manager 9090 status | grep "Current Limit" | awk '{print $3}')
if [ "$old_limit" != "$new_limit" ]; then
    echo "INFO: from $old_limit to $new_limit"
fi
"#;
    assert_eq!(operator.prints(change), "INFO: from 10 to 15\n");
}

#[test]
fn scripts_to_scale_are_made_and_tell_of_a_failure() {
    let operator = Operator::start("shibudb", "110", &[]);
    let Some(_clients) = attend(&operator, 11) else { return };
    let make = r#"
cat > scale_up.sh << 'EOF'
#!/bin/bash
shibudb manager 9090 increase 200
echo "$(date): increased"
EOF

cat > scale_down.sh << 'EOF'
#!/bin/bash
shibudb manager 9090 decrease 100
echo "$(date): decreased"
EOF
chmod +x scale_up.sh scale_down.sh
"#;
    operator.prints(make);
    operator.prints("./scale_up.sh && ./scale_down.sh && ./scale_down.sh");
    assert_eq!(operator.limit(), 110);
    // The last line of such a script always succeeds; with -e the first failure counts.
    let output = operator.runs("bash -e scale_down.sh");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("cannot decrease limit to 10 when 11 connections are active"),
        "{}",
        text(&output)
    );
    assert_eq!(operator.runs("shibudb manager 9090 decrease 100").status.code(), Some(1));
    assert_eq!(operator.limit(), 110);
}

#[test]
fn watching_goes_on_with_a_terminal_and_without() {
    let operator = Operator::start("shibudb", "1000", &[]);
    let said = operator
        .prints("set +o pipefail\nshibudb manager 9090 stats --watch 0.1 | grep -m 3 'Usage Percentage'");
    assert_eq!(said, "Usage Percentage: 0.0%\n".repeat(3));
    let Some(python) = Python::find() else { return };
    if !has(&["watch"]) {
        return;
    }
    // As documented; watch needs a terminal of its own, and goes on until it is ended.
    let terminal = scripts().join("terminal.py");
    let watched = format!(
        "{} {} 'Usage Percentage: 0.0%' watch -n 1 'shibudb manager 9090 stats'",
        python.path().display(),
        terminal.display(),
    );
    operator.prints(&watched);
}

#[test]
fn three_ways_make_the_same_change_and_the_history_tells_them_apart() {
    if !has(&TOOLS) {
        return;
    }
    let operator = Operator::start("rowhouse", "1000", &[]);
    operator.prints("rowhouse manager 9090 increase 100 --reason 'more guests'");
    operator.prints(
        "curl -s -X POST http://localhost:10090/limit/increase -H 'Content-Type: application/json' -d '{}'",
    );
    let pid = Pid::from_raw(operator.server.pid().try_into().expect("an id")).expect("an id");
    kill_process(pid, Signal::USR1).expect("it runs");
    operator.prints(
        "until [ \"$(curl -s http://localhost:10090/limit | jq .current_limit)\" = 1300 ]; do :; done",
    );
    let history = json(&operator.prints("rowhouse manager 9090 history --json"));
    let changes = history["changes"].as_array().expect("a list");
    let told: Vec<_> =
        changes.iter().rev().map(|change| change["source"].as_str().expect("a word")).collect();
    assert_eq!(told[told.len() - 3..], ["cli", "http", "signal"]);
    for change in &changes[..3] {
        let by = change["to"].as_u64().zip(change["from"].as_u64()).map(|(to, from)| to - from);
        assert_eq!((by, &change["result"]), (Some(100), &"success".into()), "{change}");
    }
    assert_eq!(changes[2]["reason"], "more guests");
    let table = operator.prints("rowhouse manager 9090 history");
    let line = table.lines().find(|line| line.contains("more guests")).expect("a line");
    let columns: Vec<_> = line.split_whitespace().collect();
    assert_eq!((columns[2], &columns[4..8]), ("cli", &["1000", "1100", "0", "success"][..]), "{table}");
}

#[test]
fn a_tunnel_reaches_it_and_a_name_of_somebody_elses_does_not() {
    if !has(&["curl"]) {
        return;
    }
    let operator = Operator::start("rowhouse", "1000", &[]);
    let code = "-s -o /dev/null -w '%{http_code}' http://127.0.0.1:10090/limit";
    assert_eq!(operator.prints(&format!("curl -H 'Host: localhost:10090' {code}")), "200");
    let refused = operator.prints(&format!("curl -H 'Host: evil.example:10090' {code}"));
    assert!(["403", "421"].contains(&refused.as_str()), "{refused}");
    // Another port here that leads there, as ssh -L makes one.
    assert_eq!(operator.prints(&format!("curl -H 'Host: localhost:8090' {code}")), "200");
}

#[test]
fn a_thousand_questions_take_little_time() {
    let operator = Operator::start("rowhouse", "1000", &[]);
    // A build with debugging asks fewer times: what a shell takes to start it is not what is looked at.
    let count = if cfg!(debug_assertions) { 200 } else { 1000 };
    let script =
        format!("for i in $(seq {count}); do rowhouse manager 9090 status > /dev/null || exit 1; done");
    operator.prints(&script);
}

#[test]
fn connections_are_listed_by_how_long_they_are_idle_and_one_is_closed() {
    let operator = Operator::start("rowhouse", "10", &[]);
    let Some(mut clients) = attend(&operator, 2) else { return };
    let listed = json(&operator.prints("rowhouse manager 9090 connections --json"));
    let of = |listed: &Value| listed["connections"].as_array().expect("a list").clone();
    let (first, second) = (of(&listed)[0].clone(), of(&listed)[1].clone());
    assert!(second["idle_seconds"].as_f64() <= first["idle_seconds"].as_f64(), "{listed}");
    assert_eq!((&first["protocol"], &first["requests"]), (&"sqlite_rx".into(), &1.into()));
    let id = &first["id"];
    let said = operator.prints(&format!("rowhouse manager 9090 connections close {id}"));
    assert_eq!(said, format!("Success: Connection {id} closed\n"));
    let output = operator.runs("rowhouse manager 9090 connections close 999999");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    // The one whose connection was closed connects again by itself.
    assert_eq!(clients.exchange("ask"), "2");
    let again = json(&operator.prints("rowhouse manager 9090 connections --sort id --json"));
    assert!(of(&again).iter().all(|one| one["id"] != *id), "{again}");
}
