//! Bytes as protobuf's own library writes them, and ours as it has read them.
use super::*;
use rowhouse_types::{Value, ValueRef};
use std::time::Duration;

const PIPELINE: &str = "0a0162124412420a400a0853454c454354203f1a020a001a0b10ffffffffffffffffff011a0919000000000000e0bf\
    1a0622046100c3a91a042a0200ff22080a023a78120210022800122b1a290a270a0d120b10ffffffffffffffffff010a160a10220e0a02\
    08000a041a0210000a02320012020a00120532031201781204220210071202420012020a00";

const OPEN_CURSOR: &str = "121208ffffffffffffffffff01320510ac021a00";

const HELLO: &str = "0a00";

const ANSWERS: &str = "1aa7020aa40212a1020a9e020a0c0a01611207494e54454745520a020a0012110a0b10ffffffffffffffffff010a020a0012d901\
    0a0919000000000000f07f0acb0122c8017878787878787878787878787878787878787878787878787878787878787878787878\
    78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878\
    78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878\
    78787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878\
    787878787878787878120a0a042a0200ff0a022200180120013002380341000000000000f83f1a330a311a2f0a2d0a130800120f\
    1800300038004100000000000000001216080212120a026e6f120c53514c4954455f4552524f521a240a222a200a1e0a040a023a\
    780a00120c0a01611207494e544547455212020a00180020011a060a04420208011a1412120a026e6f120c53514c4954455f4552\
    524f521a040a020a000a0162";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn statement(sql: Sql) -> Statement {
    Statement { sql, args: vec![], named_args: vec![], want_rows: true }
}

#[test]
fn a_pipeline_of_protobufs_own_library_is_understood() {
    let args = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Real(-0.5),
        Value::Text("a\0é".into()),
        Value::Blob(vec![0, 255].into()),
    ];
    let named_args = vec![("x".into(), Value::Integer(1))];
    let select = Statement { sql: Sql::Text("SELECT ?".into()), args, named_args, want_rows: false };
    let failed = Condition::Not(Box::new(Condition::Error(0)));
    let condition = Condition::And(vec![Condition::Ok(0), failed, Condition::IsAutocommit]);
    let steps = vec![
        Step { condition: None, statement: statement(Sql::Stored(-1)) },
        Step { condition: Some(condition), statement: statement(Sql::Text("".into())) },
    ];
    let requests = vec![
        StreamRequest::Work(Work::Execute(select)),
        StreamRequest::Work(Work::Batch(Batch { steps })),
        // A number of 0 is not sent.
        StreamRequest::StoreSql { sql_id: 0, sql: "x".into() },
        StreamRequest::Work(Work::Sequence(Sql::Stored(7))),
        StreamRequest::Work(Work::GetAutocommit),
        StreamRequest::Close,
    ];
    let expected = PipelineRequest { baton: Some("b".into()), requests };
    assert_eq!(decode_pipeline(&bytes(PIPELINE), Encoding::Protobuf), Ok(expected));
}

#[test]
fn messages_of_protobufs_own_library_are_understood() {
    let request = SocketRequest::OpenCursor { stream_id: 0, cursor_id: 300, batch: Batch::default() };
    let expected = ClientMessage::Request { request_id: -1, request };
    assert_eq!(decode_message(&bytes(OPEN_CURSOR), Encoding::Protobuf), Ok(expected));
    let expected = ClientMessage::Hello { jwt: None };
    assert_eq!(decode_message(&bytes(HELLO), Encoding::Protobuf), Ok(expected));
}

#[test]
fn answers_are_the_bytes_that_protobufs_own_library_has_read() {
    let columns = [Column { name: "a", decltype: Some("INTEGER") }, Column { name: "", decltype: None }];
    let duration = Duration::from_micros(1500);
    let summary = Summary {
        affected_row_count: 1,
        last_insert_rowid: Some(-1),
        rows_read: 2,
        rows_written: 3,
        duration,
    };
    let error = Error { message: "no", code: "SQLITE_ERROR", extended_code: None };
    let mut writer = PipelineWriter::new(Encoding::Protobuf);
    let mut result = writer.answer().execute();
    result.columns(columns);
    result.row([ValueRef::Integer(i64::MIN), ValueRef::Null].into_iter());
    result.row([ValueRef::Real(f64::INFINITY), ValueRef::Text(&"x".repeat(200))].into_iter());
    result.row([ValueRef::Blob(&[0, 255]), ValueRef::Text("")].into_iter());
    result.finish(&summary);
    let mut batch = writer.answer().batch();
    batch.step().finish(&Summary::default());
    batch.skip();
    batch.fail_step(&error);
    batch.finish();
    let described =
        Described { params: &[Some(":x"), None], columns: &columns, is_explain: false, is_readonly: true };
    writer.answer().describe(&described);
    writer.answer().autocommit(true);
    writer.answer().error(&error);
    writer.answer().done(Done::Close);
    let hex: String = writer.finish(Some("b"), None).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, ANSWERS);
}
