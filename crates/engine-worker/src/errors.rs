//! Errors as bytes, each as it was.
use crate::codec::{Decoder, Encoder, Malformed};
use rowhouse_engine::{Condition, EngineError, Misuse};
use std::io;
use std::sync::Arc;

macro_rules! numbered {
    ($to:ident, $from:ident, $type:ty: $($variant:ident = $number:literal),+ $(,)?) => {
        fn $to(value: $type) -> u8 {
            match value { $(<$type>::$variant => $number),+ }
        }

        fn $from(number: u8) -> Result<$type, Malformed> {
            match number { $($number => Ok(<$type>::$variant),)+ _ => Err(Malformed) }
        }
    };
}

numbered! { condition_number, condition, Condition:
    Sql = 0, Constraint = 1, Mismatch = 2, TooBig = 3, Denied = 4, Busy = 5, Locked = 6, ReadOnly = 7,
    Full = 8, Io = 9, CannotOpen = 10, Corrupt = 11, NotADatabase = 12, NoMemory = 13, Schema = 14,
    Abort = 15, Interrupted = 16, Permission = 17, Protocol = 18, ApiMisuse = 19, Range = 20,
    NotFound = 21, Internal = 22, Other = 23,
}

/// Those that somebody tells apart; the rest are `Other`.
const KINDS: [io::ErrorKind; 9] = [
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::AlreadyExists,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::TimedOut,
    io::ErrorKind::StorageFull,
    io::ErrorKind::QuotaExceeded,
    io::ErrorKind::ReadOnlyFilesystem,
];

pub(crate) fn encode(out: &mut Encoder, error: &EngineError) {
    match error {
        EngineError::Statement { condition, message, native } => {
            out.u8(0);
            out.u8(condition_number(*condition));
            out.text(message);
            out.u32(native.cast_unsigned());
        }
        EngineError::Misuse(misuse) => {
            out.u8(1);
            encode_misuse(out, misuse);
        }
        EngineError::TimedOut => out.u8(2),
        EngineError::Cancelled => out.u8(3),
        EngineError::TooManyRows { limit } => {
            out.u8(4);
            out.u64(*limit);
        }
        EngineError::TooManyBytes { limit } => {
            out.u8(5);
            out.u64(*limit);
        }
        EngineError::NoSuchDatabase => out.u8(6),
        EngineError::AlreadyExists => out.u8(7),
        EngineError::NameTaken => out.u8(8),
        EngineError::NotADatabase => out.u8(9),
        EngineError::InUse => out.u8(10),
        EngineError::BadBackup { reason } => {
            out.u8(11);
            out.text(reason);
        }
        EngineError::Closed => out.u8(12),
        EngineError::Replaced => out.u8(13),
        EngineError::OpenElsewhere => out.u8(14),
        EngineError::ProcessEnded => out.u8(15),
        EngineError::ProcessKeepsEnding { times, again_in } => {
            out.u8(16);
            out.u32(*times);
            out.duration(*again_in);
        }
        EngineError::NoProcess(source) => {
            out.u8(17);
            encode_io(out, source);
        }
        EngineError::Storage(source) => {
            out.u8(18);
            encode_io(out, source);
        }
        EngineError::Lost => out.u8(19),
        EngineError::QuotaReached { limit } => {
            out.u8(20);
            out.u64(*limit);
        }
        EngineError::MayNotWrite => out.u8(21),
        EngineError::Unreachable(source) => {
            out.u8(22);
            encode_io(out, source);
        }
        // What it is cannot be told as it is; engines in workers are all of one kind.
        EngineError::Unsupported { .. } => out.u8(23),
    }
}

pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<EngineError, Malformed> {
    Ok(match from.u8()? {
        0 => EngineError::Statement {
            condition: condition(from.u8()?)?,
            message: from.string()?,
            native: from.u32()?.cast_signed(),
        },
        1 => EngineError::Misuse(decode_misuse(from)?),
        2 => EngineError::TimedOut,
        3 => EngineError::Cancelled,
        4 => EngineError::TooManyRows { limit: from.u64()? },
        5 => EngineError::TooManyBytes { limit: from.u64()? },
        6 => EngineError::NoSuchDatabase,
        7 => EngineError::AlreadyExists,
        8 => EngineError::NameTaken,
        9 => EngineError::NotADatabase,
        10 => EngineError::InUse,
        11 => EngineError::BadBackup { reason: from.string()? },
        12 => EngineError::Closed,
        13 => EngineError::Replaced,
        14 => EngineError::OpenElsewhere,
        15 => EngineError::ProcessEnded,
        16 => EngineError::ProcessKeepsEnding { times: from.u32()?, again_in: from.duration()? },
        17 => EngineError::NoProcess(decode_io(from)?),
        18 => EngineError::Storage(decode_io(from)?),
        19 => EngineError::Lost,
        20 => EngineError::QuotaReached { limit: from.u64()? },
        21 => EngineError::MayNotWrite,
        22 => EngineError::Unreachable(decode_io(from)?),
        23 => EngineError::Unsupported { what: "this" },
        _ => return Err(Malformed),
    })
}

