//! Rows, many at a time, in one arena.
//!
//! Invariant: `cells.len()` is a multiple of `columns`, and every span lies within `arena` on
//! UTF-8 boundaries where it is text.
use rowhouse_types::ValueRef;

/// Rows of equal width whose texts and blobs share one buffer: no allocation per row or value.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    columns: usize,
    cells: Vec<Cell>,
    text: String,
    blob: Vec<u8>,
}

/// One row of a [`Batch`], borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    batch: &'a Batch,
    cells: &'a [Cell],
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text { start: u32, len: u32 },
    Blob { start: u32, len: u32 },
}

// === impl Batch ===

impl Batch {
    /// The most bytes of text, and of blobs, one batch can address.
    pub const MAX_BYTES: usize = u32::MAX as usize;

    /// An empty batch of rows `columns` wide.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Appends the next value, left to right, top to bottom.
    ///
    /// # Panics
    ///
    /// When the texts or the blobs of the batch would exceed [`Batch::MAX_BYTES`].
    pub fn push(&mut self, value: ValueRef<'_>) {
        let cell = match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(n) => Cell::Integer(n),
            ValueRef::Real(x) => Cell::Real(x),
            ValueRef::Text(text) => {
                let (start, len) = span(self.text.len(), text.len());
                self.text.push_str(text);
                Cell::Text { start, len }
            }
            ValueRef::Blob(bytes) => {
                let (start, len) = span(self.blob.len(), bytes.len());
                self.blob.extend_from_slice(bytes);
                Cell::Blob { start, len }
            }
        };
        self.cells.push(cell);
    }

    /// How many values a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// About how many bytes of memory the rows take.
    pub fn size(&self) -> usize {
        self.text.len() + self.blob.len() + self.cells.len() * size_of::<Cell>()
    }

    /// Appends the batch to `out` as its arenas lie in memory: a head, one record per value, then all
    /// text and all blobs, each as one piece.
    pub fn pack(&self, out: &mut Vec<u8>) {
        out.reserve(HEAD + self.cells.len() * RECORD + self.text.len() + self.blob.len());
        for n in [self.columns, self.cells.len(), self.text.len(), self.blob.len()] {
            out.extend_from_slice(&(n as u64).to_le_bytes());
        }
        for cell in &self.cells {
            out.extend_from_slice(&cell.record());
        }
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(&self.blob);
    }

    /// The batch that [`Batch::pack`] has written, and nothing else. `None` when it is none: whatever
    /// the bytes are, a batch that is returned is whole.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_at_checked(HEAD)?;
        let mut numbers = head.chunks_exact(size_of::<u64>()).map(|number| {
            usize::try_from(u64::from_le_bytes(number.try_into().expect("as long as a number"))).ok()
        });
        let mut next = || numbers.next()?;
        let (columns, count, text, blob) = (next()?, next()?, next()?, next()?);
        let is_whole = if columns == 0 { count == 0 } else { count.is_multiple_of(columns) };
        let mut take = |len: usize| {
            let (piece, after) = rest.split_at_checked(len)?;
            rest = after;
            Some(piece)
        };
        let (records, text, blob) = (take(count.checked_mul(RECORD)?)?, take(text)?, take(blob)?);
        if !rest.is_empty() || !is_whole {
            return None;
        }
        let (text, blob) = (std::str::from_utf8(text).ok()?.to_owned(), blob.to_vec());
        let mut cells = Vec::with_capacity(count);
        for record in records.chunks_exact(RECORD) {
            cells.push(Cell::of_record(record, &text, &blob)?);
        }
        Some(Self { columns, cells, text, blob })
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // A batch without columns has no cells: any width yields no row.
        self.cells.chunks_exact(self.columns.max(1)).map(|cells| Row { batch: self, cells })
    }
}

/// Bytes before the first record: the width, and how many values and bytes of text and blobs there are.
const HEAD: usize = 4 * size_of::<u64>();

/// Bytes of one value beside its text or bytes: what it is, and the number or the span.
const RECORD: usize = 1 + size_of::<u64>();

// === impl Cell ===

