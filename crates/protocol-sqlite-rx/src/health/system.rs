//! The machine's load and room, as HEALTH_CHECK tells them.
use super::backups::{Kept, describe_storage};
use super::map::{Map, set};
use rmpv::Value;
use std::path::Path;
use std::sync::Mutex;
use sysinfo::System;

/// Above this, a resource counts as running low.
const LOW_PERCENT: f64 = 90.0;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// The machine's load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    cpu_percent: f64,
    cpus: usize,
    physical_cpus: usize,
    average: [f64; 3],
    memory_total: f64,
    memory_available: f64,
    swap_total: f64,
    swap_used: f64,
}

/// Reads the machine's load, where the platform tells it. The processor's share is since the
/// reading before.
pub(super) fn read(system: &Mutex<Option<System>>) -> Option<Load> {
    let mut system = system.lock().expect("never panics while locked");
    let system = system.as_mut()?;
    system.refresh_cpu_usage();
    system.refresh_memory();
    let average = System::load_average().ok()?;
    Some(Load {
        cpu_percent: system.global_cpu_usage().into(),
        cpus: system.cpus().len(),
        physical_cpus: System::physical_core_count().unwrap_or(0),
        average: [average.one, average.five, average.fifteen],
        memory_total: system.total_memory() as f64,
        memory_available: system.available_memory() as f64,
        swap_total: system.total_swap() as f64,
        swap_used: system.used_swap() as f64,
    })
}

impl Load {
    /// Whether memory is running low. A busy processor for a moment is not a shortage.
    pub(super) fn is_low(&self) -> bool {
        LOW_PERCENT < self.memory_percent()
    }

    fn memory_percent(&self) -> f64 {
        percent(self.memory_total - self.memory_available, self.memory_total)
    }
}

/// The `system` section.
pub(super) fn describe(load: &Load) -> Map {
    let mut map = Map::new();
    set(&mut map, "cpu_percent", load.cpu_percent);
    set(&mut map, "cpu_count", load.cpus);
    set(&mut map, "cpu_count_physical", load.physical_cpus);
    set(&mut map, "load_average", Value::Array(load.average.map(Value::from).to_vec()));
    set(&mut map, "memory_total_mb", load.memory_total / MIB);
    set(&mut map, "memory_available_mb", load.memory_available / MIB);
    set(&mut map, "memory_used_mb", (load.memory_total - load.memory_available) / MIB);
    set(&mut map, "memory_percent", load.memory_percent());
    set(&mut map, "swap_total_mb", load.swap_total / MIB);
    set(&mut map, "swap_used_mb", load.swap_used / MIB);
    set(&mut map, "swap_percent", percent(load.swap_used, load.swap_total));
    map
}

/// The `storage` section.
pub(super) fn storage(directory: &Path, kept: Option<&Kept<'_>>) -> Map {
    let mut map = Map::new();
    set(&mut map, "data_directory", directory.display().to_string());
    describe_storage(&mut map, kept);
    match rustix::fs::statvfs(directory) {
        Ok(stat) => {
            let block = stat.f_frsize as f64;
            let (total, free) = (stat.f_blocks as f64 * block, stat.f_bavail as f64 * block);
            set(&mut map, "disk_total_gb", total / GIB);
            set(&mut map, "disk_used_gb", (total - free) / GIB);
            set(&mut map, "disk_free_gb", free / GIB);
            set(&mut map, "disk_percent_used", percent(total - free, total));
        }
        Err(error) => set(&mut map, "disk_stats_error", error.to_string()),
    }
    map
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { 100.0 * part / whole }
}
