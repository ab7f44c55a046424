//! Organizations, their users, and by what these are known elsewhere.
use super::audit::Audit;
use super::entry::{Entry, State};
use super::error::MetadataError;
use super::store::Metadata;
use crate::journal::words::words;
use crate::journal::{Action, Cause};
use crate::sql::{at, integer, micros, number, optional, text, words as read_words};
use rowhouse_engine::{Batch, Condition, EngineError, Row};
use rowhouse_types::{DatabaseName, Value};
use std::time::SystemTime;

/// The longest text of a person's making, in bytes.
pub(super) const TEXT_MAX: usize = 1024;

/// The most rows that are told at once.
pub(super) const ROWS_MAX: u32 = 10_000;

words! {
    /// How it stands with a user.
    UserState {
        /// As it should be.
        Active = "active",
        /// To be let in nowhere.
        Suspended = "suspended",
    }
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its name, and that of its database.
    pub id: DatabaseName,
    /// What people call it.
    pub title: String,
    /// How it stands with its database, if it has a row in the catalog.
    pub state: Option<State>,
    /// When it was entered.
    pub created_at: SystemTime,
    /// When it was changed last.
    pub changed_at: SystemTime,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its identifier, a UUID.
    pub id: String,
    /// Of which organization, if of one.
    pub organization: Option<DatabaseName>,
    /// Its address, which no other user has.
    pub email: String,
    /// What people call it.
    pub title: String,
    /// How it stands with it.
    pub state: UserState,
    /// When it was entered.
    pub created_at: SystemTime,
}

/// By what a user is known elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who knows it: an issuer of tokens.
    pub provider: String,
    /// As what.
    pub subject: String,
    /// The identifier of the user.
    pub user: String,
    /// Since when.
    pub created_at: SystemTime,
}

// === impl Metadata: organizations ===

impl Metadata {
    /// Enters an organization, or gives one another title.
    ///
    /// # Errors
    ///
    /// When the title is longer than 1,024 bytes, or it cannot be written.
    pub async fn set_organization(
        &self,
        id: &DatabaseName,
        title: &str,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        check("a title", title, TEXT_MAX)?;
        let mut change = self.begin().await?;
        let sql = format!(
            "INSERT INTO {}organizations (id, title, created_at, changed_at) VALUES (?1, ?2, ?3, ?3) \
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, changed_at = excluded.changed_at",
            change.p
        );
        change.run(sql, [text(id.as_str()), text(title), now()]).await?;
        change.commit(Audit::of(Action::SetOrganization, cause, id).told(title)).await
    }

    /// An organization.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn organization(&self, id: &DatabaseName) -> Result<Organization, MetadataError> {
        let rows = self.ask(|p| organizations(p, "o.id = ?1"), [text(id.as_str())]).await?;
        let found = rows.iter().flat_map(Batch::rows).next().and_then(organization);
        found.ok_or(MetadataError::NotFound { what: "organization" })
    }

    /// The organizations after one, in the order of their names; at most 10,000.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn organizations(
        &self,
        after: Option<&DatabaseName>,
        limit: u32,
    ) -> Result<Vec<Organization>, MetadataError> {
        let after = text(after.map_or("", DatabaseName::as_str));
        let sql = |p: &str| format!("{} ORDER BY o.id LIMIT ?2", organizations(p, "o.id > ?1"));
        let rows = self.ask(sql, [after, most(limit)]).await?;
        Ok(rows.iter().flat_map(Batch::rows).filter_map(organization).collect())
    }
}

// === impl Metadata: users ===

impl Metadata {
    /// Enters a user.
    ///
    /// # Errors
    ///
    /// When the address is another's or none, or there is no such organization.
    pub async fn add_user(
        &self,
        (email, title): (&str, &str),
        organization: Option<&DatabaseName>,
        cause: &Cause,
    ) -> Result<User, MetadataError> {
        check("an address", email, TEXT_MAX)?;
        check("a name", title, TEXT_MAX)?;
        if !email.contains('@') {
            return Err(MetadataError::Invalid {
                what: "an address",
                rule: "one of mail, such as a@example.com",
            });
        }
        let id = uuid::Uuid::now_v7().to_string();
        let mut change = self.begin().await?;
        let sql = format!(
            "INSERT INTO {}users (id, organization, email, title, state, created_at, changed_at) \
             VALUES (?1, ?2, ?3, ?4, 'active', ?5, ?5)",
            change.p
        );
        let of = optional(organization.map(DatabaseName::as_str));
        must_be(&mut change, organization).await?;
        let row = [text(&id), of, text(email), text(title), now()];
        change.run(sql, row).await.map_err(|error| twice(error, "user"))?;
        let audit = Audit { action: Action::SetMember, cause, organization, detail: Some(email) };
        change.commit(audit).await?;
        self.user(&id).await
    }

