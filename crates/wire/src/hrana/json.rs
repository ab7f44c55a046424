//! Requests as JSON.
//!
//! Keys come in any order, and those nobody knows are passed over. `null` is as good as not there.
use super::condition::Condition;
use super::limits::{MAX_ARGUMENTS, MAX_CONDITION_DEPTH, MAX_CONDITIONS, MAX_REQUESTS, MAX_STEPS};
use super::request::{
    Batch, ClientMessage, CursorRequest, PipelineRequest, SocketRequest, Statement, Step, StreamRequest, Work,
};
use super::rules;
use crate::json::{Kind, Number, Reader};
use crate::malformed::{Malformed, Problem};
use base64::Engine as _;
use bytes::Bytes;
use rowhouse_types::Value;
use std::borrow::Cow;
use std::sync::Arc;

const STREAM_REQUESTS: &str =
    "close, execute, batch, sequence, describe, store_sql, close_sql and get_autocommit";
const SOCKET_REQUESTS: &str = "open_stream, close_stream, execute, batch, open_cursor, close_cursor, \
                               fetch_cursor, sequence, describe, store_sql, close_sql and get_autocommit";
const CONDITIONS: &str = "ok, error, not, and, or and is_autocommit";
const VALUES: &str = "null, integer, float, text and blob";
const INT32: &str = "an integer of 32 bits";
const UINT32: &str = "an unsigned integer of 32 bits";

/// The keys of any request; which of them a request needs is said by its type.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<Cow<'a, str>>,
    statement: Option<Statement>,
    batch: Option<Batch>,
    sql: Option<Arc<str>>,
    sql_id: Option<i32>,
    stream_id: Option<i32>,
    cursor_id: Option<i32>,
    max_count: Option<u32>,
}

