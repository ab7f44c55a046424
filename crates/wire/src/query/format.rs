//! The forms that results come in, and which of them a client wants.

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// One object.
    #[default]
    Json,
    /// An object for each row, each on a line.
    Lines,
    /// A record for each row, after one of the columns' names.
    Csv,
}

// === impl Format ===

impl Format {
    /// The form that a header `Accept` asks for; JSON when it asks for none of them.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (0, Self::Json);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(format) = parts.next().and_then(Self::of_type) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1000), weight);
            if let Some(weight) = weight
                && best.0 < weight
            {
                best = (weight, format);
            }
        }
        best.1
    }

    /// The type of the body, as in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    fn of_type(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("application/json") || is("*/*") || is("application/*") {
            return Some(Self::Json);
        }
        if ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
            .into_iter()
            .any(is)
        {
            return Some(Self::Lines);
        }
        (is("text/csv") || is("text/*")).then_some(Self::Csv)
    }
}

/// A weight such as `0.5`, in thousandths.
fn weight(text: &str) -> Option<u32> {
    let number: f64 = text.trim().parse().ok()?;
    (0.0..=1.0).contains(&number).then_some((number * 1000.0) as u32)
}
