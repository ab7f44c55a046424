//! `rowhouse doctor`: looks at an installation and says what is wrong with it, and what to do.
//!
//! Nothing is changed, made or opened for it, and a server that runs is not disturbed.
mod machine;
mod ports;
mod postgres;

use crate::compose;
use crate::config::Config;
use crate::http;
use crate::observe::chain;
use rowhouse_access::Access;
use serde::Serialize;
use std::error::Error;
use std::fmt;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not work well.
    Warning,
    /// It does not work.
    Wrong,
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How it is with it.
    pub status: Verdict,
    /// What was found, in a sentence.
    pub found: String,
    /// What to do, where something is to be done.
    pub advice: Option<String>,
}

/// Looks at everything that a server of this configuration needs.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("configuration", "it is valid")];
    let (directory, is_served) = machine::data_directory(config);
    findings.extend(directory);
    findings.push(machine::open_files(config));
    findings.extend(secrets(config));
    findings.extend(ports::ports(config, is_served).await);
    findings.extend(postgres::postgres(config).await);
    findings
}

/// What cannot even be read.
pub fn unreadable(error: &dyn Error) -> Finding {
    Finding::wrong(
        "configuration",
        chain(error),
        "mend it: `rowhouse config explain` says which layer set what",
    )
}

/// The files with keys, certificates and who may come in.
fn secrets(config: &Config) -> Vec<Finding> {
    let read = |what: &str, read: Result<(), String>| match read {
        Ok(()) => Finding::ok(what, "the files can be read"),
        Err(why) => Finding::wrong(what, why, "mend the file, or what the option says of it"),
    };
    let told = |error: &dyn Error| chain(error);
    let mut findings = Vec::new();
    if config.curve.is_some() {
        let keys = compose::security(config).map(drop).map_err(|error| told(&error));
        findings.push(read("sqlite_rx keys", keys));
    }
    if config.http.as_ref().is_some_and(|http| http.tls.is_some()) {
        let tls = http::tls(config.http.as_ref()).map(drop).map_err(|error| told(&error));
        findings.push(read("HTTP certificate", tls));
    }
    if config.http.is_some() {
        let access = Access::new(config.access.clone()).map(drop).map_err(|error| told(&error));
        findings.push(read("credentials", access));
    }
    findings
}

// === impl Verdict ===

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        })
    }
}

// === impl Finding ===

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), status: Verdict::Ok, found: found.into(), advice: None }
    }

    fn warning(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { check: check.into(), status: Verdict::Warning, found: found.into(), advice }
    }

    fn wrong(check: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Verdict::Wrong, ..Self::warning(check, found, advice) }
    }
}
