//! Configuration: any text as any option, and any file; what is accepted lies within its bounds.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse::config::{Config, Kind, Layers, OPTIONS};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|data: &[u8]| {
    let Some((&which, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut layers = Layers::new();
    match OPTIONS.get(usize::from(which)) {
        Some(option) if option.kind == Kind::Address && !is_literal(text) => return,
        Some(option) => {
            layers.set(option.key, text).expect("a known option");
        }
        // Host names would be asked for on the network.
        None if text.contains("tcp_address") => return,
        None => {
            if layers.toml(text, Path::new("fuzzed.toml")).is_err() {
                return;
            }
        }
    }
    match Config::resolve(&layers) {
        Ok(config) => check(&config),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn check(config: &Config) {
    for duration in [
        config.limits.database.statement_timeout,
        config.limits.database.idle_transaction_timeout,
        config.limits.database.transaction_timeout,
        config.handshake_timeout,
        config.write_timeout,
        config.drain_timeout,
        config.limits.room_timeout,
        config.limits.database.acquire_timeout,
        config.limits.database.idle_timeout,
        config.limits.database.max_lifetime,
    ] {
        assert!((Duration::from_millis(1)..=DAY).contains(&duration), "{duration:?}");
    }
    assert!((1024..=1 << 30).contains(&config.max_request_bytes));
    assert!((1024..=1 << 30).contains(&config.max_value_bytes));
    assert!(config.client_limit.get() <= i32::MAX.cast_unsigned());
    assert!(config.limits.database.check().is_ok());
    for spec in config.catalog.configured() {
        assert!(!spec.location.0.is_empty());
    }
    assert!(config.files_needed() > 0);
}

fn is_literal(text: &str) -> bool {
    let Some((host, _)) = text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')) else {
        return true;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "*" || host.parse::<IpAddr>().is_ok()
}
