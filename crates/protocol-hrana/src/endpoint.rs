//! Who answers a request, by what is left of its path when the database has been read off it.
use crate::error::Form;
use http::request::Parts;
use http::{HeaderMap, Method, header};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Hrana over HTTP.
    Hrana,
    /// Hrana over WebSocket.
    Socket,
    /// Plain SQL.
    Query,
    /// A feed of changes, as events or over WebSocket.
    Live,
}

impl Endpoint {
    /// Who answers at this path, if anybody does.
    pub(crate) fn of(rest: &str, head: &Parts) -> Option<Self> {
        Some(match rest {
            "/query" => Self::Query,
            "/live" => Self::Live,
            _ if wants_socket(&head.method, &head.headers) => Self::Socket,
            "/v1/execute" | "/v1/batch" => Self::Hrana,
            "/v2" | "/v2/" | "/v2/pipeline" | "/v3" | "/v3/" | "/v3/pipeline" | "/v3/cursor" => Self::Hrana,
            "/v3-protobuf" | "/v3-protobuf/" | "/v3-protobuf/pipeline" | "/v3-protobuf/cursor" => Self::Hrana,
            _ => return None,
        })
    }

    /// How it says what went wrong.
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Hrana | Self::Socket => Form::Hrana,
            Self::Query | Self::Live => Form::Plain,
        }
    }
}

/// Whether the request asks to go on as a WebSocket.
pub(crate) fn wants_socket(method: &Method, headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    *method == Method::GET && upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn endpoint(rest: &str, upgrade: Option<&str>) -> Option<Endpoint> {
        let mut request = Request::get(rest);
        if let Some(upgrade) = upgrade {
            request = request.header(header::UPGRADE, upgrade);
        }
        Endpoint::of(rest, &request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn the_path_says_who_answers_and_a_socket_may_be_asked_for_anywhere_else() {
        assert_eq!(endpoint("/v2/pipeline", None), Some(Endpoint::Hrana));
        assert_eq!(endpoint("/v3-protobuf/cursor", None), Some(Endpoint::Hrana));
        assert_eq!(endpoint("/query", None), Some(Endpoint::Query));
        assert_eq!(endpoint("/live", Some("websocket")), Some(Endpoint::Live));
        assert_eq!(endpoint("/", Some("WebSocket")), Some(Endpoint::Socket));
        assert_eq!(endpoint("/v2", Some("websocket")), Some(Endpoint::Socket));
        assert_eq!(endpoint("/", Some("h2c")), None);
        assert_eq!(endpoint("/v4/pipeline", None), None);
        assert_eq!(endpoint("/queryx", None), None);
    }
}
