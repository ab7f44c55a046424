//! What the command of that name of ShibuDB says around an answer, under its name.
use super::super::api::{Answer, Api, Question};
use std::io::{self, Write};

/// Before anything is tried.
pub(super) fn before(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Testing connectivity to management server...")
}

/// Once there is an answer, before what it says.
pub(super) fn reached(
    api: &Api,
    question: &Question,
    answer: Option<&Answer>,
    out: &mut impl Write,
) -> io::Result<()> {
    let port = api.port();
    writeln!(out, "✓ Port {port} is listening")?;
    writeln!(out, "✓ Management server is accessible")?;
    let stats = answer.filter(|_| question.path() == "/stats");
    if stats.is_some() {
        writeln!(out, "Connecting to management server at: {}", api.url(""))?;
    }
    writeln!(out, "Making request to: {} {}", question.method(), api.url(question.path()))?;
    match stats {
        Some(answer) => writeln!(out, "Response status: {}", answer.status),
        None => Ok(()),
    }
}
