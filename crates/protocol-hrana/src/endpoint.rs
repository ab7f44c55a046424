//! Who answers a request, by what is left of its path when the database has been read off it.
use http::request::Parts;
use http::{Method, header};

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
            _ if wants_socket(head) => Self::Socket,
            "/v1/execute" | "/v1/batch" => Self::Hrana,
            "/v2/pipeline" | "/v3/pipeline" | "/v3/cursor" => Self::Hrana,
            "/v3-protobuf/pipeline" | "/v3-protobuf/cursor" => Self::Hrana,
            _ => return None,
        })
    }

    /// Whether who asks may say who they are in a first message.
    pub(crate) fn takes_hello(self) -> bool {
        self == Self::Socket
    }
}

/// Whether the request asks to go on as a WebSocket.
pub(crate) fn wants_socket(head: &Parts) -> bool {
    let upgrade = head.headers.get(header::UPGRADE);
    head.method == Method::GET && upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether the request asks which versions of Hrana there are: it concerns no database, whatever its path.
pub(crate) fn is_probe(head: &Parts) -> bool {
    let path = head.uri.path().trim_end_matches('/');
    let versions = ["/v2", "/v3", "/v3-protobuf"];
    matches!(head.method, Method::GET | Method::HEAD)
        && versions.iter().any(|version| path.ends_with(version))
        && !wants_socket(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(path: &str, upgrade: Option<&str>) -> Parts {
        let mut request = Request::get(path);
        if let Some(upgrade) = upgrade {
            request = request.header(header::UPGRADE, upgrade);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn endpoint(rest: &str, upgrade: Option<&str>) -> Option<Endpoint> {
        Endpoint::of(rest, &head(rest, upgrade))
    }

    #[test]
    fn versions_are_asked_for_below_any_database() {
        for path in ["/v2", "/v3/", "/v3-protobuf", "/db/acme/v3", "/tenants/acme/v2/"] {
            assert!(is_probe(&head(path, None)), "{path}");
            assert!(!is_probe(&head(path, Some("websocket"))), "{path}");
        }
        for path in ["/", "/v4", "/v2/pipeline", "/xv2", "/query"] {
            assert!(!is_probe(&head(path, None)), "{path}");
        }
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
