//! Requests as protobuf.
//!
//! A number that is not there is 0, as protobuf has it.
use super::condition::Condition;
use super::limits::{MAX_ARGUMENTS, MAX_CONDITION_DEPTH, MAX_CONDITIONS, MAX_REQUESTS, MAX_STEPS};
use super::request::{
    Batch, ClientMessage, CursorRequest, PipelineRequest, SocketRequest, Sql, Statement, Step, StreamRequest,
    Work,
};
use super::rules;
use crate::malformed::{Malformed, Problem};
use crate::protobuf::{Field, Message};
use bytes::Bytes;
use rowhouse_types::Value;
use std::sync::Arc;

type Read<T> = Result<T, Malformed>;

pub(super) fn pipeline(body: &[u8]) -> Read<PipelineRequest> {
    let (mut baton, mut requests) = (None, Vec::new());
    Message::new(body).fields(|field| {
        match field.tag {
            1 => baton = Some(field.text()?.to_owned()),
            2 => {
                rules::nothing_follows_a_close(requests.last()).map_err(|problem| field.fail(problem))?;
                push(&mut requests, MAX_REQUESTS, field, stream_request, "requests")?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(PipelineRequest { baton, requests })
}

pub(super) fn cursor(body: &[u8]) -> Read<CursorRequest> {
    let (mut baton, mut run) = (None, None);
    let message = Message::new(body);
    message.fields(|field| {
        match field.tag {
            1 => baton = Some(field.text()?.to_owned()),
            2 => run = Some(batch(field.message()?).map_err(|error| error.under("batch"))?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(CursorRequest { baton, batch: need(run, "batch", message)? })
}

pub(super) fn message(bytes: &[u8]) -> Read<ClientMessage> {
    let message = Message::new(bytes);
    let mut read = None;
    message.fields(|field| {
        match field.tag {
            1 => read = Some(hello(field.message()?)?),
            2 => read = Some(request(field.message()?).map_err(|error| error.under("request"))?),
            _ => {}
        }
        Ok(())
    })?;
    need(read, "a known message", message)
}

fn hello(message: Message<'_>) -> Read<ClientMessage> {
    let mut jwt = None;
    message.fields(|field| {
        if field.tag == 1 {
            jwt = Some(field.text()?.to_owned());
        }
        Ok(())
    })?;
    Ok(ClientMessage::Hello { jwt })
}

fn request(message: Message<'_>) -> Read<ClientMessage> {
    let (mut request_id, mut request) = (0, None);
    message.fields(|field| {
        match field.tag {
            1 => request_id = field.int32()?,
            tag @ 2..=13 => request = Some(socket_request(tag, field.message()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ClientMessage::Request { request_id, request: need(request, "a known request", message)? })
}

fn socket_request(tag: u32, message: Message<'_>) -> Read<SocketRequest> {
    // Streams, cursors and texts are numbered in field 1; what a stream is to do comes after.
    let first = number(message, 1)?;
    let stream_id = first;
    let work = |work| Ok(SocketRequest::Work { stream_id, work });
    match tag {
        2 => Ok(SocketRequest::OpenStream { stream_id }),
        3 => Ok(SocketRequest::CloseStream { stream_id }),
        4 => work(Work::Execute(statement_in(message, 2)?)),
        5 => work(Work::Batch(batch_in(message, 2)?)),
        6 => {
            let (cursor_id, batch) = (number(message, 2)?, batch_in(message, 3)?);
            Ok(SocketRequest::OpenCursor { stream_id, cursor_id, batch })
        }
        7 => Ok(SocketRequest::CloseCursor { cursor_id: first }),
        8 => Ok(SocketRequest::FetchCursor { cursor_id: first, max_count: number(message, 2)? as u32 }),
        9 => work(Work::Sequence(sql_in(message, 2)?)),
        10 => work(Work::Describe(sql_in(message, 2)?)),
        11 => Ok(SocketRequest::StoreSql { sql_id: first, sql: text_in(message, 2)? }),
        12 => Ok(SocketRequest::CloseSql { sql_id: first }),
        _ => work(Work::GetAutocommit),
    }
}

fn stream_request(message: Message<'_>) -> Read<StreamRequest> {
    let mut request = None;
    message.fields(|field| {
        if (1..=8).contains(&field.tag) {
            request = Some(stream_request_of(field.tag, field.message()?)?);
        }
        Ok(())
    })?;
    need(request, "a known request", message)
}

fn stream_request_of(tag: u32, message: Message<'_>) -> Read<StreamRequest> {
    let work = |work| Ok(StreamRequest::Work(work));
    match tag {
        1 => Ok(StreamRequest::Close),
        2 => work(Work::Execute(statement_in(message, 1)?)),
        3 => work(Work::Batch(batch_in(message, 1)?)),
        4 => work(Work::Sequence(sql_in(message, 1)?)),
        5 => work(Work::Describe(sql_in(message, 1)?)),
        6 => Ok(StreamRequest::StoreSql { sql_id: number(message, 1)?, sql: text_in(message, 2)? }),
        7 => Ok(StreamRequest::CloseSql { sql_id: number(message, 1)? }),
        _ => work(Work::GetAutocommit),
    }
}

// === what requests hold ===

/// The last field of this number, if there is one.
fn last<'a>(message: Message<'a>, tag: u32) -> Read<Option<Field<'a>>> {
    let mut last = None;
    message.fields(|field| {
        if field.tag == tag {
            last = Some(field);
        }
        Ok(())
    })?;
    Ok(last)
}

fn number(message: Message<'_>, tag: u32) -> Read<i32> {
    last(message, tag)?.map_or(Ok(0), Field::int32)
}

fn text_in(message: Message<'_>, tag: u32) -> Read<Arc<str>> {
    last(message, tag)?.map_or(Ok(Arc::default()), |field| field.text().map(Arc::from))
}

/// A text in field `tag`, or the number of one in the field after.
fn sql_in(message: Message<'_>, tag: u32) -> Read<Sql> {
    let text = last(message, tag)?.map(|field| field.text().map(Arc::from)).transpose()?;
    let id = last(message, tag + 1)?.map(Field::int32).transpose()?;
    rules::one_text(text, id).map_err(|problem| message.fail(problem))
}

fn statement_in(message: Message<'_>, tag: u32) -> Read<Statement> {
    let field = need(last(message, tag)?, "stmt", message)?;
    statement(field.message()?).map_err(|error| error.under("stmt"))
}

fn batch_in(message: Message<'_>, tag: u32) -> Read<Batch> {
    let field = need(last(message, tag)?, "batch", message)?;
    batch(field.message()?).map_err(|error| error.under("batch"))
}

fn batch(message: Message<'_>) -> Read<Batch> {
    let mut steps = Vec::new();
    message.fields(|field| match field.tag {
        1 => {
            let at = steps.len();
            push(&mut steps, MAX_STEPS, field, |message| step(message, at), "steps")
        }
        _ => Ok(()),
    })?;
    Ok(Batch { steps })
}

fn step(message: Message<'_>, at: usize) -> Read<Step> {
    let condition = match last(message, 1)? {
        Some(field) => Some(condition(field.message()?, 0).map_err(|error| error.under("condition"))?),
        None => None,
    };
    rules::speaks_of_earlier_steps(condition.as_ref(), at)
        .map_err(|problem| message.fail(problem).under("condition"))?;
    Ok(Step { condition, statement: statement_in(message, 2)? })
}

fn condition(message: Message<'_>, depth: usize) -> Read<Condition> {
    if depth == MAX_CONDITION_DEPTH {
        return Err(message.fail(Problem::TooDeep(MAX_CONDITION_DEPTH)));
    }
    let mut read = None;
    message.fields(|field| {
        read = Some(match field.tag {
            1 => Condition::Ok(field.uint32()?),
            2 => Condition::Error(field.uint32()?),
            3 => Condition::Not(Box::new(condition(field.message()?, depth + 1)?)),
            4 => Condition::And(conditions(field.message()?, depth + 1)?),
            5 => Condition::Or(conditions(field.message()?, depth + 1)?),
            6 => field.message().map(|_| Condition::IsAutocommit)?,
            _ => return Ok(()),
        });
        Ok(())
    })?;
    need(read, "a known condition", message)
}

fn conditions(message: Message<'_>, depth: usize) -> Read<Vec<Condition>> {
    let mut several = Vec::new();
    message.fields(|field| match field.tag {
        1 => push(&mut several, MAX_CONDITIONS, field, |message| condition(message, depth), "conds"),
        _ => Ok(()),
    })?;
    Ok(several)
}

fn statement(message: Message<'_>) -> Read<Statement> {
    let (mut args, mut named_args, mut want_rows) = (Vec::new(), Vec::new(), true);
    message.fields(|field| match field.tag {
        3 => push(&mut args, MAX_ARGUMENTS, field, value, "args"),
        4 => push(&mut named_args, MAX_ARGUMENTS, field, named_argument, "named_args"),
        5 => field.bool().map(|wanted| want_rows = wanted),
        _ => Ok(()),
    })?;
    Ok(Statement { sql: sql_in(message, 1)?, args, named_args, want_rows })
}

fn named_argument(message: Message<'_>) -> Read<(String, Value)> {
    let name = last(message, 1)?.map_or(Ok(""), Field::text)?;
    let bound = need(last(message, 2)?, "value", message)?;
    Ok((rules::bare(name.to_owned()), value(bound.message()?)?))
}

fn value(message: Message<'_>) -> Read<Value> {
    let mut read = None;
    message.fields(|field| {
        read = Some(match field.tag {
            1 => field.message().map(|_| Value::Null)?,
            2 => Value::Integer(field.sint64()?),
            3 => Value::Real(field.double()?),
            4 => Value::Text(field.text()?.to_owned()),
            5 => Value::Blob(Bytes::copy_from_slice(field.bytes()?)),
            _ => return Ok(()),
        });
        Ok(())
    })?;
    need(read, "a known value", message)
}

/// Reads one element of a repeated field.
fn push<'a, T>(
    to: &mut Vec<T>,
    most: usize,
    field: Field<'a>,
    read: impl FnOnce(Message<'a>) -> Read<T>,
    name: &'static str,
) -> Read<()> {
    if to.len() == most {
        return Err(field.fail(Problem::TooMany(most)).under(name));
    }
    let element = field.message().and_then(read);
    to.push(element.map_err(|error| error.within(to.len()).under(name))?);
    Ok(())
}

fn need<T>(part: Option<T>, what: &'static str, message: Message<'_>) -> Read<T> {
    part.ok_or_else(|| message.fail(Problem::Missing(what)))
}
