//! A value that may be another one from now on.
use crate::primitives::{Arc, Mutex};
use std::sync::atomic::{AtomicU64, Ordering};

/// A small value that may change while it is used: who asks later gets the later one. Cloning yields
/// another handle.
#[derive(Clone, Debug)]
pub struct Setting<T> {
    shared: Arc<Shared<T>>,
}

/// A setting that somebody asks for often. Unless it has changed, nothing is locked for that.
#[derive(Debug)]
pub struct Followed<T> {
    setting: Setting<T>,
    /// How often it had changed when it was looked at.
    version: u64,
    value: T,
}

#[derive(Debug)]
struct Shared<T> {
    value: Mutex<T>,
    /// How often it has changed. Changes only while the value is locked.
    version: AtomicU64,
}

// === impl Setting ===

impl<T: Copy> Setting<T> {
    /// This, at first.
    pub fn new(value: T) -> Self {
        Self { shared: Arc::new(Shared { value: Mutex::new(value), version: AtomicU64::new(0) }) }
    }

    /// This, from now on.
    pub fn set(&self, value: T) {
        let mut held = self.shared.value.lock().expect("never panics while locked");
        *held = value;
        self.shared.version.fetch_add(1, Ordering::Release);
    }

    /// What it is now.
    pub fn get(&self) -> T {
        *self.shared.value.lock().expect("never panics while locked")
    }

    /// For who asks often.
    pub fn follow(&self) -> Followed<T> {
        let held = self.shared.value.lock().expect("never panics while locked");
        let version = self.shared.version.load(Ordering::Relaxed);
        Followed { value: *held, version, setting: self.clone() }
    }
}

// === impl Followed ===

impl<T: Copy> Followed<T> {
    /// What it is now.
    pub fn get(&mut self) -> T {
        if self.setting.shared.version.load(Ordering::Acquire) != self.version {
            *self = self.setting.follow();
        }
        self.value
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_follows_a_setting_has_its_latest_value_each_time() {
        let setting = Setting::new(1);
        let (mut first, other) = (setting.follow(), setting.clone());
        assert_eq!(first.get(), 1);
        other.set(2);
        let mut second = setting.follow();
        assert_eq!((first.get(), first.get(), second.get(), setting.get()), (2, 2, 2, 2));
        setting.set(3);
        other.set(4);
        assert_eq!((first.get(), second.get()), (4, 4));
    }
}
