//! What a client is told when something goes wrong: the same words and statuses as over rowhouse's own HTTP.
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};
use rowhouse_wire::query::{QueryError, failure, status};

/// After how many seconds it is worth to come again, where coming again helps.
const LATER: HeaderValue = HeaderValue::from_static("1");

/// What went wrong, as told to a client: `{"error": {"code", "message", "hint"}}` with the status of the code.
///
/// It is made of any error of rowhouse's with `?`. What is not the client's doing is told without details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In HTTP's terms.
    pub status: StatusCode,
    /// For programs.
    pub code: ErrorCode,
    /// What it was.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

// === impl Failure ===

impl Failure {
    /// A failure with the status of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status(code)).expect("a status of HTTP's");
        Self { status, code, message: message.into(), hint: None }
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl<E: Reportable> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = Self { hint: error.hint(), ..Self::new(error.code(), error.public_message()) };
        match error.kind() {
            // The same words for a fault of the client's and one of ours: the kind tells them apart.
            ErrorKind::Engine | ErrorKind::Internal if failure.status.is_client_error() => {
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..failure }
            }
            _ => failure,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, code, message, hint } = self;
        let body = failure(&QueryError { code: code.as_str(), message: &message, hint: hint.as_deref() });
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, LATER);
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
