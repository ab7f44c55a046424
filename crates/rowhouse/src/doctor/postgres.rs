//! PostgreSQL: whether its servers can be used, and whether they have room for what the pools may ask for.
use super::{Finding, chain};
use crate::config::{Config, Postgres, SecretFile};
use rowhouse_access::read_secret;
use rowhouse_engine_postgres::{Dsn, Inspection, inspect};
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The versions that are supported.
const VERSIONS: std::ops::RangeInclusive<u32> = 15..=18;

/// By how many seconds two clocks may differ before what depends on both is wrong.
const CLOCKS_APART: f64 = 5.0;

/// The most connections that pools may ask one server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Demand {
    /// Databases that may be open at once.
    databases: u64,
    /// The connections each may have.
    each: u64,
    /// Those to the metadata database, if it is on the same server.
    metadata: u64,
}

/// Everything about PostgreSQL; nothing where it is not used.
pub(super) async fn postgres(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(dsn) = &config.database_url {
        findings.push(metadata(dsn).await);
    }
    let Some(postgres) = &config.postgres else { return findings };
    findings.push(secret(&postgres.secret));
    let mut newest = 0;
    for server in &postgres.servers {
        let of = |what: &str| format!("PostgreSQL {}: {what}", server.label);
        match inspect(&server.admin, Some(&postgres.names)).await {
            Err(error) => findings.push(Finding::wrong(
                of("reachable"),
                chain(&error),
                "start it, or mend admin_url, database_url or results_db_template; `psql` with the same DSN says more",
            )),
            Ok(found) => {
                newest = newest.max(found.version_number / 10_000);
                findings.extend(server_findings(&found, of));
                findings.push(templates(&found, postgres, of("spares")));
                findings.push(room(&found, demand(config, &server.admin), of("connections")));
            }
        }
    }
    findings.push(programs(postgres, config.backups.is_some(), newest));
    findings
}

async fn metadata(dsn: &Dsn) -> Finding {
    let check = "metadata database";
    match inspect(dsn, None).await {
        Ok(found) if found.is_standby => standby(check.to_owned()),
        Ok(found) => {
            Finding::ok(check, format!("it answers: PostgreSQL {}, as {}", found.version, found.role))
        }
        Err(error) => Finding::wrong(
            check,
            chain(&error),
            "make the database and its user, or mend database_url (DB_DATABASE_URL)",
        ),
    }
}

fn standby(check: String) -> Finding {
    Finding::wrong(
        check,
        "it is a standby, which takes no writes",
        "name the primary too: several hosts, separated by commas",
    )
}

/// Version, privileges, encryption and clock.
fn server_findings(found: &Inspection, of: impl Fn(&str) -> String) -> Vec<Finding> {
    let Inspection { version, role, .. } = found;
    let mut findings = Vec::new();
    let check = of("version");
    findings.push(match found.version_number / 10_000 {
        _ if found.is_standby => standby(check),
        old if old < *VERSIONS.start() => {
            Finding::wrong(check, format!("it is {version}"), format!("use {} or newer", VERSIONS.start()))
        }
        new if *VERSIONS.end() < new => Finding::warning(
            check,
            format!("it is {version}, which is newer than what is tested"),
            format!("use {} to {}", VERSIONS.start(), VERSIONS.end()),
        ),
        _ => Finding::ok(check, format!("it is {version}")),
    });
    let check = of("privileges");
    findings.push(match (found.may_create_databases, found.may_create_roles) {
        (true, true) => Finding::ok(check, format!("{role} may make databases and roles")),
        _ => Finding::wrong(
            check,
            format!("{role} may not make databases and roles"),
            format!("`ALTER ROLE \"{role}\" CREATEDB CREATEROLE`, or give a role that may in admin_url"),
        ),
    });
    let encrypted = if found.is_encrypted {
        "TLS, with its certificate verified"
    } else {
        "no TLS: it is on this machine"
    };
    findings.push(Finding::ok(of("encryption"), encrypted));
    findings.push(clocks(found.clock, of("clock")));
    findings
}

fn clocks(theirs: f64, check: String) -> Finding {
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let apart = (theirs - ours).abs();
    let found = format!("it is {apart:.1} s apart from this machine's");
    match apart <= CLOCKS_APART {
        true => Finding::ok(check, found),
        false => Finding::warning(
            check,
            found,
            "let both follow NTP: expiries and the history of changes depend on them",
        ),
    }
}

fn templates(found: &Inspection, postgres: &Postgres, check: String) -> Finding {
    let (there, wanted) = (found.spares, postgres.spares);
    match (found.has_template, there < wanted) {
        (false, _) => Finding::ok(check, "the template is made at the first start, and the spares from it"),
        (true, true) => Finding::warning(
            check,
            format!("{there} of {wanted} databases are ready"),
            "they are made while the server runs; if they stay missing, its log says why",
        ),
        (true, false) => Finding::ok(check, format!("the template and {there} databases are ready")),
    }
}

/// What the pools may ask this server for.
fn demand(config: &Config, server: &Dsn) -> Demand {
    let same = config.database_url.as_ref().is_some_and(|dsn| dsn.hosts == server.hosts);
    Demand {
        databases: config.limits.max_connections.get().into(),
        each: config.limits.organizations.most().into(),
        metadata: if same { config.limits.metadata.most().into() } else { 0 },
    }
}

