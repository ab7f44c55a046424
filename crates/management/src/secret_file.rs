//! Files with secrets: small, plain, and nobody's but their owner's.
pub(crate) use rowhouse_access::read_secret as read;

pub use rowhouse_access::FileError as SecretError;