impl Cell {
    fn record(self) -> [u8; RECORD] {
        let span = |start: u32, len: u32| u64::from(start) << 32 | u64::from(len);
        let (kind, number) = match self {
            Self::Null => (0, 0),
            Self::Integer(n) => (1, n.cast_unsigned()),
            Self::Real(x) => (2, x.to_bits()),
            Self::Text { start, len } => (3, span(start, len)),
            Self::Blob { start, len } => (4, span(start, len)),
        };
        let mut record = [kind; RECORD];
        record[1..].copy_from_slice(&number.to_le_bytes());
        record
    }

    /// The value of a record, if it is one and lies within these.
    fn of_record(record: &[u8], text: &str, blob: &[u8]) -> Option<Self> {
        let (&kind, number) = record.split_first()?;
        let number = u64::from_le_bytes(number.try_into().ok()?);
        let (start, len) = ((number >> 32) as u32, number as u32);
        let range = start as usize..(start as usize).checked_add(len as usize)?;
        match kind {
            0 => Some(Self::Null),
            1 => Some(Self::Integer(number.cast_signed())),
            2 => Some(Self::Real(f64::from_bits(number))),
            3 => text.get(range).map(|_| Self::Text { start, len }),
            4 => blob.get(range).map(|_| Self::Blob { start, len }),
            _ => None,
        }
    }
}

fn span(start: usize, len: usize) -> (u32, u32) {
    let fits = |n: usize| u32::try_from(n).expect("a batch is cut long before 4 GiB");
    fits(start + len);
    (fits(start), fits(len))
}

// === impl Row ===

impl<'a> Row<'a> {
    /// The values, left to right.
    pub fn values(self) -> impl ExactSizeIterator<Item = ValueRef<'a>> {
        self.cells.iter().map(move |&cell| match cell {
            Cell::Null => ValueRef::Null,
            Cell::Integer(n) => ValueRef::Integer(n),
            Cell::Real(x) => ValueRef::Real(x),
            Cell::Text { start, len } => {
                let start = start as usize;
                ValueRef::Text(&self.batch.text[start..start + len as usize])
            }
            Cell::Blob { start, len } => {
                let start = start as usize;
                ValueRef::Blob(&self.batch.blob[start..start + len as usize])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went_in() {
        let row = [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(-0.5),
            ValueRef::Text("a\0é"),
            ValueRef::Blob(&[0, 255]),
        ];
        let mut batch = Batch::new(row.len());
        for value in row.into_iter().chain(row) {
            batch.push(value);
        }
        assert_eq!(batch.len(), 2);
        for read in batch.rows() {
            assert_eq!(read.values().collect::<Vec<_>>(), row);
        }
    }

    fn sample() -> Batch {
        let mut batch = Batch::new(3);
        for value in [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(-0.5),
            ValueRef::Text("a\0é"),
            ValueRef::Blob(&[0, 255]),
            ValueRef::Text(""),
        ] {
            batch.push(value);
        }
        batch
    }

    #[test]
    fn a_packed_batch_is_unpacked_as_it_was() {
        let mut packed = Vec::new();
        sample().pack(&mut packed);
        let unpacked = Batch::unpack(&packed).unwrap();
        let values = |batch: &Batch| {
            format!("{:?}", batch.rows().map(|row| row.values().collect::<Vec<_>>()).collect::<Vec<_>>())
        };
        assert_eq!(values(&unpacked), values(&sample()));
        let mut nothing = Vec::new();
        Batch::default().pack(&mut nothing);
        assert!(Batch::unpack(&nothing).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_whole_batch_is_not_unpacked() {
        let mut packed = Vec::new();
        sample().pack(&mut packed);
        for len in 0..packed.len() {
            assert!(Batch::unpack(&packed[..len]).is_none(), "{len} bytes of {}", packed.len());
        }
        let mut longer = packed.clone();
        longer.push(0);
        assert!(Batch::unpack(&longer).is_none());
        // Whatever one byte is, what comes out can be read.
        for at in 0..packed.len() {
            for byte in [0, 1, 3, 4, 5, 127, 128, 255] {
                let mut other = packed.clone();
                other[at] = byte;
                if let Some(batch) = Batch::unpack(&other) {
                    assert!(batch.rows().flat_map(Row::values).count() <= 6);
                }
            }
        }
    }

    #[test]
    fn a_batch_without_columns_has_no_rows() {
        assert_eq!(Batch::new(0).rows().len(), 0);
        assert_eq!(Batch::new(0).len(), 0);
    }
}
