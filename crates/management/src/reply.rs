//! Answers: compact JSON with a newline at its end, or the two plain texts that scripts know.
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use rowhouse_wire::management::{DecreaseRefused, Failed, Malformed};
use serde::Serialize;

/// A success, with what is told of it.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Why a request is not done. Its text is for the caller.
#[derive(Debug)]
pub(crate) enum Problem {
    /// For this reason.
    Failed(StatusCode, String),
    /// A decrease would fall below what is active.
    Decrease(Box<DecreaseRefused>),
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut body = serde_json::to_vec(value).expect("texts, numbers and maps by text");
    body.push(b'\n');
    text(status, "application/json", body)
}

/// An answer of this type.
pub(crate) fn text(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body.into()).into_response()
}

/// What a path is answered with that is none of ours.
pub(crate) async fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
}

/// What a method is answered with that the path does not take; who routes says which it takes.
pub(crate) async fn method_not_allowed() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "Method not allowed\n")
}

/// Leaves HEAD out of the methods a path takes: the router answers it, we do not.
pub(crate) fn correct_allow(response: &mut Response) {
    let Some(allowed) = response.headers().get(ALLOW).and_then(|allowed| allowed.to_str().ok()) else {
        return;
    };
    let methods: Vec<_> = allowed.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
    if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(ALLOW, allowed);
    }
}

// === impl Problem ===

impl Problem {
    /// What was asked for makes no sense.
    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::Failed(StatusCode::BAD_REQUEST, error.into())
    }

    /// There is no such thing.
    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::Failed(StatusCode::NOT_FOUND, error.into())
    }

    /// What is so now is in the way.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::Failed(StatusCode::CONFLICT, error.into())
    }

    /// It cannot be done now.
    pub(crate) fn unavailable(error: impl Into<String>) -> Self {
        Self::Failed(StatusCode::SERVICE_UNAVAILABLE, error.into())
    }

    /// Something failed that the caller can do nothing about; the log has more.
    pub(crate) fn internal(error: impl Into<String>) -> Self {
        Self::Failed(StatusCode::INTERNAL_SERVER_ERROR, error.into())
    }
}

impl From<Malformed> for Problem {
    fn from(error: Malformed) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Failed(status, error) => {
                let mut response = json(status, &Failed::new(error));
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = HeaderValue::from_static("Bearer realm=\"rowhouse management\"");
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Self::Decrease(refused) => json(StatusCode::BAD_REQUEST, &*refused),
        }
    }
}