    /// The user of an identifier or an address.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn user(&self, id_or_email: &str) -> Result<User, MetadataError> {
        let rows = self.ask(|p| users(p, "u.id = ?1 OR u.email = ?1"), [text(id_or_email)]).await?;
        let found = rows.iter().flat_map(Batch::rows).next().and_then(user);
        found.ok_or(MetadataError::NotFound { what: "user" })
    }

    /// The users of one organization, or all, after an address, in the order of addresses; at most 10,000.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn users(
        &self,
        organization: Option<&DatabaseName>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<User>, MetadataError> {
        let sql = |p: &str| {
            format!(
                "{} ORDER BY u.email LIMIT ?3",
                users(p, "u.email > ?1 AND (?2 = '' OR u.organization = ?2)")
            )
        };
        let of = text(organization.map_or("", DatabaseName::as_str));
        let rows = self.ask(sql, [text(after.unwrap_or("")), of, most(limit)]).await?;
        Ok(rows.iter().flat_map(Batch::rows).filter_map(user).collect())
    }

    /// Suspends a user, or lets it be again.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be written.
    pub async fn set_user_state(
        &self,
        id_or_email: &str,
        state: UserState,
        cause: &Cause,
    ) -> Result<User, MetadataError> {
        let User { id, organization, email, .. } = self.user(id_or_email).await?;
        let mut change = self.begin().await?;
        let sql = format!("UPDATE {}users SET state = ?2, changed_at = ?3 WHERE id = ?1", change.p);
        change.run(sql, [text(&id), text(state.as_str()), now()]).await?;
        let detail = format!("{email} is {state}");
        let organization = organization.as_ref();
        let audit = Audit { action: Action::SetMember, cause, organization, detail: Some(&detail) };
        change.commit(audit).await?;
        self.user(&id).await
    }

    /// Removes a user and its identities.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be written.
    pub async fn remove_user(&self, id_or_email: &str, cause: &Cause) -> Result<(), MetadataError> {
        let User { id, organization, email, .. } = self.user(id_or_email).await?;
        let mut change = self.begin().await?;
        let p = change.p;
        change.run(format!("DELETE FROM {p}identities WHERE user_id = ?1"), [text(&id)]).await?;
        change.run(format!("DELETE FROM {p}users WHERE id = ?1"), [text(&id)]).await?;
        let organization = organization.as_ref();
        let audit = Audit { action: Action::RemoveMember, cause, organization, detail: Some(&email) };
        change.commit(audit).await
    }
}

// === impl Metadata: identities ===

impl Metadata {
    /// Gives a user an identity.
    ///
    /// # Errors
    ///
    /// When there is no such user, or somebody has the identity.
    pub async fn link_identity(
        &self,
        (provider, subject): (&str, &str),
        id_or_email: &str,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        check("a provider", provider, TEXT_MAX)?;
        check("a subject", subject, TEXT_MAX)?;
        let User { id, organization, .. } = self.user(id_or_email).await?;
        let mut change = self.begin().await?;
        let sql = format!(
            "INSERT INTO {}identities (provider, subject, user_id, created_at) VALUES (?1, ?2, ?3, ?4)",
            change.p
        );
        let row = [text(provider), text(subject), text(&id), now()];
        change.run(sql, row).await.map_err(|error| twice(error, "identity"))?;
        let detail = format!("{provider} {subject}");
        let organization = organization.as_ref();
        let audit = Audit { action: Action::LinkIdentity, cause, organization, detail: Some(&detail) };
        change.commit(audit).await
    }

