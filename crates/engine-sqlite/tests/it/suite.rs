//! The suite every engine passes, on files.
rowhouse_engine::conformance!(crate::support::Files);
