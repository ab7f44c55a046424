//! What a gateway, and each of its databases, may use.
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
    /// What each database may use.
    pub pool: PoolLimits,
}

/// What the connections of one database may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections in use at once.
    pub pool_size: NonZeroU32,
    /// Sessions that may wait for a connection at once.
    pub queue: u32,
    /// How long a session waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a connection beyond the first stays open unused.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: NonZeroU32::new(20).expect("not zero"),
            max_waiting: 10_000,
            room_timeout: Duration::from_secs(5),
            fair_window: Duration::from_secs(60),
            create_rate: NonZeroU32::new(100).expect("not zero"),
            pool: PoolLimits::default(),
        }
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            pool_size: NonZeroU32::new(100).expect("not zero"),
            queue: 10_000,
            acquire_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}