fn room(found: &Inspection, demand: Demand, check: String) -> Finding {
    let Demand { databases, each, metadata } = demand;
    let asked = databases * each + metadata;
    let has = u64::from(found.max_connections.saturating_sub(found.reserved_connections));
    let sum = format!(
        "your pools can ask for {} ({databases} databases x {each}{}); the server has {} ({} in use now)",
        thousands(asked),
        if metadata == 0 { String::new() } else { format!(" + {metadata} for metadata") },
        thousands(has),
        found.connections,
    );
    match asked <= has {
        true => Finding::ok(check, sum),
        false => Finding::warning(
            check,
            sum,
            "when all want them at once, some wait: raise max_connections of the server, or lower max_connections, org_pool_size or org_max_overflow here",
        ),
    }
}

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn secret(file: &SecretFile) -> Finding {
    let check = "PostgreSQL secret";
    let (path, is_made) = match file {
        SecretFile::Given(path) => (path, false),
        SecretFile::Made(path) => (path, true),
    };
    if is_made && !path.exists() {
        return Finding::ok(check, format!("{} is made at the first start", path.display()));
    }
    match read_secret(path) {
        Ok(text) if text.trim().len() < crate::postgres::SECRET_MIN => Finding::wrong(
            check,
            format!("{} is too short", path.display()),
            "make one with `openssl rand -hex 32`",
        ),
        Ok(_) => Finding::ok(check, format!("{} can be read, by nobody else", path.display())),
        Err(error) => {
            Finding::wrong(check, chain(&error), "`openssl rand -hex 32` makes one; `chmod 600` it")
        }
    }
}

/// Whether `pg_dump` is there, which backups need, and new enough.
fn programs(postgres: &Postgres, backs_up: bool, newest: u32) -> Finding {
    let check = "pg_dump";
    let program = postgres.programs.as_ref().map_or(PathBuf::from("pg_dump"), |bin| bin.join("pg_dump"));
    let advice = "install the client programs of the servers' version (Debian: postgresql-client), or say where they are with postgres_programs";
    let told = Command::new(&program).arg("--version").output();
    let said = told
        .ok()
        .filter(|told| told.status.success())
        .map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    let (found, is_fit) = match (said.as_deref().and_then(major), said) {
        (Some(version), Some(said)) if newest <= version => (said, true),
        (Some(_), Some(said)) => {
            (format!("{said} is older than a server ({newest}), which it refuses to read"), false)
        }
        _ => (format!("{} is not there", program.display()), false),
    };
    match (is_fit, backs_up) {
        (true, _) => Finding::ok(check, found),
        (false, true) => Finding::wrong(check, format!("{found}, and backups need it"), advice),
        (false, false) => Finding::warning(check, format!("{found}; backups would need it"), advice),
    }
}

/// The first number of a version, as `pg_dump` tells it.
fn major(said: &str) -> Option<u32> {
    let digits = said.split("(PostgreSQL) ").nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn found() -> Inspection {
        Inspection {
            version: "17.2".to_owned(),
            version_number: 170_002,
            role: "mad".to_owned(),
            may_create_databases: true,
            may_create_roles: true,
            max_connections: 100,
            reserved_connections: 3,
            connections: 7,
            is_standby: false,
            is_encrypted: true,
            clock: 0.0,
            has_template: true,
            spares: 2,
        }
    }

    #[test]
    fn the_arithmetic_of_connections_is_done() {
        let demand = Demand { databases: 200, each: 15, metadata: 50 };
        let finding = room(&found(), demand, "connections".to_owned());
        assert_eq!(finding.status, Verdict::Warning);
        let expected = "your pools can ask for 3,050 (200 databases x 15 + 50 for metadata); the server has 97 (7 in use now)";
        assert_eq!(finding.found, expected);
        let demand = Demand { databases: 6, each: 15, metadata: 0 };
        assert_eq!(room(&found(), demand, "connections".to_owned()).status, Verdict::Ok);
    }

    #[test]
    fn what_a_server_is_not_fit_for_is_told() {
        let verdicts = |found: &Inspection| {
            let findings = server_findings(found, str::to_owned);
            findings.into_iter().map(|finding| finding.status).collect::<Vec<_>>()
        };
        use Verdict::{Ok, Warning, Wrong};
        assert_eq!(verdicts(&found()), [Ok, Ok, Ok, Warning], "its clock stands at 1970");
        assert_eq!(verdicts(&Inspection { version_number: 140_001, ..found() })[0], Wrong);
        assert_eq!(verdicts(&Inspection { version_number: 190_000, ..found() })[0], Warning);
        assert_eq!(verdicts(&Inspection { is_standby: true, ..found() })[0], Wrong);
        assert_eq!(verdicts(&Inspection { may_create_roles: false, ..found() })[1], Wrong);
    }

    #[test]
    fn the_version_of_a_program_is_read() {
        for said in ["pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "pg_dump (PostgreSQL) 15beta1"] {
            assert_eq!(major(said), Some(15), "{said}");
        }
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn thousands_are_told_apart() {
        for (number, shown) in [(0, "0"), (97, "97"), (3050, "3,050"), (1_000_000, "1,000,000")] {
            assert_eq!(thousands(number), shown);
        }
    }
}
