//! Requests, options and results as bytes.
use crate::codec::{Decoder, Encoder, Malformed};
use rowhouse_engine::{Batch, Chunk, Column, Description, Options, Outcome, SessionState, SqlPolicy};
use rowhouse_types::{Arguments, Request, Value};
use std::sync::Arc;
use std::time::Instant;

pub(crate) fn encode_request(out: &mut Encoder, request: &Request) {
    match request {
        Request::Execute { sql, arguments } => {
            out.u8(0);
            out.text(sql);
            encode_arguments(out, arguments);
        }
        Request::Repeat { sql, sets } => {
            out.u8(1);
            out.text(sql);
            out.count(sets.len());
            sets.iter().for_each(|arguments| encode_arguments(out, arguments));
        }
        Request::Script { sql } => {
            out.u8(2);
            out.text(sql);
        }
        Request::Sequence { sql } => {
            out.u8(3);
            out.text(sql);
        }
    }
}

pub(crate) fn decode_request(from: &mut Decoder<'_>) -> Result<Request, Malformed> {
    let kind = from.u8()?;
    let sql: Arc<str> = from.text()?.into();
    Ok(match kind {
        0 => Request::Execute { sql, arguments: decode_arguments(from)? },
        1 => Request::Repeat { sql, sets: from.list(1, decode_arguments)? },
        2 => Request::Script { sql },
        3 => Request::Sequence { sql },
        _ => return Err(Malformed),
    })
}

fn encode_arguments(out: &mut Encoder, arguments: &Arguments) {
    match arguments {
        Arguments::None => out.u8(0),
        Arguments::Positional(values) => {
            out.u8(1);
            out.count(values.len());
            values.iter().for_each(|value| encode_value(out, value));
        }
        Arguments::Named(pairs) => {
            out.u8(2);
            out.count(pairs.len());
            for (name, value) in pairs {
                out.text(name);
                encode_value(out, value);
            }
        }
    }
}

fn decode_arguments(from: &mut Decoder<'_>) -> Result<Arguments, Malformed> {
    Ok(match from.u8()? {
        0 => Arguments::None,
        1 => Arguments::Positional(from.list(1, decode_value)?),
        2 => Arguments::Named(from.list(1, |from| Ok((from.string()?, decode_value(from)?)))?),
        _ => return Err(Malformed),
    })
}

pub(crate) fn encode_value(out: &mut Encoder, value: &Value) {
    match value {
        Value::Null => out.u8(0),
        Value::Integer(n) => {
            out.u8(1);
            out.i64(*n);
        }
        Value::Real(x) => {
            out.u8(2);
            out.u64(x.to_bits());
        }
        Value::Text(text) => {
            out.u8(3);
            out.text(text);
        }
        Value::Blob(bytes) => {
            out.u8(4);
            out.bytes(bytes);
        }
    }
}

pub(crate) fn decode_value(from: &mut Decoder<'_>) -> Result<Value, Malformed> {
    Ok(match from.u8()? {
        0 => Value::Null,
        1 => Value::Integer(from.i64()?),
        2 => Value::Real(f64::from_bits(from.u64()?)),
        3 => Value::Text(from.string()?),
        4 => Value::Blob(from.blob()?),
        _ => return Err(Malformed),
    })
}

/// The deadline goes as the time that is left.
pub(crate) fn encode_options(out: &mut Encoder, options: &Options) {
    let now = Instant::now();
    out.option(options.deadline, |out, at| out.duration(at.saturating_duration_since(now)));
    out.u8(match options.policy {
        SqlPolicy::Standard => 0,
        SqlPolicy::Guarded => 1,
        SqlPolicy::ReadOnly => 2,
    });
    out.u8(u8::from(options.foreign_keys));
    out.option(options.max_rows, Encoder::u64);
    out.option(options.max_bytes, Encoder::u64);
}

pub(crate) fn decode_options(from: &mut Decoder<'_>) -> Result<Options, Malformed> {
    let left = from.option(Decoder::duration)?;
    Ok(Options {
        // A time that no clock reaches is none.
        deadline: left.and_then(|left| Instant::now().checked_add(left)),
        policy: match from.u8()? {
            0 => SqlPolicy::Standard,
            1 => SqlPolicy::Guarded,
            2 => SqlPolicy::ReadOnly,
            _ => return Err(Malformed),
        },
        foreign_keys: from.flag()?,
        max_rows: from.option(Decoder::u64)?,
        max_bytes: from.option(Decoder::u64)?,
    })
}

pub(crate) fn encode_chunk(out: &mut Encoder, chunk: &Chunk) {
    out.option(chunk.columns.as_deref(), |out, columns| {
        out.count(columns.len());
        columns.iter().for_each(|column| encode_column(out, column));
    });
    out.option(chunk.outcome, |out, outcome| {
        out.option(outcome.affected, Encoder::u64);
        out.u64(outcome.changed);
        out.i64(outcome.last_insert_id);
        out.u64(outcome.rows_read);
        out.u64(outcome.rows_written);
    });
    chunk.rows.pack(&mut out.0);
}

/// Takes all there is.
pub(crate) fn decode_chunk(from: &mut Decoder<'_>) -> Result<Chunk, Malformed> {
    let columns = from.option(|from| from.list(COLUMN_LEAST, decode_column))?;
    let outcome = from.option(|from| {
        Ok(Outcome {
            affected: from.option(Decoder::u64)?,
            changed: from.u64()?,
            last_insert_id: from.i64()?,
            rows_read: from.u64()?,
            rows_written: from.u64()?,
        })
    })?;
    let rows = Batch::unpack(std::mem::take(&mut from.0)).ok_or(Malformed)?;
    Ok(Chunk { columns: columns.map(Into::into), rows, outcome })
}

/// The bytes of a column with nothing in it.
const COLUMN_LEAST: usize = 9;

fn encode_column(out: &mut Encoder, column: &Column) {
    out.text(&column.name);
    out.option(column.decl_type.as_deref(), Encoder::text);
}

fn decode_column(from: &mut Decoder<'_>) -> Result<Column, Malformed> {
    Ok(Column { name: from.string()?, decl_type: from.option(Decoder::string)? })
}

pub(crate) fn encode_description(out: &mut Encoder, description: &Description) {
    out.count(description.params.len());
    description.params.iter().for_each(|name| out.option(name.as_deref(), Encoder::text));
    out.count(description.columns.len());
    description.columns.iter().for_each(|column| encode_column(out, column));
    out.u8(u8::from(description.is_explain));
    out.u8(u8::from(description.is_readonly));
}

pub(crate) fn decode_description(from: &mut Decoder<'_>) -> Result<Description, Malformed> {
    Ok(Description {
        params: from.list(1, |from| from.option(Decoder::string))?,
        columns: from.list(COLUMN_LEAST, decode_column)?,
        is_explain: from.flag()?,
        is_readonly: from.flag()?,
    })
}

pub(crate) fn encode_state(out: &mut Encoder, state: SessionState) {
    out.u8(match state {
        SessionState::Clean => 0,
        SessionState::Stateful => 1,
        SessionState::Transaction => 2,
    });
}

pub(crate) fn decode_state(from: &mut Decoder<'_>) -> Result<SessionState, Malformed> {
    match from.u8()? {
        0 => Ok(SessionState::Clean),
        1 => Ok(SessionState::Stateful),
        2 => Ok(SessionState::Transaction),
        _ => Err(Malformed),
    }
}