    /// The user that somebody else knows so.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn identified(&self, provider: &str, subject: &str) -> Result<User, MetadataError> {
        let sql = |p: &str| {
            users(
                p,
                &format!("u.id IN (SELECT user_id FROM {p}identities WHERE provider = ?1 AND subject = ?2)"),
            )
        };
        let rows = self.ask(sql, [text(provider), text(subject)]).await?;
        let found = rows.iter().flat_map(Batch::rows).next().and_then(user);
        found.ok_or(MetadataError::NotFound { what: "identity" })
    }

    /// The identities of a user.
    ///
    /// # Errors
    ///
    /// When there is no such user, or they cannot be read.
    pub async fn identities(&self, id_or_email: &str) -> Result<Vec<Identity>, MetadataError> {
        let User { id, .. } = self.user(id_or_email).await?;
        let sql = |p: &str| {
            format!(
                "SELECT provider, subject, user_id, created_at FROM {p}identities WHERE user_id = ?1 \
                 ORDER BY provider, subject LIMIT {ROWS_MAX}"
            )
        };
        let rows = self.ask(sql, [text(&id)]).await?;
        let one = |row: Row<'_>| {
            let mut cells = row.values();
            let mut owned = || read_words(cells.next()).map(str::to_owned);
            let (provider, subject, user) = (owned()?, owned()?, owned()?);
            Some(Identity { provider, subject, user, created_at: at(integer(cells.next())?) })
        };
        Ok(rows.iter().flat_map(Batch::rows).filter_map(one).collect())
    }

    /// Takes an identity from whoever has it.
    ///
    /// # Errors
    ///
    /// When nobody has it, or it cannot be written.
    pub async fn unlink_identity(
        &self,
        provider: &str,
        subject: &str,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        let User { organization, .. } = self.identified(provider, subject).await?;
        let mut change = self.begin().await?;
        let sql = format!("DELETE FROM {}identities WHERE provider = ?1 AND subject = ?2", change.p);
        change.run(sql, [text(provider), text(subject)]).await?;
        let detail = format!("{provider} {subject}");
        let organization = organization.as_ref();
        let audit = Audit { action: Action::UnlinkIdentity, cause, organization, detail: Some(&detail) };
        change.commit(audit).await
    }
}

// === impl Organization ===

impl Organization {
    /// One that is known by its database only.
    pub fn of(entry: &Entry) -> Self {
        let Entry { name, state, created_at, changed_at, .. } = entry.clone();
        Self { title: name.to_string(), id: name, state: Some(state), created_at, changed_at }
    }
}

/// Fails when there is no such organization.
pub(super) async fn must_be(
    change: &mut super::store::Change,
    organization: Option<&DatabaseName>,
) -> Result<(), MetadataError> {
    let Some(name) = organization else { return Ok(()) };
    let sql = format!("SELECT 1 FROM {}organizations WHERE id = ?1{}", change.p, change.keep);
    let rows = change.rows(sql, [text(name.as_str())]).await?;
    match rows.iter().flat_map(Batch::rows).next() {
        Some(_) => Ok(()),
        None => Err(MetadataError::NotFound { what: "organization" }),
    }
}

fn organizations(p: &str, which: &str) -> String {
    format!(
        "SELECT o.id, o.title, d.state, o.created_at, o.changed_at FROM {p}organizations o \
         LEFT JOIN {p}databases d ON d.name = o.id WHERE {which}"
    )
}

fn organization(row: Row<'_>) -> Option<Organization> {
    let mut cells = row.values();
    Some(Organization {
        id: read_words(cells.next())?.parse().ok()?,
        title: read_words(cells.next())?.to_owned(),
        state: read_words(cells.next()).and_then(State::from_word),
        created_at: at(integer(cells.next())?),
        changed_at: at(integer(cells.next())?),
    })
}

fn users(p: &str, which: &str) -> String {
    format!(
        "SELECT u.id, u.organization, u.email, u.title, u.state, u.created_at FROM {p}users u WHERE {which}"
    )
}

fn user(row: Row<'_>) -> Option<User> {
    let mut cells = row.values();
    let id = read_words(cells.next())?.to_owned();
    let organization = read_words(cells.next()).and_then(|name| name.parse().ok());
    let (email, title) = (read_words(cells.next())?.to_owned(), read_words(cells.next())?.to_owned());
    let state = read_words(cells.next()).and_then(UserState::from_word)?;
    Some(User { id, organization, email, title, state, created_at: at(integer(cells.next())?) })
}

pub(super) fn check(what: &'static str, value: &str, most: usize) -> Result<(), MetadataError> {
    if value.is_empty() || most < value.len() || value.contains(char::is_control) {
        return Err(MetadataError::Invalid { what, rule: "1 to 1024 bytes without control characters" });
    }
    Ok(())
}

/// What a refusal of a row means.
fn twice(error: MetadataError, what: &'static str) -> MetadataError {
    match error {
        MetadataError::Engine(EngineError::Statement { condition: Condition::Constraint, .. }) => {
            MetadataError::Exists { what }
        }
        error => error,
    }
}

pub(super) fn now() -> Value {
    Value::Integer(micros(SystemTime::now()))
}

fn most(limit: u32) -> Value {
    number(limit.min(ROWS_MAX).into())
}
