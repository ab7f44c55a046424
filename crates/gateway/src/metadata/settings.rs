//! Settings: of one organization, or of all.
use super::audit::Audit;
use super::error::MetadataError;
use super::people::{ROWS_MAX, TEXT_MAX, check, must_be, now};
use super::store::Metadata;
use crate::journal::{Action, Cause};
use crate::sql::{at, integer, text, words as read_words};
use rowhouse_engine::{Batch, Row};
use rowhouse_types::DatabaseName;
use std::time::SystemTime;

/// The longest value of a setting, in bytes.
const VALUE_MAX: usize = 64 << 10;

/// A setting: of one organization, or of all that have none of this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Of which organization; of all with none.
    pub organization: Option<DatabaseName>,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// When it was set.
    pub changed_at: SystemTime,
}

// === impl Metadata ===

impl Metadata {
    /// Sets a setting, of one organization or of all; with no value it is removed.
    ///
    /// # Errors
    ///
    /// When the key is longer than 1,024 bytes or the value than 64 KiB, or there is no such organization.
    pub async fn set(
        &self,
        organization: Option<&DatabaseName>,
        (key, value): (&str, Option<&str>),
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        check("a key", key, TEXT_MAX)?;
        if value.is_some_and(|value| VALUE_MAX < value.len()) {
            return Err(MetadataError::Invalid { what: "a value", rule: "at most 64 KiB" });
        }
        let mut change = self.begin().await?;
        must_be(&mut change, organization).await?;
        let p = change.p;
        let of = text(organization.map_or("", DatabaseName::as_str));
        match value {
            Some(value) => {
                let sql = format!(
                    "INSERT INTO {p}settings (organization, key, value, changed_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (organization, key) \
                     DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at"
                );
                change.run(sql, [of, text(key), text(value), now()]).await?;
            }
            None => {
                let sql = format!("DELETE FROM {p}settings WHERE organization = ?1 AND key = ?2");
                if change.run(sql, [of, text(key)]).await? == 0 {
                    return Err(MetadataError::NotFound { what: "setting" });
                }
            }
        }
        // What a value says may be a secret.
        let detail = if value.is_some() { key.to_owned() } else { format!("{key} is removed") };
        let audit = Audit { action: Action::Setting, cause, organization, detail: Some(&detail) };
        change.commit(audit).await
    }

    /// What is set for an organization: its own setting of this key, or else that of all.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn setting(
        &self,
        organization: Option<&DatabaseName>,
        key: &str,
    ) -> Result<Option<Setting>, MetadataError> {
        let sql = |p: &str| {
            settings(
                p,
                "key = ?2 AND (organization = ?1 OR organization = '') ORDER BY organization DESC LIMIT 1",
            )
        };
        let of = text(organization.map_or("", DatabaseName::as_str));
        let rows = self.ask(sql, [of, text(key)]).await?;
        Ok(rows.iter().flat_map(Batch::rows).next().and_then(setting))
    }

    /// What is set for an organization itself, or with none for all, in the order of keys; at most 10,000.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn settings(&self, organization: Option<&DatabaseName>) -> Result<Vec<Setting>, MetadataError> {
        let sql = |p: &str| settings(p, &format!("organization = ?1 ORDER BY key LIMIT {ROWS_MAX}"));
        let of = text(organization.map_or("", DatabaseName::as_str));
        let rows = self.ask(sql, [of]).await?;
        Ok(rows.iter().flat_map(Batch::rows).filter_map(setting).collect())
    }
}

fn settings(p: &str, which: &str) -> String {
    format!("SELECT organization, key, value, changed_at FROM {p}settings WHERE {which}")
}

fn setting(row: Row<'_>) -> Option<Setting> {
    let mut cells = row.values();
    let organization = read_words(cells.next())?.parse().ok();
    let (key, value) = (read_words(cells.next())?.to_owned(), read_words(cells.next())?.to_owned());
    Some(Setting { organization, key, value, changed_at: at(integer(cells.next())?) })
}
