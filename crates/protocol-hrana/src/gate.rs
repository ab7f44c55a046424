//! The gate: who may ask at all, decided before it is looked who it is and what for.
//!
//! Invariant: a web page in a browser gets nothing done here unless its origin is listed. By a name of its own
//! it is refused for the name, wherever nobody has to say who they are; by ours for its origin; and no answer
//! lets an origin read it that is not listed.
use crate::body::Body;
use crate::call::Answer;
use crate::error::Fault;
use crate::line::Line;
use http::header::{self, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use rowhouse_gateway::routing::{Hosts, Router};
use rowhouse_types::ErrorCode;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// For how many seconds a browser may remember that it may ask.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// What a page may send unless it asks for something else.
const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-namespace, x-org-id, last-event-id");

/// The web pages that may ask, by origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but the server's own.
    #[default]
    Own,
    /// These as well, such as `https://app.example.com`.
    These(Vec<String>),
    /// All there are.
    Any,
}

/// The gate of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Hosts,
    origins: Origins,
}

/// A web page that may read what it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page(HeaderValue);

// === impl Gate ===

impl Gate {
    pub(crate) fn new(hosts: &[String], origins: Origins) -> Self {
        Self { hosts: Hosts::new(hosts), origins }
    }

    /// Whether it is called by a name of ours: where anybody may ask, a page could call it by one of its own,
    /// which leads to this machine.
    pub(crate) fn check_host(&self, line: &Line, head: &Parts, router: &Router) -> Result<(), Fault> {
        if !line.to.to_canonical().is_loopback() {
            return Ok(());
        }
        let is_ours = |host: &str| self.hosts.allow(host, line.to) || router.covers(host);
        if hosts(head).all(|host| str::from_utf8(host).is_ok_and(is_ours)) {
            return Ok(());
        }
        let message = "this host is not served to callers who need not say who they are";
        let hint = "call it localhost, 127.0.0.1 or [::1], or ask the operator to add the name to http_allowed_hosts or base_domains";
        Err(Fault::new(ErrorCode::Forbidden, message).hint(hint))
    }

    /// The page that asks, if it is one of another origin.
    ///
    /// # Errors
    ///
    /// When it may not ask.
    pub(crate) fn check_origin(&self, head: &Parts) -> Result<Option<Page>, Fault> {
        let headers = &head.headers;
        let Some(origin) = headers.get(ORIGIN) else {
            let same_site = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
            return match headers.get_all(SEC_FETCH_SITE).iter().all(same_site) || self.origins == Origins::Any
            {
                true => Ok(None),
                false => Err(foreign()),
            };
        };
        let bare = origin.as_bytes();
        let bare = bare.strip_prefix(b"http://").or_else(|| bare.strip_prefix(b"https://")).unwrap_or(b"");
        if !bare.is_empty() && hosts(head).next().is_some_and(|host| host.eq_ignore_ascii_case(bare)) {
            return Ok(None);
        }
        let listed = match &self.origins {
            Origins::Own => false,
            Origins::These(these) => {
                these.iter().any(|this| this.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
            }
            Origins::Any => true,
        };
        if listed && headers.get_all(ORIGIN).iter().count() == 1 {
            Ok(Some(Page(origin.clone())))
        } else {
            Err(foreign())
        }
    }
}

/// Whether a browser asks whether a page may ask.
pub(crate) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a browser is told that asks whether a page may ask: what the page wants, if it may.
pub(crate) fn preflight(head: &Parts) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let wanted = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}

/// The names by which the server was called: one, unless somebody plays tricks.
pub(crate) fn hosts(head: &Parts) -> impl Iterator<Item = &[u8]> {
    let named = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    named.chain(head.uri.authority().map(|authority| authority.as_str().as_bytes()))
}

fn foreign() -> Fault {
    let message = "web pages of this origin may not ask";
    Fault::new(ErrorCode::Forbidden, message)
        .hint("ask the operator to add the origin to http_allowed_origins")
}

// === impl Page ===

impl Page {
    /// Lets the page read the answer.
    pub(crate) fn let_read(self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::post("/query"), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    fn gate(origins: Origins) -> Gate {
        Gate::new(&["db.example.org".to_owned()], origins)
    }

    #[test]
    fn a_page_asks_only_if_its_origin_is_ours_or_listed() {
        let listed = Origins::These(vec!["https://app.example.com".to_owned()]);
        let asks = |origins: &Origins, headers: &[(&str, &str)]| {
            let asked =
                gate(origins.clone()).check_origin(&head(&[&[("host", "localhost:9090")], headers].concat()));
            asked.map(|page| page.is_some()).ok()
        };
        // Who is no browser says nothing.
        assert_eq!(asks(&Origins::Own, &[]), Some(false));
        assert_eq!(asks(&Origins::Own, &[("origin", "http://localhost:9090")]), Some(false));
        assert_eq!(asks(&Origins::Own, &[("sec-fetch-site", "same-origin")]), Some(false));
        for stranger in ["https://app.example.com", "http://localhost:3000", "null", "", "localhost:9090"] {
            assert_eq!(asks(&Origins::Own, &[("origin", stranger)]), None, "{stranger}");
        }
        assert_eq!(asks(&Origins::Own, &[("sec-fetch-site", "cross-site")]), None);
        assert_eq!(asks(&listed, &[("origin", "https://app.example.com")]), Some(true));
        assert_eq!(asks(&listed, &[("origin", "https://app.example.com.evil.com")]), None);
        let twice = [("origin", "https://app.example.com"), ("origin", "https://evil.com")];
        assert_eq!(asks(&listed, &twice), None);
        assert_eq!(asks(&Origins::Any, &[("origin", "null")]), Some(true));
        assert_eq!(asks(&Origins::Any, &[("sec-fetch-site", "cross-site")]), Some(false));
    }
}
