//! What holds of every request and every answer.
use super::*;
mod schema;
use crate::protobuf::Message;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rowhouse_types::{Value, ValueRef};
use serde_json::{Value as Tree, json};
use std::time::Duration;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a\"\\\\\0\n\u{7f}é😀]{0,8}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        // The general reader of these tests reads others not quite exactly.
        any::<i32>().prop_map(|n| Value::Real(f64::from(n) / 8.0)),
        any_text().prop_map(Value::Text),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Blob(bytes.into())),
    ]
}

fn any_sql() -> impl Strategy<Value = Sql> {
    prop_oneof![any_text().prop_map(|text| Sql::Text(text.into())), any::<i32>().prop_map(Sql::Stored)]
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let named = ("[:@$]?[a-z:@$]{0,4}", any_value());
    (any_sql(), vec(any_value(), 0..4), vec(named, 0..3), any::<bool>())
        .prop_map(|(sql, args, named_args, want_rows)| Statement { sql, args, named_args, want_rows })
}

/// A condition of any step after the first.
fn any_condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![Just(Condition::Ok(0)), Just(Condition::Error(0)), Just(Condition::IsAutocommit)];
    leaf.prop_recursive(5, 20, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|other| Condition::Not(Box::new(other))),
            vec(inner.clone(), 0..4).prop_map(Condition::And),
            vec(inner, 0..4).prop_map(Condition::Or),
        ]
    })
}

fn any_batch() -> impl Strategy<Value = Batch> {
    vec((option::of(any_condition()), any_statement()), 0..4).prop_map(|steps| {
        let step = |(at, (condition, statement)): (usize, (Option<Condition>, Statement))| {
            let condition =
                condition.filter(|condition| condition.latest().is_none_or(|latest| (latest as usize) < at));
            Step { condition, statement }
        };
        Batch { steps: steps.into_iter().enumerate().map(step).collect() }
    })
}

fn any_work() -> impl Strategy<Value = Work> {
    prop_oneof![
        any_statement().prop_map(Work::Execute),
        any_batch().prop_map(Work::Batch),
        any_sql().prop_map(Work::Sequence),
        any_sql().prop_map(Work::Describe),
        Just(Work::GetAutocommit),
    ]
}

fn any_pipeline() -> impl Strategy<Value = PipelineRequest> {
    let request = prop_oneof![
        any_work().prop_map(StreamRequest::Work),
        (any::<i32>(), any_text())
            .prop_map(|(sql_id, sql)| StreamRequest::StoreSql { sql_id, sql: sql.into() }),
        any::<i32>().prop_map(|sql_id| StreamRequest::CloseSql { sql_id }),
    ];
    (option::of(any_text()), vec(request, 0..5), any::<bool>()).prop_map(|(baton, mut requests, closes)| {
        requests.extend(closes.then_some(StreamRequest::Close));
        PipelineRequest { baton, requests }
    })
}

fn any_message() -> impl Strategy<Value = ClientMessage> {
    use SocketRequest as Request;
    let id = any::<i32>;
    let request = prop_oneof![
        id().prop_map(|stream_id| Request::OpenStream { stream_id }),
        id().prop_map(|stream_id| Request::CloseStream { stream_id }),
        (id(), any_work()).prop_map(|(stream_id, work)| Request::Work { stream_id, work }),
        (id(), id(), any_batch()).prop_map(|(stream_id, cursor_id, batch)| Request::OpenCursor {
            stream_id,
            cursor_id,
            batch
        }),
        id().prop_map(|cursor_id| Request::CloseCursor { cursor_id }),
        (id(), any::<u32>()).prop_map(|(cursor_id, max_count)| Request::FetchCursor { cursor_id, max_count }),
        (id(), any_text()).prop_map(|(sql_id, sql)| Request::StoreSql { sql_id, sql: sql.into() }),
        id().prop_map(|sql_id| Request::CloseSql { sql_id }),
    ];
    prop_oneof![
        option::of(any_text()).prop_map(|jwt| ClientMessage::Hello { jwt }),
        (id(), request).prop_map(|(request_id, request)| ClientMessage::Request { request_id, request }),
    ]
}

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

/// The same JSON, written by somebody else: other spaces, keys in another order.
fn rewritten(json: &[u8]) -> Vec<u8> {
    let tree: Tree = serde_json::from_slice(json).expect("a general reader reads it");
    serde_json::to_vec_pretty(&tree).expect("a tree is written")
}

