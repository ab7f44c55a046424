//! What clients are told when something goes wrong: the one mapping of failures to HTTP.
use crate::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use rowhouse_access::AuthError;
use rowhouse_engine::EngineError;
use rowhouse_gateway::routing::RouteError;
use rowhouse_gateway::{AcquireError, ClientsFull, ConnectError, OpenError};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use rowhouse_wire::hrana::Malformed;
use rowhouse_wire::query::{QueryError, failure};
use std::time::Duration;

/// For how long a client should leave us alone that came at a bad time.
const LATER: Duration = Duration::from_secs(1);

/// What went wrong, as told to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In HTTP's terms.
    pub(crate) status: StatusCode,
    /// For programs.
    pub(crate) code: ErrorCode,
    /// What it was.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// When to come again, where coming again helps.
    pub(crate) retry_after: Option<Duration>,
    /// Whether some of the request was not read, which is in the way of the next one.
    pub(crate) is_unread: bool,
}

/// How a fault is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"message", "code"}`, as clients of Hrana read it; what to do next is part of the message.
    Hrana,
    /// `{"error": {"code", "message", "hint"}}`.
    Plain,
}

// === impl Form ===

impl Form {
    /// The form of who would answer the request, before it is known who does.
    pub(crate) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        if path.ends_with("/query") || path.ends_with("/live") { Self::Plain } else { Self::Hrana }
    }
}

// === impl Fault ===

impl Fault {
    /// A fault with the status of its code.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = status(code);
        let again = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let retry_after = again.then_some(LATER);
        Self { status, code, message: message.into(), hint: None, retry_after, is_unread: false }
    }

    /// What any error of ours says to a stranger.
    pub(crate) fn of(error: &impl Reportable) -> Self {
        let fault = Self { hint: error.hint(), ..Self::new(error.code(), error.public_message()) };
        match (error.kind(), fault.status) {
            // The same words for a fault of the client's and one of ours: the kind tells them apart.
            (ErrorKind::Engine | ErrorKind::Internal, status) if status.is_client_error() => {
                fault.status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => fault,
        }
    }

    /// The same, with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same; some of the request was not read.
    pub(crate) fn unread(mut self) -> Self {
        self.is_unread = true;
        self
    }

    /// There is nothing at this path.
    pub(crate) fn no_such_path() -> Self {
        let hint = "Hrana is at /v2/pipeline, /v3/pipeline and /v3/cursor, plain SQL at /query, after the database's prefix if it has one";
        Self::new(ErrorCode::MalformedRequest, "there is nothing at this path")
            .status(StatusCode::NOT_FOUND)
            .hint(hint)
    }

    /// There is something at this path, for these methods.
    pub(crate) fn wrong_method(allowed: &'static str) -> Self {
        Self::new(ErrorCode::MalformedRequest, format!("this path takes {allowed} only"))
            .status(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// The answer that says so.
    pub(crate) fn response(&self, form: Form) -> Response<Body> {
        let Self { code, message, hint, .. } = self;
        let text = match form {
            Form::Hrana => {
                let message = match hint {
                    Some(hint) => format!("{message}: {hint}"),
                    None => message.clone(),
                };
                let code = code.as_str().to_ascii_uppercase();
                serde_json::json!({ "message": message, "code": code }).to_string().into_bytes()
            }
            Form::Plain => failure(&QueryError { code: code.as_str(), message, hint: hint.as_deref() }),
        };
        self.with_body(&HeaderValue::from_static("application/json"), text)
    }

    /// The answer that says so in a form of the endpoint's own.
    pub(crate) fn with_body(&self, kind: &HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, kind.clone());
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // Who is one too many has no permit to stay with.
        if self.is_unread || self.code == ErrorCode::ClientLimitReached {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// No session could be had.
impl From<&ConnectError> for Fault {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Open(OpenError::Engine(source) | OpenError::Create(source))
            | ConnectError::Acquire(AcquireError::Connect(source)) => source.into(),
            ConnectError::Open(OpenError::NotFound | OpenError::CreationNotAllowed) => {
                Self { hint: error.hint(), ..not_found(error.code()) }
            }
            ConnectError::Acquire(AcquireError::TooOften { retry_after, .. }) => {
                Self { retry_after: Some(*retry_after), ..Self::of(error) }
            }
            error => Self::of(error),
        }
    }
}

/// A statement failed, or its database could not be opened.
impl From<&EngineError> for Fault {
    fn from(error: &EngineError) -> Self {
        match error {
            EngineError::NoSuchDatabase | EngineError::NameTaken => {
                Self { hint: error.hint(), ..not_found(error.code()) }
            }
            error => Self::of(error),
        }
    }
}

/// Nobody presents these credentials.
impl From<&AuthError> for Fault {
    fn from(error: &AuthError) -> Self {
        let fault = Self::of(error);
        Self { retry_after: error.retry_after().or(fault.retry_after), ..fault }
    }
}

/// It cannot be told which database a request is for.
impl From<&RouteError> for Fault {
    fn from(error: &RouteError) -> Self {
        Self::of(error)
    }
}

/// A request of Hrana's breaks a rule.
impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::new(ErrorCode::MalformedRequest, malformed.to_string())
    }
}

/// As many clients are connected as may be.
impl From<&ClientsFull> for Fault {
    fn from(error: &ClientsFull) -> Self {
        Self::of(error)
    }
}

/// A name that leads nowhere, whatever the reason: one text, for strangers must not learn which.
fn not_found(code: ErrorCode) -> Fault {
    Fault::new(code, "there is no such database")
}

/// What a code is in HTTP's terms.
fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(rowhouse_wire::query::status(code)).expect("a status of HTTP's")
}
