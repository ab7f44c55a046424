//! What a gateway, and each of its databases, may use.
use crate::live::LiveLimits;
use std::num::NonZeroU32;
use std::time::Duration;

/// What the gateway may use. Every field is a bound; none is optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Databases opened by name that may be open at once; configured ones are not counted.
    pub max_connections: NonZeroU32,
    /// Databases that may wait for room at once.
    pub max_waiting: u32,
    /// How long an opening waits for room when every open database is in use.
    pub room_timeout: Duration,
    /// How lately a database was used to count as in use when clients compete for room.
    pub fair_window: Duration,
    /// Databases that one client may create in a second.
    pub create_rate: NonZeroU32,
    /// What the feed of changes of each database may take.
    pub live: LiveLimits,
    /// What each database may use that has no limits of its own.
    pub database: DatabaseLimits,
    /// The pool of each database that takes a server's connections, in the place of that in `database`.
    pub organizations: PoolSize,
    /// The pool of the metadata database, likewise.
    pub metadata: PoolSize,
    /// Connections that all databases on one server may have together; what the server can take, less what
    /// administration needs, unless set.
    pub server_connections: Option<NonZeroU32>,
}

/// How many connections a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Kept open.
    pub size: NonZeroU32,
    /// How many more there may be while they are in use.
    pub overflow: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: NonZeroU32::new(20).expect("not zero"),
            max_waiting: 10_000,
            room_timeout: Duration::from_secs(5),
            fair_window: Duration::from_secs(60),
            create_rate: NonZeroU32::new(100).expect("not zero"),
            live: LiveLimits::default(),
            database: DatabaseLimits::default(),
            organizations: PoolSize { size: NonZeroU32::new(5).expect("not zero"), overflow: 10 },
            metadata: PoolSize { size: NonZeroU32::new(20).expect("not zero"), overflow: 30 },
            server_connections: None,
        }
    }
}

/// Whose connections a database takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Its own: nobody else has fewer for it.
    Own,
    /// A server's, which other databases take too.
    Server,
}

/// A limit to be changed, or left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// As it is.
    #[default]
    Keep,
    /// What all databases have that have no limit of their own.
    Default,
    /// This.
    Set(T),
}

