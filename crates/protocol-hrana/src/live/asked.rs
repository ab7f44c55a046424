//! What is asked for: `?table=a&table=b&from=POSITION`, and the header `Last-Event-ID`.
use crate::error::Fault;
use http::request::Parts;
use rowhouse_gateway::{Position, Subscribe};
use rowhouse_types::ErrorCode;

/// The most tables that one may ask for.
const TABLES_MAX: usize = 64;

/// How a browser says where it was when it comes again. It comes again with the address it came with first,
/// so this says more than that.
const LAST_EVENT_ID: &str = "last-event-id";

/// Reads what is asked for.
pub(super) fn read(head: &Parts) -> Result<Subscribe, Fault> {
    let mut what = Subscribe::default();
    for pair in head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| malformed("a value of the query is no text"))?;
        match name {
            "table" if value.is_empty() => return Err(malformed("a table has no name")),
            "table" => what.tables.push(value),
            "from" => what.from = Some(position(&value)?),
            _ => return Err(malformed("the query has something else than table and from")),
        }
    }
    if TABLES_MAX < what.tables.len() {
        return Err(malformed(&format!("more than {TABLES_MAX} tables are asked for")));
    }
    if let Some(last) = head.headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty()) {
        what.from = Some(position(last.to_str().unwrap_or_default())?);
    }
    Ok(what)
}

fn position(text: &str) -> Result<Position, Fault> {
    text.parse().map_err(|_invalid| malformed("the position to go on from is none that was told"))
}

fn malformed(message: &str) -> Fault {
    Fault::new(ErrorCode::MalformedRequest, message)
        .hint("ask for /live?table=NAME, as often as there are tables, with from=POSITION to go on")
}

/// The text behind percent signs and plus signs; none if it is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn ask(path: &str, last: Option<&str>) -> Result<Subscribe, Fault> {
        let mut request = Request::get(path);
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        read(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn tables_and_where_to_go_on_are_read() {
        let what = ask("/live?table=a&table=b%20c%C3%A9+d&from=0123456789abcdef-7", None).unwrap();
        assert_eq!(what.tables, ["a", "b cé d"]);
        assert_eq!(what.from.unwrap().to_string(), "0123456789abcdef-7");
        let what = ask("/live?from=0123456789abcdef-7", Some("0123456789abcdef-9")).unwrap();
        assert_eq!(what.from.unwrap().to_string(), "0123456789abcdef-9", "it is the later one");
        assert_eq!(ask("/live", Some("")).unwrap(), Subscribe::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let many = format!("/live?{}", "table=a&".repeat(TABLES_MAX + 1));
        for path in
            ["/live?table=", "/live?tables=a", "/live?from=1", "/live?table=%f", "/live?table=%ff", &many]
        {
            assert_eq!(ask(path, None).unwrap_err().code, ErrorCode::MalformedRequest, "{path}");
        }
        assert!(ask("/live", Some("1")).is_err());
    }
}
