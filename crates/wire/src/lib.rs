//! Part of rowhouse.
