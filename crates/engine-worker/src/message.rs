//! What server and worker say to each other: orders one way, reports the other. Each is one frame.
use crate::codec::{Decoder, Encoder, Malformed};
use crate::errors;
use crate::news::{decode_news, encode_news};
use crate::request::{
    decode_chunk, decode_description, decode_options, decode_request, decode_state, encode_chunk,
    encode_description, encode_options, encode_request, encode_state,
};
use rowhouse_engine::{
    Chunk, Description, EngineError, News, Options, Over, Pace, Progress, SessionState, Stage,
};
use rowhouse_types::Request;

/// What the server tells the worker to do, on a channel.
#[derive(Debug)]
pub(crate) enum Order {
    /// The first: who the server is, what the worker may take, and what its engine is made of.
    Setup {
        version: String,
        memory: Option<u64>,
        engine: Vec<u8>,
    },
    /// Open the database that is the worker's own.
    Open {
        at: String,
    },
    /// Copy a database that is not the worker's own.
    BackUp {
        at: String,
        to: String,
        pace: Pace,
    },
    /// Restore one.
    Restore {
        at: String,
        from: String,
        over: Over,
        pace: Pace,
    },
    /// A session of this channel.
    Connect,
    /// A request of the session's.
    Run {
        request: Request,
        options: Options,
    },
    /// What a statement is.
    Describe {
        sql: String,
        options: Options,
    },
    /// So many chunks more may be sent.
    More {
        chunks: u32,
    },
    /// Nobody reads on.
    Cancel,
    Ping,
    Reset,
    /// Close the session, and tell when it is closed.
    Close,
    /// The session's owner is gone.
    Forget,
    /// What tells whether the database has changed.
    Stamp,
    /// Copy the worker's own database.
    BackUpOwn {
        to: String,
        pace: Pace,
    },
    /// Stop the copy of this channel.
    Stop,
    /// Tell how far the copy of this channel is, once there is something new.
    Tell,
    /// How many bytes the database may take from now on. Nothing answers.
    Bound {
        max_bytes: Option<u64>,
    },
    /// Whether the database is frozen at its bound: 1 if so.
    IsFrozen,
    /// Move all that was committed to where it belongs.
    Checkpoint,
    /// Tell on this channel what is committed from now on, after an answer.
    Listen,
    /// Look whether others have written, for who listens on this channel.
    Look,
    /// Close the database.
    CloseDatabase,
}

/// What the worker answers, on the channel of the order.
#[derive(Debug)]
pub(crate) enum Report {
    /// Rows; more follow.
    Chunk(Chunk),
    /// A request has ended: what the session holds now, whether nothing of it was begun, and how.
    End { state: SessionState, unbegun: bool, result: Result<Chunk, EngineError> },
    /// What a statement is, and what the session holds.
    Described { state: SessionState, result: Result<Description, EngineError> },
    /// Something else was done with a session.
    Done { state: SessionState, result: Result<(), EngineError> },
    /// A call has ended, with a number where it has one.
    Answer(Result<Option<u64>, EngineError>),
    /// How far a copy is.
    Progress(Progress),
    /// What was committed.
    News(News),
}

// === impl Order ===

