//! What values options take.

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number between two bounds, both allowed.
    Integer(u64, u64),
    /// A time such as `500ms` or `30s`, at least a millisecond and at most a day.
    Duration,
    /// A number of bytes such as `64MiB`, between two bounds, both allowed.
    Bytes(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path, relative to the working directory.
    Path,
    /// A path relative to the data directory, or `:memory:`.
    Database,
    /// A table of names and databases; JSON in the environment and on the command line.
    DatabaseMap,
    /// An address such as `tcp://127.0.0.1:5000`.
    Address,
    /// A log filter such as `info` or `rowhouse=debug`.
    Filter,
    /// The name of key files, without their endings.
    KeyId,
    /// An address such as `127.0.0.1:9090`.
    Socket,
    /// An IP address.
    Ip,
    /// Names of hosts, separated by commas.
    Hosts,
    /// Texts, separated by commas.
    Texts,
    /// Origins of web pages, separated by commas, or `*`.
    Origins,
    /// Some of these words, separated by commas.
    Words(&'static [&'static str]),
    /// The name of a service.
    Service,
    /// Where a PostgreSQL database is, and how one logs in to it.
    Dsn,
    /// A table of labels and DSNs; JSON in the environment and on the command line.
    DsnMap,
}

// === impl Kind ===

impl Kind {
    /// Whether its values are secrets, in whole or in part: none is shown as it was written.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Dsn | Self::DsnMap)
    }
}
