//! Prometheus' text format, version 0.0.4: families of samples, written one after the other.
use std::fmt::{Display, Write as _};

/// The content type.
pub(crate) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Something that only grows.
    Counter,
    /// Something that is so many now.
    Gauge,
}

/// Families, as text.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    pub(crate) text: String,
}

impl Exposition {
    /// Begins a family; its samples follow.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let text = &mut self.text;
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a text takes all");
        Family { text, name }
    }

    /// A gauge without labels.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help).sample(&[], value);
    }

    /// A counter without labels.
    pub(crate) fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help).sample(&[], value);
    }
}

/// A family that was begun.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// One sample.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let Self { text, name } = self;
        text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            write!(text, "{label}=\"").expect("a text takes all");
            escape(text, value);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        writeln!(text, " {value}").expect("a text takes all");
        self
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut exposition = Exposition::default();
        exposition.gauge("a", "What it is.", 1.5);
        exposition.family("b_total", Kind::Counter, "How many.").sample(&[("x", "1\"\n\\"), ("y", "")], 2);
        assert_eq!(
            exposition.text,
            "# HELP a What it is.\n# TYPE a gauge\na 1.5\n# HELP b_total How many.\n# TYPE b_total counter\nb_total{x=\"1\\\"\\n\\\\\",y=\"\"} 2\n"
        );
    }
}
