//! The parts of comparisons, as the command line names them.

/// The parts of those comparisons that can be run one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    /// First answers of databases of three sizes, closed cleanly and after the server was killed.
    ColdOpen,
    /// First answers of databases that are not there yet.
    Create,
    /// `SELECT 1` on an open database, beside an echo, the codec and the peer.
    Select,
    /// Reads over `/v2/pipeline`, beside a bare handler.
    Pipeline,
    /// Durable single-row inserts into one database by 1 to 64 clients.
    Insert,
    /// Reads over WebSocket, beside a bare one.
    Websocket,
    /// What 5,000 open databases cost while nobody asks.
    Memory,
    /// More databases in use than there is room for.
    Rotation,
    /// One database while another runs slow queries.
    Neighbour,
}

// === impl Part ===

impl Part {
    /// Those of `on-demand`, in the order in which they run.
    pub(super) const ON_DEMAND: &[Self] = &[
        Self::ColdOpen,
        Self::Create,
        Self::Select,
        Self::Insert,
        Self::Memory,
        Self::Rotation,
        Self::Neighbour,
    ];

    /// Those of `hrana`, in the order in which they run.
    pub(super) const HRANA: &[Self] = &[Self::Pipeline, Self::Insert, Self::Websocket, Self::Rotation];

    /// Returns the name it has on the command line.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ColdOpen => "cold-open",
            Self::Create => "create",
            Self::Select => "select",
            Self::Pipeline => "pipeline",
            Self::Insert => "insert",
            Self::Websocket => "websocket",
            Self::Memory => "memory",
            Self::Rotation => "rotation",
            Self::Neighbour => "neighbour",
        }
    }
}
