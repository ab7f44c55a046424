use super::*;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

fn limit(body: &str) -> Result<u32, String> {
    NewLimit::parse(body.as_bytes()).map(|new| new.limit.get()).map_err(|error| error.to_string())
}

fn amount(body: &str) -> Result<u32, String> {
    Amount::parse(body.as_bytes()).map(|amount| amount.amount.get()).map_err(|error| error.to_string())
}

#[test]
fn replies_are_written_as_scripts_know_them() {
    assert_eq!(text(&Health::of("rowhouse")), r#"{"service":"rowhouse","status":"healthy"}"#);
    assert_eq!(
        text(&Stats::of(0, 1000)),
        r#"{"active_connections":0,"available_slots":1000,"max_connections":1000,"usage_percentage":0}"#
    );
    assert_eq!(
        text(&LimitStatus { active_connections: 0, current_limit: 1000 }),
        r#"{"active_connections":0,"current_limit":1000}"#
    );
    assert_eq!(
        text(&LimitSet::to(10)),
        r#"{"message":"Connection limit updated to 10","new_limit":10,"status":"success"}"#
    );
    assert_eq!(
        text(&Increased::new(10, 510)),
        r#"{"increase_amount":500,"message":"Connection limit increased from 10 to 510","new_limit":510,"old_limit":10,"status":"success"}"#
    );
    assert_eq!(
        text(&Decreased::new(510, 310)),
        r#"{"decrease_amount":200,"message":"Connection limit decreased from 510 to 310","new_limit":310,"old_limit":510,"status":"success"}"#
    );
    assert_eq!(
        text(&Failed::new("connection limit must be positive")),
        r#"{"error":"connection limit must be positive","status":"failed"}"#
    );
    assert_eq!(
        text(&DecreaseRefused::new(3, 3, "cannot decrease limit to 2 when 3 connections are active")),
        r#"{"active_connections":3,"current_limit":3,"error":"cannot decrease limit to 2 when 3 connections are active","minimum_allowed":3,"status":"failed"}"#
    );
}

#[test]
fn percentages_are_whole_where_they_can_be_and_never_rounded() {
    let written = |part, whole| text(&Percentage::of(part, whole));
    assert_eq!(written(0, 1000), "0");
    assert_eq!(written(45, 1000), "4.5");
    assert_eq!(written(2, 3), "66.66666666666666");
    assert_eq!(written(1, 3), "33.33333333333333");
    assert_eq!(written(3, 3), "100");
    assert_eq!(written(4, 3), "133.33333333333331");
    assert_eq!(written(u32::MAX, 1), "429496729500");
    assert_eq!(written(1, 0), "0");
    assert_eq!(written(1, 1_000_000), "0.00009999999999999999");
}

#[test]
fn available_slots_and_usage_agree_with_the_limit() {
    for (active, limit) in [(0, 1), (1, 3), (45, 1000), (1000, 1000), (7, 5)] {
        let stats = Stats::of(active, limit);
        assert_eq!(stats.available_slots, limit.saturating_sub(active));
        assert!(stats.usage_percentage.value().is_finite());
        assert_eq!(stats.usage_percentage.value() > 100.0, active > limit);
    }
}

#[test]
fn a_limit_is_read_and_what_is_none_is_told() {
    assert_eq!(limit(r#"{"limit":10}"#), Ok(10));
    assert_eq!(limit("{\"limit\": 2147483647}\n"), Ok(2_147_483_647));
    for body in
        ["{}", "", "\n", r#"{"limit":0}"#, r#"{"limit":-1}"#, r#"{"limit":-1e99}"#, r#"{"limit":-0.5}"#]
    {
        assert_eq!(limit(body), Err("connection limit must be positive".to_owned()), "{body}");
    }
    for body in [r#"{"limit":2147483648}"#, r#"{"limit":1e99}"#, r#"{"limit":18446744073709551616}"#] {
        assert_eq!(limit(body), Err("connection limit must be at most 2147483647".to_owned()), "{body}");
    }
    for (body, error) in [
        (r#"{"limit":"5"}"#, "limit must be a whole number, not a text"),
        (r#"{"limit":4.5}"#, "limit must be a whole number, not a fraction"),
        (r#"{"limit":null}"#, "limit must be a whole number, not null"),
        (r#"{"limit":[1]}"#, "limit must be a whole number, not a list"),
        (r#"{"limit":5,"drain":1}"#, "drain must be true or false, not a number"),
        (r#"{"limit":5,"drian":true}"#, "unknown key: limit, drain and reason are understood here"),
        ("[]", "the body must be a JSON object, not a list"),
        ("null", "the body must be a JSON object, not null"),
        (r#"{"limit":5,"reason":"a\nb"}"#, "reason must be at most 200 bytes without control characters"),
    ] {
        assert_eq!(limit(body), Err(error.to_owned()), "{body}");
    }
    for body in ["{", "limit=5", "{\"limit\":5}x", "{\"limit\":1e999}", "\u{feff}{}"] {
        assert!(limit(body).unwrap_err().starts_with("invalid JSON: "), "{body}");
    }
}

#[test]
fn an_amount_is_100_where_none_is_said_and_never_less_than_1() {
    for body in ["", "{}", " \n", "{}\n", r#"{"reason":"peak"}"#] {
        assert_eq!(amount(body), Ok(100), "{body}");
    }
    assert_eq!(amount(r#"{"amount":500}"#), Ok(500));
    for body in [r#"{"amount":-5}"#, r#"{"amount":0}"#] {
        assert_eq!(amount(body), Err("amount must be positive".to_owned()), "{body}");
    }
    for body in [r#"{"amount":2147483648}"#, r#"{"amount":1e99}"#] {
        assert_eq!(amount(body), Err("amount must be at most 2147483647".to_owned()), "{body}");
    }
    assert_eq!(amount(r#"{"amount":"5"}"#), Err("amount must be a whole number, not a text".to_owned()));
}

#[test]
fn what_the_command_line_writes_the_server_reads() {
    let new = NewLimit { drain: true, limit: std::num::NonZeroU32::MIN, reason: Some("maintenance".into()) };
    assert_eq!(NewLimit::parse(text(&new).as_bytes()).expect("valid"), new);
    let plain: NewLimit = std::num::NonZeroU32::MIN.into();
    assert_eq!(text(&plain), r#"{"limit":1}"#);
    let amount: Amount = std::num::NonZeroU32::MIN.into();
    assert_eq!(Amount::parse(text(&amount).as_bytes()).expect("valid"), amount);
}

proptest! {
    #[test]
    fn whatever_a_body_says_what_comes_out_of_it_is_in_range(body in any::<Vec<u8>>()) {
        read_both(&body);
    }

    #[test]
    fn whatever_number_a_body_says_what_comes_out_of_it_is_in_range(
        number in prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| n.to_string())],
        key in prop_oneof![Just("limit"), Just("amount"), Just("drain"), Just("reason")],
    ) {
        read_both(format!("{{\"{key}\":{number}}}").as_bytes());
    }
}

fn read_both(body: &[u8]) {
    match NewLimit::parse(body) {
        Ok(new) => assert!(new.limit.get() <= MAX_LIMIT),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match Amount::parse(body) {
        Ok(amount) => assert!(amount.amount.get() <= MAX_LIMIT),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Every key of an object, in the order written, with those of objects within.
fn keys(written: &str) -> Vec<Vec<String>> {
    let mut objects = Vec::new();
    let mut open: Vec<Vec<String>> = Vec::new();
    let mut rest = written;
    while let Some(at) = rest.find(['{', '}', '"']) {
        let (sign, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = after;
        match sign {
            b'{' => open.push(Vec::new()),
            b'}' => objects.extend(open.pop()),
            _ => {
                let end = after.find('"').expect("texts here have no quotes within");
                rest = &after[end + 1..];
                if rest.starts_with(':') {
                    open.last_mut().expect("a key is in an object").push(after[..end].to_owned());
                }
            }
        }
    }
    objects
}

#[test]
fn the_keys_of_every_reply_stand_in_the_order_of_the_alphabet() {
    let client = Client {
        age_seconds: 1.5,
        busy: false,
        database: None,
        from: String::new(),
        id: 1,
        identified: true,
        idle_seconds: 0.5,
        protocol: String::new(),
        requests: 0,
        who: None,
    };
    let change = LimitChange {
        active: None,
        at: String::new(),
        error: None,
        from: None,
        id: 1,
        reason: None,
        result: String::new(),
        source: String::new(),
        to: None,
        who: String::new(),
    };
    let entry = AuditEntry {
        action: String::new(),
        active: None,
        at: String::new(),
        database: None,
        error: None,
        from: None,
        id: 1,
        reason: None,
        result: String::new(),
        source: String::new(),
        to: None,
        who: String::new(),
    };
    let pool = Pool {
        database: String::new(),
        idle: 0,
        lent: 0,
        max_overflow: 0,
        pool_size: 0,
        reclaimed: 0,
        server: String::new(),
        waiting: 0,
    };
    let server = Server {
        budget: None,
        closing: 0,
        idle: 0,
        in_use: 0,
        reclaimed: 0,
        reserved: None,
        server: String::new(),
        takes: None,
        waiting: 0,
    };
    let detail = DatabaseDetail {
        bytes: None,
        failing: false,
        frozen: false,
        kind: String::new(),
        limits: Limits([("pool_size".to_owned(), json!(1))].into()),
        name: String::new(),
        open_seconds: None,
        paused: false,
        pool: Some(pool.clone()),
        sessions: 0,
        state: String::new(),
        uses: 0,
        waiting: 0,
    };
    let stats = StatsDetail {
        active_connections: 0,
        available_slots: 0,
        busy_connections: 0,
        idle_connections: 0,
        max_connections: 0,
        refused_connections: 0,
        unidentified_connections: 0,
        usage_percentage: Percentage::default(),
    };
    let database = Database { name: String::new(), sessions: 0, state: String::new() };
    let option = ConfigEntry { changes: false, key: String::new(), origin: String::new(), value: json!(1) };
    let backup = Backup { backup: String::new(), bytes: 0, message: String::new(), status: String::new() };
    let replies = [
        text(&stats),
        text(&Ready {
            checks: ReadyChecks {
                server: Some([("open".to_owned(), true)].into()),
                ..ReadyChecks::default()
            },
            status: String::new(),
        }),
        text(&Done::new("")),
        text(&Clients { active_connections: 1, connections: vec![client], next: None }),
        text(&History { changes: vec![change], next: None }),
        text(&Audit { entries: vec![entry], next: None }),
        text(&detail),
        text(&Databases { databases: vec![database], known: Some(1), next: None, open: 0 }),
        text(&Pools { metadata: Some(pool.clone()), next: None, pools: vec![pool], servers: vec![server] }),
        text(&Config { options: vec![option] }),
        text(&ConfigChanged {
            changed: vec![],
            message: String::new(),
            status: String::new(),
            unchanged: vec![],
        }),
        text(&backup),
        text(&NewLimit { drain: true, limit: std::num::NonZeroU32::MIN, reason: Some(String::new()) }),
    ];
    for reply in replies {
        let objects = keys(&reply);
        assert!(!objects.is_empty());
        assert!(objects.iter().all(|keys| keys.is_sorted()), "{reply}");
    }
}
