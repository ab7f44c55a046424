//! What was committed to a database, told as it happens.
use futures::future::BoxFuture;
use rowhouse_types::Value;
use std::fmt::Debug;
use std::sync::Arc;

/// How a transaction, as a whole, has changed a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Insert,
    /// It was there, and was another.
    Update,
    /// It is there no more. A row whose key was changed is deleted, and inserted under the new one.
    Delete,
}

/// A row that a transaction has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The table it is in.
    pub table: Arc<str>,
    /// The names of the columns that are told.
    pub columns: Arc<[String]>,
    /// The row as the transaction left it; of a deleted one, as it was before. As wide as `columns`.
    pub row: Box<[Value]>,
}

/// What has happened to a database.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// What one transaction has changed, in the order in which it first touched the rows. What comes to
    /// nothing in the end is not told, and neither is a transaction that comes to nothing.
    Committed(Vec<Change>),
    /// Something was committed that is not told.
    Gap(Untold),
}

/// Why something that was committed is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Untold {
    /// One transaction has changed more rows, or more bytes, than are told.
    TooMuch,
    /// The schema was changed.
    Schema,
    /// It was done by another process.
    Elsewhere,
    /// It could not be read: a row is not text where it should be, or has no name, or the engine failed.
    Unreadable,
    /// More was committed than whoever listens could take.
    Overrun,
}

/// Who hears what is committed to a database.
pub trait Listener: Debug + Send + Sync + 'static {
    /// Hears what has happened, in the order of the commits, each before it is acknowledged to who made it.
    ///
    /// Must not block: others wait to write meanwhile.
    fn hear(&self, news: News);
}

/// Somebody listens to a database, until this is dropped.
pub trait Listening: Debug + Send + Sync + 'static {
    /// Looks whether another process has written, and has it told. It is told with the next commit at the latest.
    fn look(&self) -> BoxFuture<'_, ()>;
}

// === impl Change ===

impl Change {
    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let held = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        };
        size_of::<Self>() + size_of_val(&*self.row) + self.row.iter().map(held).sum::<usize>()
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

// === impl Untold ===

impl Untold {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooMuch => "too_much",
            Self::Schema => "schema",
            Self::Elsewhere => "elsewhere",
            Self::Unreadable => "unreadable",
            Self::Overrun => "overrun",
        }
    }
}