/// Why a limit cannot be that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} must be {rule}")]
pub struct InvalidLimit {
    /// The option's name.
    pub option: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

/// A limit's value as text, and the values there are.
trait Value: Copy + PartialEq {
    fn write(self) -> String;
    fn read(text: &str) -> Option<Self>;
    /// The value as a number, of milliseconds if it is a time; `None` for no bound.
    fn number(self) -> Option<u64>;
}

/// The texts that stand for no bound.
const NO_BOUND: &str = "none";

/// The longest time a limit may be, in milliseconds.
const DAY: u64 = 24 * 3600 * 1000;

macro_rules! database_limits {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $option:literal in ($least:expr, $most:expr), $rule:literal;)+) => {
        /// What one database may use. `None` is no bound.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct DatabaseLimits {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// The limits that a database has of its own; the others are those of all databases.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct OwnLimits {
            $($(#[doc = $doc])+ pub $field: Option<$type>,)+
        }

        /// Limits of a database to be changed.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct LimitsPatch {
            $($(#[doc = $doc])+ pub $field: Patch<$type>,)+
        }

        impl DatabaseLimits {
            /// The names of the options, in the order of the fields.
            pub const OPTIONS: &[&str] = &[$($option),+];

            /// The options that differ from `other`'s, with their values here, as `name=value` each.
            pub fn against(&self, other: &Self) -> String {
                let mut texts = Vec::new();
                $(if self.$field != other.$field { texts.push(format!(concat!($option, "={}"), self.$field.write())); })+
                texts.join(" ")
            }

            /// Fails when a limit is not one there can be.
            pub fn check(&self) -> Result<(), InvalidLimit> {
                $(if self.$field.number().is_some_and(|n| !($least..=$most).contains(&n)) {
                    return Err(InvalidLimit { option: $option, rule: $rule });
                })+
                Ok(())
            }
        }

        impl OwnLimits {
            /// Whether it has none of its own.
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            /// What the database may use, where all may use `all`.
            pub fn over(&self, all: &DatabaseLimits) -> DatabaseLimits {
                DatabaseLimits { $($field: self.$field.unwrap_or(all.$field),)+ }
            }

            /// The same, changed.
            #[must_use]
            pub fn patched(self, patch: &LimitsPatch) -> Self {
                Self { $($field: match patch.$field {
                    Patch::Keep => self.$field,
                    Patch::Default => None,
                    Patch::Set(value) => Some(value),
                },)+ }
            }

            /// As `name=value` each.
            pub(crate) fn write(&self) -> String {
                let mut texts = Vec::new();
                $(if let Some(value) = self.$field { texts.push(format!(concat!($option, "={}"), value.write())); })+
                texts.join(" ")
            }

            /// What [`OwnLimits::write`] wrote; what is not understood is left out.
            pub(crate) fn read(text: &str) -> Self {
                let mut own = Self::default();
                for (name, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
                    match name {
                        $($option => own.$field = <$type>::read(value),)+
                        _ => {}
                    }
                }
                own
            }
        }
    };
}

database_limits! {
    /// Sessions in use at once, but for `overflow`. Of a server's connections, so many are kept open.
    sessions: NonZeroU32 = "pool_size" in (1, 10_000), "between 1 and 10000";
    /// How many sessions more may be in use at once.
    overflow: u32 = "max_overflow" in (0, 10_000), "at most 10000";
    /// Whether a server's connection that nobody has used for a while is tried before it is lent.
    pre_ping: bool = "pre_ping" in (0, 1), "true or false";
    /// How long a connection beyond those that are kept open stays open unused.
    idle_timeout: Duration = "idle_timeout" in (1, DAY), "between 1ms and 1 day";
    /// How old a server's connection may be that is lent again.
    max_lifetime: Duration = "max_lifetime" in (1, DAY), "between 1ms and 1 day";
    /// How long a session waits for a connection, for its turn at the pace of its database, or while
    /// that is paused.
    acquire_timeout: Duration = "acquire_timeout" in (1, DAY), "between 1ms and 1 day";
    /// Requests that may wait for a session, or for their turn, at once.
    queue: u32 = "pool_queue" in (0, 1_000_000), "at most 1000000";
    /// Requests in a second; a second's worth may come at once.
    requests_per_second: Option<NonZeroU32> = "requests_per_second" in (1, 1_000_000), "between 1 and 1000000";
    /// How long a statement may take, waits included.
    statement_timeout: Duration = "statement_timeout" in (1, DAY), "between 1ms and 1 day";
    /// How long a transaction may be idle.
    idle_transaction_timeout: Duration = "idle_transaction_timeout" in (1, DAY), "between 1ms and 1 day";
    /// How long a transaction may last, idle or not.
    transaction_timeout: Duration = "transaction_timeout" in (1, DAY), "between 1ms and 1 day";
    /// The most rows of a result.
    max_result_rows: Option<u64> = "max_result_rows" in (1, u64::MAX >> 1), "1 or more";
    /// The most bytes of a result.
    max_result_bytes: Option<u64> = "max_result_bytes" in (1, u64::MAX >> 1), "1 or more";
    /// The most bytes the database may take.
    max_database_bytes: Option<u64> = "max_database_bytes" in (64 << 10, u64::MAX >> 1), "64KiB or more";
}

// === impl Limits ===

impl Limits {
    /// What a database may use that has no limits of its own, where it takes a server's connections or not.
    pub fn defaults(&self, takes: Takes) -> DatabaseLimits {
        match takes {
            Takes::Own => self.database,
            Takes::Server => self.organizations.within(self.database),
        }
    }
}

// === impl PoolSize ===

impl PoolSize {
    /// The most connections at once.
    pub fn most(self) -> u32 {
        self.size.get().saturating_add(self.overflow)
    }

    /// These limits with a pool of this size.
    #[must_use]
    pub fn within(self, limits: DatabaseLimits) -> DatabaseLimits {
        DatabaseLimits { sessions: self.size, overflow: self.overflow, ..limits }
    }
}

// === impl DatabaseLimits ===

impl DatabaseLimits {
    /// The most sessions in use at once.
    pub fn at_once(&self) -> NonZeroU32 {
        self.sessions.saturating_add(self.overflow)
    }
}

impl Default for DatabaseLimits {
    fn default() -> Self {
        Self {
            sessions: NonZeroU32::new(100).expect("not zero"),
            overflow: 0,
            pre_ping: true,
            idle_timeout: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(30 * 60),
            acquire_timeout: Duration::from_secs(10),
            queue: 10_000,
            requests_per_second: None,
            statement_timeout: Duration::from_secs(30),
            idle_transaction_timeout: Duration::from_secs(30),
            transaction_timeout: Duration::from_secs(300),
            max_result_rows: Some(1_000_000),
            max_result_bytes: Some(64 << 20),
            max_database_bytes: None,
        }
    }
}

// === impl Value ===

impl Value for u32 {
    fn write(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn number(self) -> Option<u64> {
        Some(self.into())
    }
}

impl Value for bool {
    fn write(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn number(self) -> Option<u64> {
        None
    }
}

impl Value for u64 {
    fn write(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn number(self) -> Option<u64> {
        Some(self)
    }
}

impl Value for NonZeroU32 {
    fn write(self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn number(self) -> Option<u64> {
        Some(self.get().into())
    }
}

impl Value for Duration {
    fn write(self) -> String {
        format!("{}ms", self.as_millis())
    }

    fn read(text: &str) -> Option<Self> {
        text.strip_suffix("ms")?.parse().ok().map(Self::from_millis)
    }

    fn number(self) -> Option<u64> {
        Some(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<T: Value> Value for Option<T> {
    fn write(self) -> String {
        self.map_or_else(|| NO_BOUND.to_owned(), T::write)
    }

    fn read(text: &str) -> Option<Self> {
        if text == NO_BOUND { Some(None) } else { T::read(text).map(Some) }
    }

    fn number(self) -> Option<u64> {
        self.and_then(T::number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_database_comes_back_as_it_was() {
        let own = OwnLimits {
            sessions: NonZeroU32::new(7),
            requests_per_second: Some(None),
            statement_timeout: Some(Duration::from_millis(1_500)),
            max_database_bytes: Some(Some(1 << 30)),
            ..OwnLimits::default()
        };
        let text = own.write();
        assert_eq!(
            text,
            "pool_size=7 requests_per_second=none statement_timeout=1500ms max_database_bytes=1073741824"
        );
        assert_eq!(OwnLimits::read(&text), own);
        assert_eq!(OwnLimits::read(&format!("{text} of_a_newer_version=5")), own);
        assert!(OwnLimits::read("").is_empty());
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let patch = LimitsPatch { queue: Patch::Set(3), sessions: Patch::Default, ..LimitsPatch::default() };
        let own =
            OwnLimits { sessions: NonZeroU32::new(7), max_result_rows: Some(None), ..OwnLimits::default() };
        let patched = own.patched(&patch);
        let expected = OwnLimits { queue: Some(3), max_result_rows: Some(None), ..OwnLimits::default() };
        assert_eq!(patched, expected);
        let all = DatabaseLimits::default();
        let limits = patched.over(&all);
        assert_eq!(limits, DatabaseLimits { queue: 3, max_result_rows: None, ..all });
        assert_eq!(limits.against(&all), "pool_queue=3 max_result_rows=none");
    }

    #[test]
    fn limits_that_would_stop_everything_are_refused() {
        let all = DatabaseLimits::default();
        let zero = DatabaseLimits { statement_timeout: Duration::ZERO, ..all };
        assert_eq!(zero.check().unwrap_err().to_string(), "statement_timeout must be between 1ms and 1 day");
        let tiny = DatabaseLimits { max_database_bytes: Some(1), ..all };
        assert_eq!(tiny.check().unwrap_err().to_string(), "max_database_bytes must be 64KiB or more");
        let endless = DatabaseLimits { transaction_timeout: Duration::MAX, ..all };
        assert!(endless.check().is_err());
        assert!(all.check().is_ok());
    }
}
