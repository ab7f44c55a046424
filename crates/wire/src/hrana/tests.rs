use super::*;
use rowhouse_types::{Value, ValueRef};
use serde_json::json;
use std::time::Duration;

fn pipeline(body: &serde_json::Value) -> Result<PipelineRequest, Malformed> {
    decode_pipeline(body.to_string().as_bytes(), Encoding::Json)
}

#[test]
fn a_pipeline_is_read_whatever_the_order_of_its_keys() {
    let body = br#"{"requests":[{"stmt":{"args":[{"value":"-9223372036854775808","type":"integer"},
        {"type":"float","value":1.5},{"type":"text","value":"a\u0000\ud83d\ude00"},{"type":"null"},
        {"base64":"AP8=","type":"blob"},{"type":"blob","base64":"AP8"}],"sql":"SELECT ?","unknown":[{}]},
        "type":"execute"},{"type":"close"}],"baton":"b"}"#;
    let request = decode_pipeline(body, Encoding::Json).unwrap();
    let blob = Value::Blob(vec![0, 255].into());
    let statement = Statement {
        sql: Sql::Text("SELECT ?".into()),
        args: vec![
            Value::Integer(i64::MIN),
            Value::Real(1.5),
            Value::Text("a\0😀".into()),
            Value::Null,
            blob.clone(),
            blob,
        ],
        named_args: vec![],
        want_rows: true,
    };
    let requests = vec![StreamRequest::Work(Work::Execute(statement)), StreamRequest::Close];
    assert_eq!(request, PipelineRequest { baton: Some("b".into()), requests });
}

#[test]
fn the_place_of_what_is_wrong_is_told() {
    let step = |condition| json!({"stmt": {"sql": "x"}, "condition": condition});
    let batch =
        |steps: serde_json::Value| json!({"requests": [{"type": "batch", "batch": {"steps": steps}}]});
    let cases = [
        (json!({}), "requests is missing"),
        (json!({"requests": [{"type": "close"}, {"type": "close"}]}), "requests[1]: close must be the last"),
        (json!({"requests": [{"type": "dance"}]}), "requests[0].type: this word is unknown; known are close"),
        (batch(json!([step(json!({"type": "ok", "step": 0}))])), "requests[0].batch.steps[0].condition: "),
        (
            json!({"requests": [{"type": "execute", "stmt": {"sql": "x", "sql_id": 1}}]}),
            "requests[0].stmt: sql and",
        ),
        (
            json!({"requests": [{"type": "execute", "stmt": {"sql": "x", "args": [{"type": "integer", "value": "1.5"}]}}]}),
            "requests[0].stmt.args[0].value: this must be the decimal digits",
        ),
    ];
    for (body, expected) in cases {
        let error = pipeline(&body).expect_err(expected).to_string();
        assert!(error.starts_with(expected) || error.contains(expected), "{error} instead of {expected}");
    }
}

fn summary() -> Summary {
    Summary {
        affected_row_count: 1,
        last_insert_rowid: Some(-7),
        rows_read: 2,
        rows_written: 3,
        duration: Duration::from_micros(1250),
    }
}

const COLUMNS: [Column<'static>; 2] =
    [Column { name: "a", decltype: Some("INTEGER") }, Column { name: "b\"", decltype: None }];

#[test]
fn a_pipeline_is_answered_as_documented() {
    let mut writer = PipelineWriter::new(Encoding::Json);
    let mut result = writer.answer().execute();
    result.columns(COLUMNS);
    result.row([ValueRef::Integer(i64::MAX), ValueRef::Text("\0\n😀")].into_iter());
    result.row([ValueRef::Real(f64::INFINITY), ValueRef::Blob(&[0, 255])].into_iter());
    result.row([ValueRef::Real(1.0), ValueRef::Null].into_iter());
    result.finish(&summary());
    let mut result = writer.answer().execute();
    result.columns(COLUMNS);
    result.row([ValueRef::Null, ValueRef::Null].into_iter());
    result.fail(&Error { message: "no", code: "SQLITE_ERROR", extended_code: Some("X") });
    writer.answer().done(Done::Close);
    let body: serde_json::Value = serde_json::from_slice(&writer.finish(Some("b"), None)).unwrap();
    let expected = json!({"baton": "b", "base_url": null, "results": [
        {"type": "ok", "response": {"type": "execute", "result": {
            "cols": [{"name": "a", "decltype": "INTEGER"}, {"name": "b\"", "decltype": null}],
            "rows": [
                [{"type": "integer", "value": "9223372036854775807"}, {"type": "text", "value": "\0\n😀"}],
                [{"type": "float", "value": null}, {"type": "blob", "base64": "AP8"}],
                [{"type": "float", "value": 1.0}, {"type": "null"}],
            ],
            "affected_row_count": 1, "last_insert_rowid": "-7", "replication_index": null,
            "rows_read": 2, "rows_written": 3, "query_duration_ms": 1.25,
        }}},
        {"type": "error", "error": {"message": "no", "code": "SQLITE_ERROR", "extended_code": "X"}},
        {"type": "ok", "response": {"type": "close"}},
    ]});
    assert_eq!(body, expected);
}

#[test]
fn a_batch_is_answered_step_by_step() {
    let body = Answer::alone(|answer| {
        let mut batch = answer.batch();
        batch.step().finish(&Summary::default());
        let mut failing = batch.step();
        failing.columns(COLUMNS);
        failing.fail(&Error::new("midway", "A"));
        batch.skip();
        batch.fail_step(&Error::new("at once", "B"));
        batch.finish();
    });
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let done = json!({"cols": [], "rows": [], "affected_row_count": 0, "last_insert_rowid": null,
        "replication_index": null, "rows_read": 0, "rows_written": 0, "query_duration_ms": 0.0});
    let expected = json!({"result": {
        "step_results": [done, null, null, null],
        "step_errors": [null, {"message": "midway", "code": "A"}, null, {"message": "at once", "code": "B"}],
        "replication_index": null,
    }});
    assert_eq!(body, expected);
}
