//! Functions of SQLite's whose work grows with the product of their arguments' lengths.
//!
//! SQLite looks at no deadline while a function works. Two texts of some megabytes keep `instr` busy
//! for minutes, and of the greatest length for hours, on a thread that others wait for. Each of these
//! functions is put behind a bound on that product; within it SQLite's own does the work, on a
//! connection of its own that holds nothing.
use rusqlite::functions::{Context, FunctionFlags, SubType};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, ffi, params_from_iter};
use std::sync::{Arc, Mutex, PoisonError};

/// What is done byte by byte, at some 250 million a second: a second's worth.
const BY_BYTE: u64 = 1 << 28;

/// What is done many bytes at once, at some 20 thousand million a second: a second's worth.
const BY_BLOCK: u64 = 1 << 34;

/// The mark by which SQLite knows that a text is JSON.
const JSON: SubType = Some(b'J' as std::ffi::c_uint);

/// A function whose first two arguments multiply.
struct Guarded {
    name: &'static str,
    sql: &'static str,
    arguments: i32,
    most: u64,
    marks: SubType,
}

const fn guarded(
    name: &'static str,
    sql: &'static str,
    arguments: i32,
    most: u64,
    marks: SubType,
) -> Guarded {
    Guarded { name, sql, arguments, most, marks }
}

const GUARDED: &[Guarded] = &[
    guarded("instr", "SELECT instr(?1, ?2)", 2, BY_BLOCK, None),
    guarded("replace", "SELECT replace(?1, ?2, ?3)", 3, BY_BLOCK, None),
    guarded("trim", "SELECT trim(?1, ?2)", 2, BY_BYTE, None),
    guarded("ltrim", "SELECT ltrim(?1, ?2)", 2, BY_BYTE, None),
    guarded("rtrim", "SELECT rtrim(?1, ?2)", 2, BY_BYTE, None),
    guarded("unhex", "SELECT unhex(?1, ?2)", 2, BY_BYTE, None),
    guarded("json_patch", "SELECT json_patch(?1, ?2)", 2, BY_BLOCK, JSON),
    guarded("jsonb_patch", "SELECT jsonb_patch(?1, ?2)", 2, BY_BLOCK, None),
];

/// SQLite's own functions, on a connection that is opened when the first is called.
#[derive(Clone)]
struct Originals {
    connection: Arc<Mutex<Option<Connection>>>,
    value_bytes: i32,
}

/// What a function answers; a text is passed on as it is, be it UTF-8 or not.
enum Answer {
    Text(Vec<u8>),
    Other(Value),
}

/// Puts the functions of `connection` behind their bounds; values are `value_bytes` long at most.
pub(crate) fn guard(connection: &Connection, value_bytes: i32) -> rusqlite::Result<()> {
    let originals = Originals { connection: Arc::default(), value_bytes };
    for function in GUARDED {
        let originals = originals.clone();
        let mut flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        flags.set(FunctionFlags::SQLITE_RESULT_SUBTYPE, function.marks.is_some());
        connection.create_scalar_function(function.name, function.arguments, flags, move |context| {
            if function.most < work(context) {
                return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
            }
            let value = originals.call(function.sql, context)?;
            let marks = function.marks.filter(|_| matches!(value, Answer::Text(_)));
            Ok((value, marks))
        })?;
    }
    Ok(())
}

fn work(context: &Context<'_>) -> u64 {
    let length = |argument| match context.get_raw(argument) {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 1,
    };
    length(0).saturating_mul(length(1))
}

// === impl Originals ===

impl Originals {
    fn call(&self, sql: &str, context: &Context<'_>) -> rusqlite::Result<Answer> {
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &mut *kept {
            Some(connection) => connection,
            none => none.insert(self.open()?),
        };
        let arguments = (0..context.len()).map(|argument| ToSqlOutput::Borrowed(context.get_raw(argument)));
        connection.prepare_cached(sql)?.query_row(params_from_iter(arguments), |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Text(bytes) => Answer::Text(bytes.to_vec()),
                _ => Answer::Other(row.get(0)?),
            })
        })
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, self.value_bytes)?;
        Ok(connection)
    }
}

// === impl Answer ===

impl ToSql for Answer {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(bytes) => Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes))),
            Self::Other(value) => value.to_sql(),
        }
    }
}
