//! Columns for people, the same on a terminal and in a pipe.
use std::fmt;
use std::time::Duration;

/// A table: a line of heads, then a line for each row, in aligned columns.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A column's head, and to which side its cells are aligned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Words.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

// === impl Table ===

impl Table {
    pub(super) fn new(heads: &[Column]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cell = |cell: String| if cell.is_empty() { "-".to_owned() } else { plain(&cell) };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(self.heads[column].head().len())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<_> = (0..self.heads.len()).map(|column| self.width(column)).collect();
        let heads: Vec<_> = self.heads.iter().map(|column| column.head().to_owned()).collect();
        for row in [&heads].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.heads).zip(&widths) {
                let padded = match column {
                    Column::Left(_) => format!("{cell:<width$}  "),
                    Column::Right(_) => format!("{cell:>width$}  "),
                };
                line += &padded;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

// === impl Column ===

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Left(head) | Self::Right(head) => head,
        }
    }
}

/// A text of somebody else's, with nothing in it that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A cell for what may not be there.
pub(super) fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A time in two units at most, without spaces: `0s`, `59s`, `1m5s`, `2h3m`, `4d1h`.
pub(super) fn span(seconds: f64) -> String {
    // Nothing that is negative or beyond any clock comes from a server of ours.
    let total = Duration::try_from_secs_f64(seconds.max(0.0)).map_or(0, |time| time.as_secs());
    let (minutes, hours, days) = (total / 60, total / 3600, total / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{total}s"),
        (0, 0, _) => format!("{minutes}m{}s", total % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_last_word() {
        let mut table = Table::new(&[Column::Left("NAME"), Column::Right("COUNT"), Column::Left("WHY")]);
        table.row(["a".to_owned(), "1".to_owned(), String::new()]);
        table.row(["longer".to_owned(), "1000000".to_owned(), "two words".to_owned()]);
        assert_eq!(
            table.to_string(),
            "NAME      COUNT  WHY\na             1  -\nlonger  1000000  two words\n"
        );
    }

    #[test]
    fn nothing_in_a_cell_is_obeyed_by_a_terminal() {
        let mut table = Table::new(&[Column::Left("NAME")]);
        table.row(["\u{1b}[2J\nforged".to_owned()]);
        assert_eq!(table.to_string(), "NAME\n\\u{1b}[2J\\nforged\n");
    }

    #[test]
    fn times_are_short() {
        for (seconds, shown) in [
            (-1.0, "0s"),
            (0.9, "0s"),
            (59.9, "59s"),
            (65.0, "1m5s"),
            (7380.0, "2h3m"),
            (349_200.0, "4d1h"),
            (f64::NAN, "0s"),
            (f64::MAX, "0s"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }
}