pub(super) fn pipeline(body: &[u8]) -> Result<PipelineRequest, Malformed> {
    let mut reader = Reader::new(body)?;
    let (mut baton, mut requests) = (None, None);
    reader.object(|reader, key| {
        match key {
            "baton" => baton = reader.optional(text)?,
            "requests" => requests = Some(stream_requests(reader)?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let requests = requests.ok_or_else(|| reader.fail(Problem::Missing("requests")))?;
    reader.finish()?;
    Ok(PipelineRequest { baton, requests })
}

pub(super) fn cursor(body: &[u8]) -> Result<CursorRequest, Malformed> {
    let mut reader = Reader::new(body)?;
    let (mut baton, mut steps) = (None, None);
    reader.object(|reader, key| {
        match key {
            "baton" => baton = reader.optional(text)?,
            "batch" => steps = reader.optional(batch_of)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let batch = steps.ok_or_else(|| reader.fail(Problem::Missing("batch")))?;
    reader.finish()?;
    Ok(CursorRequest { baton, batch })
}

pub(super) fn execute(body: &[u8]) -> Result<Statement, Malformed> {
    alone(body, |parts| parts.statement, "stmt")
}

pub(super) fn batch(body: &[u8]) -> Result<Batch, Malformed> {
    alone(body, |parts| parts.batch, "batch")
}

/// Reads a body of which one key is wanted.
fn alone<T>(
    body: &[u8],
    wanted: impl FnOnce(Parts<'_>) -> Option<T>,
    key: &'static str,
) -> Result<T, Malformed> {
    let mut reader = Reader::new(body)?;
    let parts = parts(&mut reader)?;
    let found = wanted(parts).ok_or_else(|| reader.fail(Problem::Missing(key)))?;
    reader.finish()?;
    Ok(found)
}

pub(super) fn message(message: &[u8]) -> Result<ClientMessage, Malformed> {
    let mut reader = Reader::new(message)?;
    let (mut kind, mut jwt, mut request_id, mut request) = (None, None, None, None);
    reader.object(|reader, key| {
        match key {
            "type" => kind = reader.optional(Reader::string)?,
            "jwt" => jwt = reader.optional(text)?,
            "request_id" => request_id = reader.optional(int32)?,
            "request" => request = reader.optional(socket_request)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let message = match kind.as_deref() {
        Some("hello") => ClientMessage::Hello { jwt },
        Some("request") => {
            let request_id = request_id.ok_or_else(|| reader.fail(Problem::Missing("request_id")))?;
            let request = request.ok_or_else(|| reader.fail(Problem::Missing("request")))?;
            ClientMessage::Request { request_id, request }
        }
        Some(_) => return Err(reader.fail(Problem::Unknown("hello and request")).under("type")),
        None => return Err(reader.fail(Problem::Missing("type"))),
    };
    reader.finish()?;
    Ok(message)
}

fn stream_requests(reader: &mut Reader<'_>) -> Result<Vec<StreamRequest>, Malformed> {
    let mut requests = Vec::new();
    reader.array(MAX_REQUESTS, |reader| {
        rules::nothing_follows_a_close(requests.last()).map_err(|problem| reader.fail(problem))?;
        requests.push(stream_request(reader)?);
        Ok(())
    })?;
    Ok(requests)
}

fn stream_request(reader: &mut Reader<'_>) -> Result<StreamRequest, Malformed> {
    let mut parts = parts(reader)?;
    let kind = parts.kind(reader)?;
    match &*kind {
        "close" => Ok(StreamRequest::Close),
        "store_sql" => {
            let (sql_id, sql) = parts.stored(reader)?;
            Ok(StreamRequest::StoreSql { sql_id, sql })
        }
        "close_sql" => Ok(StreamRequest::CloseSql { sql_id: need(parts.sql_id, "sql_id", reader)? }),
        kind => match parts.work(kind, reader)? {
            Some(work) => Ok(StreamRequest::Work(work)),
            None => Err(reader.fail(Problem::Unknown(STREAM_REQUESTS)).under("type")),
        },
    }
}

fn socket_request(reader: &mut Reader<'_>) -> Result<SocketRequest, Malformed> {
    let mut parts = parts(reader)?;
    let kind = parts.kind(reader)?;
    let (stream_id, cursor_id) = (parts.stream_id, parts.cursor_id);
    let stream = |reader: &Reader<'_>| need(stream_id, "stream_id", reader);
    let cursor = |reader: &Reader<'_>| need(cursor_id, "cursor_id", reader);
    Ok(match &*kind {
        "open_stream" => SocketRequest::OpenStream { stream_id: stream(reader)? },
        "close_stream" => SocketRequest::CloseStream { stream_id: stream(reader)? },
        "open_cursor" => SocketRequest::OpenCursor {
            stream_id: stream(reader)?,
            cursor_id: cursor(reader)?,
            batch: need(parts.batch, "batch", reader)?,
        },
        "close_cursor" => SocketRequest::CloseCursor { cursor_id: cursor(reader)? },
        "fetch_cursor" => SocketRequest::FetchCursor {
            cursor_id: cursor(reader)?,
            max_count: need(parts.max_count, "max_count", reader)?,
        },
        "store_sql" => {
            let (sql_id, sql) = parts.stored(reader)?;
            SocketRequest::StoreSql { sql_id, sql }
        }
        "close_sql" => SocketRequest::CloseSql { sql_id: need(parts.sql_id, "sql_id", reader)? },
        kind => match parts.work(kind, reader)? {
            Some(work) => SocketRequest::Work { stream_id: stream(reader)?, work },
            None => return Err(reader.fail(Problem::Unknown(SOCKET_REQUESTS)).under("type")),
        },
    })
}

fn parts<'a>(reader: &mut Reader<'a>) -> Result<Parts<'a>, Malformed> {
    let mut parts = Parts::default();
    reader.object(|reader, key| {
        match key {
            "type" => parts.kind = reader.optional(Reader::string)?,
            "stmt" => parts.statement = reader.optional(statement)?,
            "batch" => parts.batch = reader.optional(batch_of)?,
            "sql" => parts.sql = reader.optional(shared_text)?,
            "sql_id" => parts.sql_id = reader.optional(int32)?,
            "stream_id" => parts.stream_id = reader.optional(int32)?,
            "cursor_id" => parts.cursor_id = reader.optional(int32)?,
            "max_count" => parts.max_count = reader.optional(uint32)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(parts)
}

fn batch_of(reader: &mut Reader<'_>) -> Result<Batch, Malformed> {
    let mut steps = None;
    reader.object(|reader, key| match key {
        "steps" => {
            steps = Some(steps_of(reader)?);
            Ok(())
        }
        _ => reader.skip(),
    })?;
    let steps = steps.ok_or_else(|| reader.fail(Problem::Missing("steps")))?;
    Ok(Batch { steps })
}

fn steps_of(reader: &mut Reader<'_>) -> Result<Vec<Step>, Malformed> {
    let mut steps = Vec::new();
    reader.array(MAX_STEPS, |reader| {
        let (mut condition, mut run) = (None, None);
        reader.object(|reader, key| {
            match key {
                "condition" => condition = reader.optional(|reader| condition_of(reader, 0))?,
                "stmt" => run = reader.optional(statement)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        rules::speaks_of_earlier_steps(condition.as_ref(), steps.len())
            .map_err(|problem| reader.fail(problem).under("condition"))?;
        steps.push(Step { condition, statement: need(run, "stmt", reader)? });
        Ok(())
    })?;
    Ok(steps)
}

fn condition_of(reader: &mut Reader<'_>, depth: usize) -> Result<Condition, Malformed> {
    if depth == MAX_CONDITION_DEPTH {
        return Err(reader.fail(Problem::TooDeep(MAX_CONDITION_DEPTH)));
    }
    let (mut kind, mut step, mut inner, mut several) = (None, None, None, None);
    reader.object(|reader, key| {
        match key {
            "type" => kind = reader.optional(Reader::string)?,
            "step" => step = reader.optional(uint32)?,
            "cond" => inner = reader.optional(|reader| condition_of(reader, depth + 1))?,
            "conds" => several = reader.optional(|reader| conditions(reader, depth + 1))?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    match kind.as_deref() {
        Some("ok") => Ok(Condition::Ok(need(step, "step", reader)?)),
        Some("error") => Ok(Condition::Error(need(step, "step", reader)?)),
        Some("not") => Ok(Condition::Not(Box::new(need(inner, "cond", reader)?))),
        Some("and") => Ok(Condition::And(need(several, "conds", reader)?)),
        Some("or") => Ok(Condition::Or(need(several, "conds", reader)?)),
        Some("is_autocommit") => Ok(Condition::IsAutocommit),
        Some(_) => Err(reader.fail(Problem::Unknown(CONDITIONS)).under("type")),
        None => Err(reader.fail(Problem::Missing("type"))),
    }
}

fn conditions(reader: &mut Reader<'_>, depth: usize) -> Result<Vec<Condition>, Malformed> {
    let mut conditions = Vec::new();
    reader.array(MAX_CONDITIONS, |reader| {
        conditions.push(condition_of(reader, depth)?);
        Ok(())
    })?;
    Ok(conditions)
}

fn statement(reader: &mut Reader<'_>) -> Result<Statement, Malformed> {
    let (mut sql, mut sql_id, mut want_rows) = (None, None, None);
    let (mut args, mut named_args) = (Vec::new(), Vec::new());
    reader.object(|reader, key| {
        match key {
            "sql" => sql = reader.optional(shared_text)?,
            "sql_id" => sql_id = reader.optional(int32)?,
            "args" => args = reader.optional(arguments)?.unwrap_or_default(),
            "named_args" => named_args = reader.optional(named_arguments)?.unwrap_or_default(),
            "want_rows" => want_rows = reader.optional(Reader::bool)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let sql = rules::one_text(sql, sql_id).map_err(|problem| reader.fail(problem))?;
    Ok(Statement { sql, args, named_args, want_rows: want_rows.unwrap_or(true) })
}

fn arguments(reader: &mut Reader<'_>) -> Result<Vec<Value>, Malformed> {
    let mut arguments = Vec::new();
    reader.array(MAX_ARGUMENTS, |reader| {
        arguments.push(value(reader)?);
        Ok(())
    })?;
    Ok(arguments)
}

fn named_arguments(reader: &mut Reader<'_>) -> Result<Vec<(String, Value)>, Malformed> {
    let mut arguments = Vec::new();
    reader.array(MAX_ARGUMENTS, |reader| {
        let (mut name, mut bound) = (None, None);
        reader.object(|reader, key| {
            match key {
                "name" => name = reader.optional(text)?,
                "value" => bound = reader.optional(value)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let name = need(name, "name", reader)?;
        arguments.push((rules::bare(name), need(bound, "value", reader)?));
        Ok(())
    })?;
    Ok(arguments)
}

/// What stands under `value`: its type may be said only later.
enum Scalar {
    Absent,
    Number(Number),
    Text(String),
}

fn value(reader: &mut Reader<'_>) -> Result<Value, Malformed> {
    let (mut kind, mut scalar, mut blob) = (None, Scalar::Absent, None);
    reader.object(|reader, key| {
        match key {
            "type" => kind = reader.optional(|reader| kind_of_value(reader))?,
            "value" => scalar = scalar_of(reader)?,
            "base64" => blob = reader.optional(bytes)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let unfit = |wanted| reader.fail(Problem::Wanted(wanted)).under("value");
    match (need(kind, "type", reader)?, scalar) {
        (ValueKind::Null, _) => Ok(Value::Null),
        (ValueKind::Integer, Scalar::Text(digits)) => match digits.parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(unfit("the decimal digits of an integer of 64 bits, as a string")),
        },
        (ValueKind::Integer, Scalar::Number(Number { integer: Some(number), .. })) => {
            Ok(Value::Integer(number))
        }
        (ValueKind::Integer, _) => Err(unfit("the decimal digits of an integer of 64 bits, as a string")),
        (ValueKind::Float, Scalar::Number(number)) => Ok(Value::Real(number.float)),
        // What JSON cannot say: a double that is not finite.
        (ValueKind::Float, Scalar::Absent) => Ok(Value::Real(f64::NAN)),
        (ValueKind::Float, Scalar::Text(_)) => Err(unfit("a number")),
        (ValueKind::Text, Scalar::Text(text)) => Ok(Value::Text(text)),
        (ValueKind::Text, _) => Err(unfit("a string")),
        (ValueKind::Blob, _) => Ok(Value::Blob(need(blob, "base64", reader)?)),
    }
}

#[derive(Clone, Copy)]
enum ValueKind {
    Null,
    Integer,
    Float,
    Text,
    Blob,
}

fn kind_of_value(reader: &mut Reader<'_>) -> Result<ValueKind, Malformed> {
    match &*reader.string()? {
        "null" => Ok(ValueKind::Null),
        "integer" => Ok(ValueKind::Integer),
        "float" => Ok(ValueKind::Float),
        "text" => Ok(ValueKind::Text),
        "blob" => Ok(ValueKind::Blob),
        _ => Err(reader.fail(Problem::Unknown(VALUES))),
    }
}

fn scalar_of(reader: &mut Reader<'_>) -> Result<Scalar, Malformed> {
    match reader.peek()? {
        Kind::Null => reader.skip().map(|()| Scalar::Absent),
        Kind::String => Ok(Scalar::Text(reader.string()?.into_owned())),
        Kind::Number => reader.numeric().map(Scalar::Number),
        found => {
            let wanted = "a string, a number or null";
            Err(reader.fail(Problem::Type { wanted, found: found.noun() }))
        }
    }
}

fn bytes(reader: &mut Reader<'_>) -> Result<Bytes, Malformed> {
    let text = reader.string()?;
    match crate::base64::ANY.decode(&*text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(reader.fail(Problem::Wanted("base64"))),
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    reader.string().map(Into::into)
}

fn shared_text(reader: &mut Reader<'_>) -> Result<Arc<str>, Malformed> {
    reader.string().map(|text| Arc::from(&*text))
}

fn int32(reader: &mut Reader<'_>) -> Result<i32, Malformed> {
    reader.integer(INT32)
}

fn uint32(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.integer(UINT32)
}

fn need<T>(part: Option<T>, key: &'static str, reader: &Reader<'_>) -> Result<T, Malformed> {
    part.ok_or_else(|| reader.fail(Problem::Missing(key)))
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn kind(&mut self, reader: &Reader<'_>) -> Result<Cow<'a, str>, Malformed> {
        need(self.kind.take(), "type", reader)
    }

    /// The number and the text of `store_sql`.
    fn stored(&mut self, reader: &Reader<'_>) -> Result<(i32, Arc<str>), Malformed> {
        Ok((need(self.sql_id, "sql_id", reader)?, need(self.sql.take(), "sql", reader)?))
    }

    /// The work of this type; none if no work has it.
    fn work(&mut self, kind: &str, reader: &Reader<'_>) -> Result<Option<Work>, Malformed> {
        let mut sql =
            || rules::one_text(self.sql.take(), self.sql_id).map_err(|problem| reader.fail(problem));
        Ok(Some(match kind {
            "execute" => Work::Execute(need(self.statement.take(), "stmt", reader)?),
            "batch" => Work::Batch(need(self.batch.take(), "batch", reader)?),
            "sequence" => Work::Sequence(sql()?),
            "describe" => Work::Describe(sql()?),
            "get_autocommit" => Work::GetAutocommit,
            _ => return Ok(None),
        }))
    }
}
