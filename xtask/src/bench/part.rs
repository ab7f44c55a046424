//! The parts of `on-demand`, as the command line names them.

/// The parts, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// First answers of databases of three sizes, closed cleanly and after the server was killed.
    ColdOpen,
    /// First answers of databases that are not there yet.
    Create,
    /// `SELECT 1` on an open database, beside an echo, the codec and the peer.
    Select,
    /// Durable single-row inserts into one database by 1 to 64 clients.
    Insert,
    /// What 5,000 open databases cost while nobody asks.
    Memory,
    /// More databases in use than there is room for.
    Rotation,
    /// One database while another runs slow queries.
    Neighbour,
}

// === impl Part ===

impl Part {
    /// Returns the name it has on the command line.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ColdOpen => "cold-open",
            Self::Create => "create",
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Memory => "memory",
            Self::Rotation => "rotation",
            Self::Neighbour => "neighbour",
        }
    }
}
