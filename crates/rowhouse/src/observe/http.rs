//! What was answered over HTTP, in Prometheus' text format. Labels are words of the code's.
use std::fmt::Write as _;

/// Appends who answered, with which kind of status, how often.
pub(crate) fn write_http(counts: &[(&'static str, &'static str, u64)], out: &mut String) {
    let name = "rowhouse_http_requests_total";
    let help = "Requests over HTTP that were answered, by who answered and the kind of status.";
    write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n").expect("into memory");
    for (endpoint, status, count) in counts {
        writeln!(out, "{name}{{endpoint=\"{endpoint}\",status=\"{status}\"}} {count}").expect("into memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_one_family() {
        let mut out = String::new();
        write_http(&[("query", "2xx", 3), ("none", "4xx", 1)], &mut out);
        let lines: Vec<_> = out.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "rowhouse_http_requests_total{endpoint=\"query\",status=\"2xx\"} 3",
                "rowhouse_http_requests_total{endpoint=\"none\",status=\"4xx\"} 1",
            ]
        );
    }
}