proptest! {
    #[test]
    fn a_pipeline_is_read_as_it_was_written(request in any_pipeline()) {
        for encoding in BOTH {
            let bytes = encode_pipeline(&request, encoding);
            prop_assert_eq!(&decode_pipeline(&bytes, encoding).unwrap(), &request);
        }
        let others = rewritten(&encode_pipeline(&request, Encoding::Json));
        prop_assert_eq!(decode_pipeline(&others, Encoding::Json).unwrap(), request);
    }

    #[test]
    fn every_number_comes_back_as_it_went_in(float in any::<f64>(), integer in any::<i64>()) {
        for encoding in BOTH {
            let args = vec![Value::Real(float), Value::Integer(integer)];
            let statement = Statement { sql: Sql::Stored(1), args, named_args: vec![], want_rows: true };
            let requests = vec![StreamRequest::Work(Work::Execute(statement))];
            let bytes = encode_pipeline(&PipelineRequest { baton: None, requests }, encoding);
            let read = decode_pipeline(&bytes, encoding).unwrap();
            let [StreamRequest::Work(Work::Execute(read))] = &read.requests[..] else { panic!("one") };
            let [Value::Real(read), Value::Integer(number)] = read.args[..] else { panic!("two") };
            prop_assert_eq!(number, integer);
            if float.is_finite() || encoding == Encoding::Protobuf {
                prop_assert_eq!(read.to_bits(), float.to_bits());
            } else {
                prop_assert!(read.is_nan());
            }
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written(baton in option::of(any_text()), batch in any_batch()) {
        let request = CursorRequest { baton, batch };
        for encoding in BOTH {
            let bytes = encode_cursor(&request, encoding);
            prop_assert_eq!(&decode_cursor(&bytes, encoding).unwrap(), &request);
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written(message in any_message()) {
        for encoding in BOTH {
            let bytes = encode_message(&message, encoding);
            prop_assert_eq!(&decode_message(&bytes, encoding).unwrap(), &message);
        }
        let others = rewritten(&encode_message(&message, Encoding::Json));
        prop_assert_eq!(decode_message(&others, Encoding::Json).unwrap(), message);
    }

    #[test]
    fn no_bytes_are_read_without_being_refused_or_understood(
        mut bytes in any_pipeline().prop_map(|request| encode_pipeline(&request, Encoding::Protobuf)),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(request) = decode_pipeline(&bytes, Encoding::Protobuf) {
            let again = encode_pipeline(&request, Encoding::Protobuf);
            // A NaN differs from itself: what it is written as does not.
            let read = decode_pipeline(&again, Encoding::Protobuf).unwrap();
            prop_assert_eq!(encode_pipeline(&read, Encoding::Protobuf), again);
        }
    }

    #[test]
    fn both_encodings_of_an_answer_say_the_same(answers in vec(any_answer(), 0..5), baton in option::of("[a-z]{1,9}")) {
        let [json, protobuf] = BOTH.map(|encoding| {
            let mut writer = PipelineWriter::new(encoding);
            answers.iter().for_each(|answer| answer.write(writer.answer()));
            writer.finish(baton.as_deref(), Some("http://localhost"))
        });
        let json: Tree = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(schema::pipeline(Message::new(&protobuf)), without_what_protobuf_lacks(json));
    }

    #[test]
    fn entries_of_a_cursor_say_the_same_wherever_they_stand(answers in vec(any_answer(), 0..5)) {
        let [json, protobuf] = BOTH.map(|encoding| {
            let mut writer = CursorWriter::new(encoding, Some("b"), None);
            answers.iter().enumerate().for_each(|(at, answer)| answer.enter(&mut writer.entries(), at));
            writer.take()
        });
        let lines = json.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<Tree> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let mut expected = vec![json!({"baton": "b", "base_url": null})];
        let fetched = Answer::message(Encoding::Json, 7, |answer| {
            let mut writer = answer.fetch_cursor();
            answers.iter().enumerate().for_each(|(at, answer)| answer.enter(&mut writer.entries(), at));
            writer.finish(true);
        });
        let fetched: Tree = serde_json::from_slice(&fetched).unwrap();
        let response = &fetched["response"];
        prop_assert_eq!((&fetched["request_id"], &response["done"]), (&json!(7), &json!(true)));
        for entry in response["entries"].as_array().unwrap() {
            let mut entry = entry.clone();
            if let Some(id) = entry.get("last_insert_rowid").and_then(Tree::as_str) {
                entry["last_insert_rowid"] = json!(id.parse::<i64>().unwrap());
            }
            expected.push(entry);
        }
        prop_assert_eq!(&lines, &expected);
        let [head, entries @ ..] = &lines[..] else { panic!("a head") };
        let read = schema::delimited(&protobuf);
        prop_assert_eq!(schema::head(read[0]), head.clone());
        let read: Vec<Tree> = read[1..].iter().map(|entry| schema::entry(*entry)).collect();
        prop_assert_eq!(Tree::Array(read), without_what_protobuf_lacks(Tree::Array(entries.to_vec())));
        let fetched = Answer::message(Encoding::Protobuf, -7, |answer| {
            let mut writer = answer.fetch_cursor();
            answers.iter().enumerate().for_each(|(at, answer)| answer.enter(&mut writer.entries(), at));
            writer.finish(true);
        });
        prop_assert_eq!(schema::fetched(Message::new(&fetched)).len(), entries.len());
    }
}

/// An answer as it may come.
#[derive(Clone, Debug)]
enum Sample {
    Done(Done),
    Autocommit(bool),
    Failed(String),
    Result(Vec<Vec<Value>>, Option<i64>),
    /// Rows, then an error.
    Midway(Vec<Vec<Value>>),
    Batch(Vec<Sample>),
    Described(Vec<Option<String>>),
}

fn any_answer() -> impl Strategy<Value = Sample> {
    let rows = || vec(vec(any_value(), 2), 0..5);
    let leaf = prop_oneof![
        Just(Sample::Done(Done::Close)),
        Just(Sample::Done(Done::StoreSql)),
        any::<bool>().prop_map(Sample::Autocommit),
        any_text().prop_map(Sample::Failed),
        (rows(), option::of(any::<i64>())).prop_map(|(rows, id)| Sample::Result(rows, id)),
        rows().prop_map(Sample::Midway),
        vec(option::of(any_text()), 0..3).prop_map(Sample::Described),
    ];
    leaf.prop_recursive(1, 6, 5, |inner| vec(inner, 0..5).prop_map(Sample::Batch))
}

const COLUMNS: [Column<'static>; 2] =
    [Column { name: "a", decltype: Some("INTEGER") }, Column { name: "", decltype: None }];
const ERROR: Error<'static> = Error { message: "no", code: "SQLITE_ERROR", extended_code: None };

fn summary(last_insert_rowid: Option<i64>) -> Summary {
    let duration = Duration::from_micros(1500);
    Summary { affected_row_count: 300, last_insert_rowid, rows_read: 0, rows_written: 1 << 40, duration }
}

fn values(row: &[Value]) -> impl Iterator<Item = ValueRef<'_>> {
    row.iter().map(Value::as_ref)
}

impl Sample {
    fn write(&self, answer: Answer<'_>) {
        match self {
            Self::Done(done) => answer.done(*done),
            Self::Autocommit(is) => answer.autocommit(*is),
            Self::Failed(message) => answer.error(&Error::new(message, "X")),
            Self::Result(..) | Self::Midway(_) => self.fill(answer.execute()),
            Self::Described(names) => {
                let params: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
                answer.describe(&Described {
                    params: &params,
                    columns: &COLUMNS,
                    is_explain: true,
                    is_readonly: false,
                });
            }
            Self::Batch(steps) => {
                let mut batch = answer.batch();
                for step in steps {
                    match step {
                        Self::Result(..) | Self::Midway(_) => step.fill(batch.step()),
                        Self::Failed(message) => batch.fail_step(&Error::new(message, "X")),
                        _ => batch.skip(),
                    }
                }
                batch.finish();
            }
        }
    }

    fn fill(&self, mut writer: StatementWriter<'_>) {
        let (Self::Result(rows, _) | Self::Midway(rows)) = self else { panic!("a result") };
        writer.columns(COLUMNS);
        rows.iter().for_each(|row| writer.row(values(row)));
        match self {
            Self::Result(_, id) => writer.finish(&summary(*id)),
            _ => writer.fail(&ERROR),
        }
    }

    fn enter(&self, entries: &mut Entries<'_>, at: usize) {
        let step = u32::try_from(at).expect("a few");
        match self {
            Self::Result(rows, _) | Self::Midway(rows) => {
                entries.step_begin(step, COLUMNS);
                rows.iter().for_each(|row| entries.row(values(row)));
                match self {
                    Self::Result(_, id) => entries.step_end(&summary(*id)),
                    _ => entries.step_error(step, &ERROR),
                }
            }
            Self::Failed(message) => entries.error(&Error::new(message, "X")),
            _ => {}
        }
    }
}

/// Protobuf has no place for these, and its own for what JSON cannot tell.
fn without_what_protobuf_lacks(mut tree: Tree) -> Tree {
    match &mut tree {
        Tree::Object(members) => {
            members.remove("replication_index");
            for list in ["step_results", "step_errors"] {
                if let Some(Tree::Array(items)) = members.get_mut(list) {
                    let there = items.drain(..).enumerate().filter(|(_, item)| !item.is_null());
                    let there: Vec<(usize, Tree)> = there.collect();
                    members[list] = json!(there);
                }
            }
            members.values_mut().for_each(|member| *member = without_what_protobuf_lacks(member.take()));
        }
        Tree::Array(items) => {
            items.iter_mut().for_each(|item| *item = without_what_protobuf_lacks(item.take()));
        }
        _ => {}
    }
    tree
}