impl Order {
    /// The kind, and the body after what `out` holds already.
    pub(crate) fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Setup { version, memory, engine } => {
                out.u8(0);
                out.text(version);
                out.option(*memory, Encoder::u64);
                out.bytes(engine);
            }
            Self::Open { at } => {
                out.u8(1);
                out.text(at);
            }
            Self::BackUp { at, to, pace } => {
                out.u8(2);
                out.text(at);
                out.text(to);
                encode_pace(out, *pace);
            }
            Self::Restore { at, from, over, pace } => {
                out.u8(3);
                out.text(at);
                out.text(from);
                out.u8(u8::from(*over == Over::Existing));
                encode_pace(out, *pace);
            }
            Self::Connect => out.u8(4),
            Self::Run { request, options } => {
                out.u8(5);
                encode_options(out, options);
                encode_request(out, request);
            }
            Self::More { chunks } => {
                out.u8(6);
                out.u32(*chunks);
            }
            Self::Cancel => out.u8(7),
            Self::Ping => out.u8(8),
            Self::Reset => out.u8(9),
            Self::Close => out.u8(10),
            Self::Forget => out.u8(11),
            Self::Stamp => out.u8(12),
            Self::BackUpOwn { to, pace } => {
                out.u8(13);
                out.text(to);
                encode_pace(out, *pace);
            }
            Self::Stop => out.u8(14),
            Self::CloseDatabase => out.u8(15),
            Self::Tell => out.u8(16),
            Self::Bound { max_bytes } => {
                out.u8(17);
                out.option(*max_bytes, Encoder::u64);
            }
            Self::IsFrozen => out.u8(18),
            Self::Checkpoint => out.u8(19),
            Self::Listen => out.u8(21),
            Self::Look => out.u8(22),
            Self::Describe { sql, options } => {
                out.u8(20);
                encode_options(out, options);
                out.text(sql);
            }
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder(body);
        let order = match from.u8()? {
            0 => Self::Setup {
                version: from.string()?,
                memory: from.option(Decoder::u64)?,
                engine: from.bytes()?.to_vec(),
            },
            1 => Self::Open { at: from.string()? },
            2 => Self::BackUp { at: from.string()?, to: from.string()?, pace: decode_pace(&mut from)? },
            3 => Self::Restore {
                at: from.string()?,
                from: from.string()?,
                over: if from.flag()? { Over::Existing } else { Over::Nothing },
                pace: decode_pace(&mut from)?,
            },
            4 => Self::Connect,
            5 => {
                let options = decode_options(&mut from)?;
                Self::Run { request: decode_request(&mut from)?, options }
            }
            6 => Self::More { chunks: from.u32()? },
            7 => Self::Cancel,
            8 => Self::Ping,
            9 => Self::Reset,
            10 => Self::Close,
            11 => Self::Forget,
            12 => Self::Stamp,
            13 => Self::BackUpOwn { to: from.string()?, pace: decode_pace(&mut from)? },
            14 => Self::Stop,
            15 => Self::CloseDatabase,
            16 => Self::Tell,
            17 => Self::Bound { max_bytes: from.option(Decoder::u64)? },
            18 => Self::IsFrozen,
            19 => Self::Checkpoint,
            21 => Self::Listen,
            22 => Self::Look,
            20 => {
                let options = decode_options(&mut from)?;
                Self::Describe { sql: from.string()?, options }
            }
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(order)
    }
}

fn encode_pace(out: &mut Encoder, pace: Pace) {
    out.u8(u8::from(pace == Pace::Full));
}

fn decode_pace(from: &mut Decoder<'_>) -> Result<Pace, Malformed> {
    Ok(if from.flag()? { Pace::Full } else { Pace::Gentle })
}

// === impl Report ===

impl Report {
    pub(crate) fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Chunk(chunk) => {
                out.u8(0);
                encode_chunk(out, chunk);
            }
            Self::End { state, unbegun, result } => {
                out.u8(1);
                encode_state(out, *state);
                out.u8(u8::from(*unbegun));
                encode_result(out, result, encode_chunk);
            }
            Self::Done { state, result } => {
                out.u8(2);
                encode_state(out, *state);
                encode_result(out, result, |_, ()| {});
            }
            Self::Answer(result) => {
                out.u8(3);
                encode_result(out, result, |out, number| out.option(*number, Encoder::u64));
            }
            Self::Progress(Progress { stage, done, total }) => {
                out.u8(4);
                out.u8(match stage {
                    Stage::Waiting => 0,
                    Stage::Copying => 1,
                    Stage::Verifying => 2,
                });
                out.u64(*done);
                out.u64(*total);
            }
            Self::News(news) => {
                out.u8(6);
                encode_news(out, news);
            }
            Self::Described { state, result } => {
                out.u8(5);
                encode_state(out, *state);
                encode_result(out, result, encode_description);
            }
        }
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder(body);
        let report = match from.u8()? {
            0 => Self::Chunk(decode_chunk(&mut from)?),
            1 => Self::End {
                state: decode_state(&mut from)?,
                unbegun: from.flag()?,
                result: decode_result(&mut from, decode_chunk)?,
            },
            2 => {
                Self::Done { state: decode_state(&mut from)?, result: decode_result(&mut from, |_| Ok(()))? }
            }
            3 => Self::Answer(decode_result(&mut from, |from| from.option(Decoder::u64))?),
            4 => {
                let stage = match from.u8()? {
                    0 => Stage::Waiting,
                    1 => Stage::Copying,
                    2 => Stage::Verifying,
                    _ => return Err(Malformed),
                };
                Self::Progress(Progress { stage, done: from.u64()?, total: from.u64()? })
            }
            6 => Self::News(decode_news(&mut from)?),
            5 => Self::Described {
                state: decode_state(&mut from)?,
                result: decode_result(&mut from, decode_description)?,
            },
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(report)
    }
}

