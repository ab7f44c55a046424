//! What is answered without a database: that the server lives, which version it is, and what it is at all.
use crate::body::Body;
use crate::call::Answer;
use crate::endpoint::wants_socket;
use crate::error::{Fault, Form};
use crate::shared::Shared;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};

/// The page for a person who looks what is here.
const ABOUT: &str = include_str!("page/about.txt");

/// The answer, if this path concerns no database.
pub(crate) fn serve(head: &Parts, shared: &Shared) -> Option<Answer> {
    let plain = "text/plain; charset=utf-8";
    let (kind, text) = match head.uri.path() {
        _ if wants_socket(head) => return None,
        "/" => (plain, ABOUT.to_owned()),
        "/health" => (plain, "ok\n".to_owned()),
        "/version" => (plain, format!("rowhouse {}\n", shared.context.settings.version)),
        "/openapi.json" => ("application/json", description(shared.context.settings.version)),
        _ => return None,
    };
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let mut response = Fault::wrong_method("GET").response(Form::Plain);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    let mut response = Response::new(Body::full(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}

/// What is asked here without a driver, as OpenAPI.
fn description(version: &str) -> String {
    let mut description = rowhouse_wire::query::description();
    description.info.version = version.to_owned();
    // It is served where what it describes is.
    description.paths.paths.values_mut().for_each(|path| path.servers = None);
    let mut text = description.to_pretty_json().expect("a description is JSON");
    text.push('\n');
    text
}