fn encode_misuse(out: &mut Encoder, misuse: &Misuse) {
    match misuse {
        Misuse::MultipleStatements => out.u8(0),
        Misuse::ArgumentCount { expected, supplied } => {
            out.u8(1);
            out.count(*expected);
            out.count(*supplied);
        }
        Misuse::ArgumentMissing { name } => {
            out.u8(2);
            out.text(name);
        }
        Misuse::UnnamedPlace { position } => {
            out.u8(3);
            out.count(*position);
        }
        Misuse::NullCharacter => out.u8(4),
        Misuse::NotDataChanging => out.u8(5),
        Misuse::NotUtf8 { column, text } => {
            out.u8(6);
            out.text(column);
            out.text(text);
        }
    }
}

fn decode_misuse(from: &mut Decoder<'_>) -> Result<Misuse, Malformed> {
    Ok(match from.u8()? {
        0 => Misuse::MultipleStatements,
        1 => Misuse::ArgumentCount { expected: from.count()?, supplied: from.count()? },
        2 => Misuse::ArgumentMissing { name: from.string()? },
        3 => Misuse::UnnamedPlace { position: from.count()? },
        4 => Misuse::NullCharacter,
        5 => Misuse::NotDataChanging,
        6 => Misuse::NotUtf8 { column: from.string()?, text: from.string()? },
        _ => return Err(Malformed),
    })
}

/// The system's own number where there is one, else what kind it is and what it says.
fn encode_io(out: &mut Encoder, error: &io::Error) {
    out.option(error.raw_os_error(), |out, number| out.u32(number.cast_unsigned()));
    if error.raw_os_error().is_none() {
        let kind = KINDS.iter().position(|kind| *kind == error.kind()).unwrap_or(0);
        out.count(kind);
        out.text(&error.to_string());
    }
}

fn decode_io(from: &mut Decoder<'_>) -> Result<Arc<io::Error>, Malformed> {
    let error = match from.option(Decoder::u32)? {
        Some(number) => io::Error::from_raw_os_error(number.cast_signed()),
        None => {
            let kind = KINDS.get(from.count()?).copied().ok_or(Malformed)?;
            io::Error::new(kind, from.string()?)
        }
    };
    Ok(Arc::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_error_arrives_as_it_was() {
        let statement = |number| EngineError::Statement {
            condition: condition(number).unwrap(),
            message: "no such table: é".to_owned(),
            native: -7,
        };
        let misuses = [
            Misuse::MultipleStatements,
            Misuse::ArgumentCount { expected: 1, supplied: 2 },
            Misuse::ArgumentMissing { name: "a".to_owned() },
            Misuse::UnnamedPlace { position: 3 },
            Misuse::NullCharacter,
            Misuse::NotDataChanging,
            Misuse::NotUtf8 { column: "c".to_owned(), text: "t".to_owned() },
        ];
        let storage = [
            io::Error::from_raw_os_error(28),
            io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "read only"),
            io::Error::new(io::ErrorKind::QuotaExceeded, "no more"),
        ];
        let errors = (0..=23)
            .map(statement)
            .chain(misuses.map(EngineError::Misuse))
            .chain(storage.into_iter().map(|error| EngineError::Storage(Arc::new(error))));
        let errors = errors.chain([
            EngineError::TimedOut,
            EngineError::Cancelled,
            EngineError::TooManyRows { limit: 3 },
            EngineError::TooManyBytes { limit: u64::MAX },
            EngineError::NoSuchDatabase,
            EngineError::AlreadyExists,
            EngineError::NameTaken,
            EngineError::NotADatabase,
            EngineError::InUse,
            EngineError::BadBackup { reason: "empty".to_owned() },
            EngineError::Closed,
            EngineError::Replaced,
            EngineError::OpenElsewhere,
            EngineError::ProcessEnded,
            EngineError::ProcessKeepsEnding { times: 4, again_in: Duration::from_millis(5) },
            EngineError::NoProcess(Arc::new(io::Error::other("why"))),
            EngineError::Lost,
            EngineError::QuotaReached { limit: 9 },
        ]);
        for error in errors {
            let mut out = Encoder::default();
            encode(&mut out, &error);
            let mut from = Decoder(&out.0);
            let arrived = decode(&mut from).unwrap();
            assert_eq!(from.end(), Ok(()));
            assert_eq!(format!("{arrived:?}"), format!("{error:?}"));
            use rowhouse_types::Reportable;
            assert_eq!((arrived.code(), arrived.public_message()), (error.code(), error.public_message()));
        }
    }
}
