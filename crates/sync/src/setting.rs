//! A value that may be another one from now on.
use crate::primitives::{Arc, Mutex};

/// A small value that may change while it is used: who asks later gets the later one. Cloning yields
/// another handle.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    value: Arc<Mutex<T>>,
}

// === impl Setting ===

impl<T: Copy> Setting<T> {
    /// This, at first.
    pub fn new(value: T) -> Self {
        Self { value: Arc::new(Mutex::new(value)) }
    }

    /// This, from now on.
    pub fn set(&self, value: T) {
        *self.value.lock().expect("never panics while locked") = value;
    }

    /// What it is now.
    pub fn get(&self) -> T {
        *self.value.lock().expect("never panics while locked")
    }
}
