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

    /// The rows, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // A batch without columns has no cells: any width yields no row.
        self.cells.chunks_exact(self.columns.max(1)).map(|cells| Row { batch: self, cells })
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

    #[test]
    fn a_batch_without_columns_has_no_rows() {
        assert_eq!(Batch::new(0).rows().len(), 0);
        assert_eq!(Batch::new(0).len(), 0);
    }
}
