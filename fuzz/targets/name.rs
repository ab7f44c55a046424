//! Names of databases: accepted exactly when promised, and a file name that leads nowhere else.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_types::DatabaseName;
use std::path::{Component, Path};

const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

fuzz_target!(|text: &str| {
    let promised = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && !is_device(&text.to_ascii_lowercase());
    let parsed = rowhouse_fuzz::within(4096, || text.parse::<DatabaseName>());
    assert_eq!(parsed.is_ok(), promised);
    match parsed {
        Ok(name) => {
            assert_eq!((name.as_str(), name.to_string().as_str()), (text, text));
            let path = Path::new("/data").join(format!("{name}.db"));
            assert_eq!(path.parent(), Some(Path::new("/data")));
            assert!(matches!(path.components().next_back(), Some(Component::Normal(_))));
        }
        // An error is one line, however the name looks.
        Err(error) => assert!(!error.to_string().contains(['\n', '\r', '\0', '\u{1b}'])),
    }
});

fn is_device(name: &str) -> bool {
    let numbered = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
    DEVICES.contains(&name) || matches!(numbered.map(str::as_bytes), Some([b'1'..=b'9']))
}
