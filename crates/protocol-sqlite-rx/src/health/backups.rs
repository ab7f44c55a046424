//! The backups of the databases that are open, as HEALTH_CHECK tells them.
use super::map::{Map, set};
use rmpv::Value;
use rowhouse_gateway::{Backup, Backups, Status};
use rowhouse_types::Target;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

const MIB: f64 = 1024.0 * 1024.0;

/// What is kept of the databases that are open, as it lies on the disk now.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    backups: &'a Backups,
    newest: BTreeMap<Target, Option<Backup>>,
}

/// Looks, if backups are made.
pub(super) async fn look<'a>(backups: Option<&'a Backups>, status: &Status) -> Option<Kept<'a>> {
    let backups = backups?;
    let open = status.configured.iter().chain(&status.opened.open);
    let targets: Vec<_> = open.map(|tenant| tenant.spec.target.clone()).collect();
    let newest = backups.newest(targets.clone()).await;
    Some(Kept { backups, newest: targets.into_iter().zip(newest).collect() })
}

impl Kept<'_> {
    pub(super) fn directory(&self) -> String {
        self.backups.plan().directory.display().to_string()
    }

    pub(super) fn interval(&self) -> f64 {
        self.backups.plan().interval.as_secs_f64()
    }

    /// The newest backup of a database, or the folder where the first one will lie.
    pub(super) fn path(&self, target: &Target) -> String {
        let newest = self.newest.get(target).and_then(Option::as_ref);
        let path = newest.map_or_else(|| self.backups.shelves().folder(target), |newest| newest.path.clone());
        path.display().to_string()
    }
}

/// The `backup` section of one database.
pub(super) fn describe(kept: Option<&Kept<'_>>, target: &Target) -> Map {
    let mut map = Map::new();
    set(&mut map, "enabled", kept.is_some());
    let Some(kept) = kept else { return map };
    set(&mut map, "path", kept.path(target));
    set(&mut map, "interval_seconds", kept.interval());
    if let Some(newest) = kept.newest.get(target).and_then(Option::as_ref) {
        set(&mut map, "size_bytes", newest.bytes);
        set(&mut map, "size_mb", newest.bytes as f64 / MIB);
        let since = newest.made_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        set(&mut map, "last_modified", since.as_secs_f64());
    }
    map
}

/// What is said at the top level of the database that was asked.
pub(super) fn describe_asked(map: &mut Map, kept: Option<&Kept<'_>>, target: &Target) {
    set(map, "database_backup_enabled", kept.is_some());
    if let Some(kept) = kept {
        set(map, "database_backup_path", kept.path(target));
        set(map, "database_backup_interval", kept.interval());
    }
}

/// What is said of them beside the data directory.
pub(super) fn describe_storage(map: &mut Map, kept: Option<&Kept<'_>>) {
    set(map, "backup_directory", kept.map_or(Value::Nil, |kept| kept.directory().into()));
    set(map, "backup_interval_seconds", kept.map_or(Value::Nil, |kept| kept.interval().into()));
}
