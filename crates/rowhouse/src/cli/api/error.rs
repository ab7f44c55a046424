//! Why a question to the management API has no good answer, and what to do then.
use super::super::Failure;
use super::super::table::plain;
use super::Answer;
use hyper::StatusCode;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// Why a question has no good answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ApiError {
    /// Nobody listens there, or nobody can be reached.
    #[error("Failed to connect to management server: {}", reason(source))]
    Unreachable {
        /// The port asked.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Who listens there proves no identity that is trusted.
    #[error("Failed to connect to management server: {0}")]
    Untrusted(io::Error),
    /// No answer in time.
    #[error("Failed to connect to management server: no answer within {}", humantime::format_duration(*.0))]
    Slow(Duration),
    /// Who listens there speaks something else.
    #[error("the answer is none of a management server: {0}")]
    NotHttp(hyper::Error),
    /// The answer is larger than any.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The server does not do what it was asked.
    #[error("{message}")]
    Refused {
        /// As what.
        status: StatusCode,
        /// Why.
        message: String,
        /// The answer.
        answer: Answer,
    },
    /// The answer is none that this program knows.
    #[error("the server answers what this program does not understand ({0}): are both of one version?")]
    Unknown(serde_json::Error),
}

// === impl ApiError ===

impl ApiError {
    /// That the server answered that it does not.
    pub(super) fn refused(answer: Answer) -> Self {
        let text = answer.text();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = match (body["error"].as_str(), text.as_str()) {
            (Some(error), _) => plain(error),
            (None, "") => format!("the server answers {}", answer.status),
            (None, text) => format!("the server answers {}: {}", answer.status, plain(text)),
        };
        Self::Refused { status: answer.status, message, answer }
    }

    /// What the server answered as it was sent, where that is JSON.
    pub(in crate::cli) fn json(&self) -> Option<String> {
        let Self::Refused { answer, .. } = self else { return None };
        let text = answer.text();
        serde_json::from_str::<Value>(&text).is_ok().then_some(text)
    }

    /// What to look at, a line each.
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreachable { port, .. } => {
                let main = port.checked_sub(rowhouse_wire::management::PORT_OFFSET);
                let main = main.map_or_else(String::new, |main| format!(" {main}"));
                vec![
                    format!(
                        "Is the server running and healthy? `curl http://localhost:{port}/health` tells on its machine"
                    ),
                    format!(
                        "Is its main port{main}? The management port is the main port + 1000, here {port}, unless --management-port says another"
                    ),
                    format!(
                        "Does a firewall stand between? It must let port {port} through; or use a tunnel: ssh -L {port}:localhost:{port} HOST"
                    ),
                ]
            }
            Self::Slow(_) => vec!["The server is there but busy or stuck; --timeout waits longer".to_owned()],
            Self::Untrusted(_) => vec![
                "--cacert FILE names the certificate (PEM) to trust".to_owned(),
                "One that signs itself must not be an authority's: make it with basicConstraints=CA:FALSE"
                    .to_owned(),
            ],
            Self::NotHttp(_) => {
                vec![
                    "Is this the management port? It is the main port + 1000, and https where TLS is on"
                        .to_owned(),
                ]
            }
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } => {
                vec!["--token-file FILE, or ROWHOUSE_MANAGEMENT_TOKEN_FILE, names the file with the server's token".to_owned()]
            }
            Self::Refused { answer, .. } => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let least = body["minimum_allowed"].as_u64();
                least.map(|least| format!("Minimum Allowed: {least} (--drain goes lower: nobody is cut off, newcomers are refused until it fits)")).into_iter().collect()
            }
            Self::TooLarge(_) | Self::Unknown(_) => Vec::new(),
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let hints = error.hints();
        let lines = [format!("Error: {error}")].into_iter().chain(hints);
        Self::new(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Why nobody is reached, in the words that are documented.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::TimedOut => "connection timed out".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}
