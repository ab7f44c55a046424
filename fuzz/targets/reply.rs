//! Replies: what is written, a client reads as it was meant.
#![no_main]
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use rmpv::Value as Msgpack;
use rowhouse_types::{ErrorCode, ValueRef};
use rowhouse_wire::sqlite_rx::{Class, Envelope, Fault, ReplyWriter};

struct Reply<'a> {
    rows: Vec<Vec<Cell<'a>>>,
    rowcount: Option<u64>,
    lastrowid: Option<i64>,
    message: &'a str,
    hint: Option<&'a str>,
}

enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

fuzz_target!(|data: &[u8]| {
    if let Ok(reply) = Reply::read(&mut Unstructured::new(data)) {
        check(&reply);
    }
});

fn check(reply: &Reply<'_>) {
    let mut writer = ReplyWriter::default();
    reply.rows.iter().for_each(|row| writer.row(row.iter().map(Cell::value)));
    let bytes = writer.finish(reply.rowcount, reply.lastrowid);
    let read = rmpv::decode::read_value(&mut &*bytes).expect("a reply is msgpack");
    let rows = read["items"].as_array().expect("an array");
    assert_eq!(rows.len(), reply.rows.len());
    for (read, row) in rows.iter().zip(&reply.rows) {
        let cells = read.as_array().expect("an array");
        assert_eq!(cells.len(), row.len());
        assert!(cells.iter().zip(row).all(|(read, cell)| cell.is(read)));
    }
    assert!(read["error"].is_nil());
    assert_eq!(read["rowcount"].as_u64(), reply.rowcount);
    assert_eq!(read["lastrowid"].as_i64(), reply.lastrowid);
    let mut envelope = Envelope::default();
    let packed = envelope.pack(&bytes);
    assert_eq!(envelope.unpack(&packed, bytes.len()), Ok(bytes));

    let fault = Fault::new(Class::OperationalError, ErrorCode::SqlError, reply.message)
        .with_hint(reply.hint.map(str::to_owned));
    let read = rmpv::decode::read_value(&mut &*ReplyWriter::fault(&fault)).expect("a reply is msgpack");
    assert_eq!(read["error"]["message"].as_str(), Some(&*fault.text()));
    assert_eq!(read["error"]["hint"].as_str(), reply.hint);
}

impl<'a> Reply<'a> {
    fn read(data: &mut Unstructured<'a>) -> Result<Self> {
        let (rowcount, lastrowid) = (data.arbitrary()?, data.arbitrary()?);
        let (message, hint) = (data.arbitrary()?, data.arbitrary()?);
        let (rows, columns) = (data.int_in_range(0..=70)?, data.int_in_range(0..=20)?);
        let row = |data: &mut Unstructured<'a>| (0..columns).map(|_| Cell::read(data)).collect();
        let rows = (0..rows).map(|_| row(data)).collect::<Result<_>>()?;
        Ok(Self { rows, rowcount, lastrowid, message, hint })
    }
}

impl<'a> Cell<'a> {
    fn read(data: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match data.int_in_range(0..=4)? {
            0 => Self::Null,
            1 => Self::Integer(data.arbitrary()?),
            2 => Self::Real(data.arbitrary()?),
            3 => Self::Text(data.arbitrary()?),
            _ => Self::Blob(data.arbitrary()?),
        })
    }

    fn value(&self) -> ValueRef<'_> {
        match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(n),
            Self::Real(x) => ValueRef::Real(x),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    fn is(&self, read: &Msgpack) -> bool {
        match self {
            Self::Null => read.is_nil(),
            Self::Integer(n) => read.as_i64() == Some(*n),
            Self::Real(x) => matches!(read, Msgpack::F64(read) if read.to_bits() == x.to_bits()),
            Self::Text(text) => read.as_str() == Some(*text),
            Self::Blob(bytes) => matches!(read, Msgpack::Binary(read) if read == bytes),
        }
    }
}
