use super::*;
use rowhouse_types::{Arguments, Value, ValueRef};

fn written(format: Format, columns: &[&str], rows: &[&[ValueRef<'_>]]) -> String {
    let mut writer = ResultWriter::new(format, columns.iter().copied());
    rows.iter().for_each(|row| writer.row(row.iter().copied()));
    writer.finish(0, None);
    String::from_utf8(writer.take()).unwrap()
}

const ROW: [ValueRef<'_>; 8] = [
    ValueRef::Null,
    ValueRef::Integer((1 << 53) - 1),
    ValueRef::Integer(1 << 53),
    ValueRef::Real(0.1),
    ValueRef::Real(f64::NEG_INFINITY),
    ValueRef::Text("a\"\0,é"),
    ValueRef::Text(""),
    ValueRef::Blob(&[0, 255]),
];

#[test]
fn json_has_columns_rows_and_counts() {
    let text = written(Format::Json, &["a", "b", "c", "d", "e", "f", "g", "h"], &[&ROW, &ROW]);
    let row =
        r#"[null,9007199254740991,"9007199254740992",0.1,"-Infinity","a\"\u0000,é","",{"base64":"AP8"}]"#;
    let expected = format!(
        r#"{{"columns":["a","b","c","d","e","f","g","h"],"rows":[{row},{row}],"rows_affected":0,"last_insert_id":null}}"#
    ) + "\n";
    assert_eq!(text, expected);
}

#[test]
fn lines_are_objects_that_have_every_column_once() {
    let one = ValueRef::Integer(1);
    let text = written(Format::Lines, &["id", "id", "id_2", "id"], &[&[one; 4], &[one; 4]]);
    assert_eq!(text, "{\"id\":1,\"id_3\":1,\"id_2\":1,\"id_4\":1}\n".repeat(2));
}

#[test]
fn csv_quotes_what_needs_it_and_tells_null_from_nothing() {
    let text = written(Format::Csv, &["a", "b,", "c", "d", "e", "f", "g", "h"], &[&ROW]);
    let expected = "a,\"b,\",c,d,e,f,g,h\r\n\
                    ,9007199254740991,9007199254740992,0.1,-Infinity,\"a\"\"\0,é\",\"\",AP8\r\n";
    assert_eq!(text, expected);
}

#[test]
fn what_yields_no_rows_tells_what_it_changed_in_every_form() {
    let ended = |format| {
        let mut writer = ResultWriter::new(format, []);
        writer.finish(2, Some(i64::MAX));
        String::from_utf8(writer.take()).unwrap()
    };
    let counts = r#""rows_affected":2,"last_insert_id":"9223372036854775807"}"#;
    assert_eq!(ended(Format::Json), format!("{{\"columns\":[],\"rows\":[],{counts}\n"));
    assert_eq!(ended(Format::Lines), format!("{{{counts}\n"));
    assert_eq!(ended(Format::Csv), "rows_affected,last_insert_id\r\n2,9223372036854775807\r\n");
}

#[test]
fn what_broke_off_says_why_where_there_is_a_place_for_it() {
    let broken = |format| {
        let mut writer = ResultWriter::new(format, ["a"]);
        writer.row([ValueRef::Integer(1)].into_iter());
        writer.break_off(&QueryError { code: "x", message: "no", hint: Some("wait") });
        String::from_utf8(writer.take()).unwrap()
    };
    let error = r#""error":{"code":"x","message":"no","hint":"wait"}}"#;
    assert_eq!(broken(Format::Json), format!("{{\"columns\":[\"a\"],\"rows\":[[1]],{error}\n"));
    assert_eq!(broken(Format::Lines), format!("{{\"a\":1}}\n{{{error}\n"));
    assert_eq!(broken(Format::Csv), "a\r\n1\r\n");
}

#[test]
fn arguments_are_plain_json() {
    let body = br#"{"args":[null,true,1,-9223372036854775808,1.0,"\u00e9",{"base64":"AP8="}],"sql":"x"}"#;
    let blob = Value::Blob(vec![0, 255].into());
    let one = Value::Integer(1);
    let values = vec![
        Value::Null,
        one.clone(),
        one,
        Value::Integer(i64::MIN),
        Value::Real(1.0),
        Value::Text("é".into()),
        blob,
    ];
    let expected = QueryRequest { sql: "x".into(), arguments: Arguments::Positional(values) };
    assert_eq!(QueryRequest::decode(body), Ok(expected));
    let named = QueryRequest::decode(br#"{"sql":"x","args":{":a":1e2,"b":null}}"#).unwrap();
    let values = vec![("a".to_owned(), Value::Real(100.0)), ("b".to_owned(), Value::Null)];
    assert_eq!(named.arguments, Arguments::Named(values));
}

#[test]
fn what_is_wrong_with_a_query_is_said_where_it_is() {
    let cases = [
        ("", "the message ends too early (at byte 0)"),
        ("[]", "this must be an object, not an array (at byte 0)"),
        ("{}", "sql is missing (at byte 2)"),
        (r#"{"sql":"x","params":[]}"#, "params: this word is unknown; known are sql and args (at byte 20)"),
        (r#"{"sql":1}"#, "sql: this must be a string, not a number (at byte 7)"),
        (
            r#"{"sql":"x","args":[1,[2]]}"#,
            "args[1]: this must be null, a boolean, a number, a string or {\"base64\": \"...\"}, not an array (at byte 21)",
        ),
        (
            r#"{"sql":"x","args":[9223372036854775808]}"#,
            "args[0]: this must be an integer of 64 bits; with a decimal point it is a double (at byte 38)",
        ),
        (r#"{"sql":"x"} x"#, "something follows the message's end (at byte 12)"),
    ];
    for (body, expected) in cases {
        assert_eq!(QueryRequest::decode(body.as_bytes()).unwrap_err().to_string(), expected, "{body}");
    }
}

#[test]
fn the_header_accept_chooses_the_form() {
    let cases = [
        ("", Format::Json),
        ("*/*", Format::Json),
        ("text/html, */*;q=0.8", Format::Json),
        ("text/csv", Format::Csv),
        ("application/x-ndjson", Format::Lines),
        ("Application/JSONL", Format::Lines),
        ("application/json;q=0.5, text/csv;q=0.9", Format::Csv),
        ("text/csv;q=0, application/json", Format::Json),
        ("text/csv; charset=utf-8; q=1", Format::Csv),
        ("image/png", Format::Json),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::accepted(accept), format, "{accept}");
    }
}
