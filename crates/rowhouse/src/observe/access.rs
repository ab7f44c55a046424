//! Who came in over HTTP and who did not, in Prometheus' text format. Labels are words of the code's.
use rowhouse_access::{AccessCounts, Kind};
use std::fmt::Write as _;

/// Appends what was counted.
pub(crate) fn write_access(counts: &AccessCounts, out: &mut String) {
    let mut head = |name: &str, kind: &str, help: &str, lines: String| {
        write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}").expect("into memory");
    };
    let lines = |name: &str, label: &str, counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
        let line = |(word, count): (&str, u64)| format!("{name}{{{label}=\"{word}\"}} {count}\n");
        counts.map(line).collect::<String>()
    };
    let (admitted, refused) = ("rowhouse_credentials_admitted_total", "rowhouse_credentials_refused_total");
    let mut by = counts.admitted.iter().map(|(kind, count)| (Kind::as_str(*kind), *count));
    head(admitted, "counter", "Requests let in, by what.", lines(admitted, "by", &mut by));
    let mut why = counts.refused.iter().copied();
    head(refused, "counter", "Requests not let in, by why.", lines(refused, "reason", &mut why));
    let hashed = "rowhouse_passwords_hashed_total";
    head(
        hashed,
        "counter",
        "Passwords that were hashed to be checked.",
        format!("{hashed} {}\n", counts.hashed),
    );
    let known = "rowhouse_credentials_known";
    let mut kinds = [
        ("token", counts.tokens),
        ("user", counts.users),
        ("key", counts.keys),
        ("remembered", counts.remembered),
    ]
    .into_iter()
    .map(|(word, count)| (word, count as u64));
    head(
        known,
        "gauge",
        "What one may come in by, and credentials that are remembered.",
        lines(known, "kind", &mut kinds),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_access::{Access, Credentials};

    #[tokio::test]
    async fn who_comes_in_is_counted_by_words_of_the_code() {
        let access = Access::default();
        let from = std::net::Ipv4Addr::LOCALHOST.into();
        access.authenticate(Credentials::None, from).await.expect("anybody");
        access.require();
        access.authenticate(Credentials::Bearer("rh_secret"), from).await.expect_err("nobody");
        let mut out = String::new();
        write_access(&access.counts(), &mut out);
        for line in [
            "rowhouse_credentials_admitted_total{by=\"nothing\"} 1",
            "rowhouse_credentials_refused_total{reason=\"invalid\"} 1",
            "rowhouse_passwords_hashed_total 0",
            "rowhouse_credentials_known{kind=\"token\"} 0",
        ] {
            assert!(out.lines().any(|found| found == line), "no {line} in:\n{out}");
        }
        assert!(!out.contains("secret"));
    }
}