fn encode_result<T>(
    out: &mut Encoder,
    result: &Result<T, EngineError>,
    encode: impl FnOnce(&mut Encoder, &T),
) {
    match result {
        Ok(value) => {
            out.u8(1);
            encode(out, value);
        }
        Err(error) => {
            out.u8(0);
            errors::encode(out, error);
        }
    }
}

fn decode_result<T>(
    from: &mut Decoder<'_>,
    decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, Malformed>,
) -> Result<Result<T, EngineError>, Malformed> {
    if from.flag()? { decode(from).map(Ok) } else { errors::decode(from).map(Err) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_engine::{Column, Outcome, SqlPolicy};

    fn there_and_back(report: &Report) -> Report {
        let mut out = Encoder::default();
        report.encode(&mut out);
        for len in 0..out.0.len() {
            assert!(Report::decode(&out.0[..len]).is_err(), "{len} bytes of {}", out.0.len());
        }
        Report::decode(&out.0).unwrap()
    }

    fn columns() -> Vec<Column> {
        let column = |name: &str, decl_type: Option<&str>| Column {
            name: name.to_owned(),
            decl_type: decl_type.map(str::to_owned),
        };
        vec![column("n", Some("INTEGER")), column("", None)]
    }

    #[test]
    fn a_description_arrives_as_it_was_sent() {
        let description = Description {
            params: vec![Some(":a".to_owned()), None],
            columns: columns(),
            is_explain: true,
            is_readonly: false,
        };
        let sent = Report::Described { state: SessionState::Transaction, result: Ok(description.clone()) };
        let Report::Described { state, result } = there_and_back(&sent) else { panic!("another report") };
        assert_eq!((state, result.unwrap()), (SessionState::Transaction, description));
    }

    #[test]
    fn a_result_arrives_with_its_columns_and_counts() {
        let outcome =
            Outcome { affected: None, changed: 1, last_insert_id: -2, rows_read: 3, rows_written: 4 };
        let chunk = Chunk { columns: Some(columns().into()), outcome: Some(outcome), ..Chunk::default() };
        let Report::Chunk(arrived) = there_and_back(&Report::Chunk(chunk)) else { panic!("another report") };
        assert_eq!(arrived.columns.as_deref(), Some(&columns()[..]));
        assert_eq!(arrived.outcome, Some(outcome));
    }

    #[test]
    fn who_asks_what_a_statement_is_may_do_no_more_than_whoever_runs_it() {
        for policy in [SqlPolicy::Standard, SqlPolicy::Guarded, SqlPolicy::ReadOnly] {
            let options =
                Options { deadline: None, policy, foreign_keys: true, max_rows: Some(1), max_bytes: None };
            let mut out = Encoder::default();
            Order::Describe { sql: "SELECT 1".to_owned(), options }.encode(&mut out);
            let Ok(Order::Describe { sql, options }) = Order::decode(&out.0) else { panic!("another order") };
            assert_eq!((sql.as_str(), options.policy, options.max_rows), ("SELECT 1", policy, Some(1)));
            assert!(options.foreign_keys);
        }
    }
}
