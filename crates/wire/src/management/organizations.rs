//! Organizations, their members, by what these are known elsewhere, and settings.
use serde::{Deserialize, Serialize};

/// `GET /organizations`: those there are, by name, one page of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Organizations {
    /// Where the next page begins, as `after`; null on the last.
    pub next: Option<String>,
    /// The organizations.
    pub organizations: Vec<Organization>,
}

/// One organization.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Organization {
    /// When it was entered.
    pub created: String,
    /// Its name, and that of its database.
    pub id: String,
    /// `creating`, `migrating`, `active`, `suspended`, `quarantined` or `dropping`; null where its database
    /// has never been asked for.
    pub state: Option<String>,
    /// What people call it.
    pub title: String,
}

/// `GET /organizations/{organization}`: all that is told of one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationDetail {
    /// When it was entered.
    pub created: String,
    /// What its database is called on its server; null where it has none.
    pub database: Option<String>,
    /// The kind of database.
    pub engine: Option<String>,
    /// Its name.
    pub id: String,
    /// The number of the last migration, if any was told.
    pub schema_version: Option<u64>,
    /// The label of its server; null where there are no servers.
    pub server: Option<String>,
    /// As in the list.
    pub state: Option<String>,
    /// What people call it.
    pub title: String,
    /// Why it is in that state, if that was said.
    pub why: Option<String>,
}

/// `POST /organizations`: enter one, and make its database.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// Its name.
    pub id: String,
    /// What people call it; its name unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// `POST /organizations/{organization}/suspend`: how.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Whether sessions that do not end by themselves are ended.
    #[serde(default)]
    pub force: bool,
    /// Why, for the history and for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /members`: users of organizations, by address, one page of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Members {
    /// The members.
    pub members: Vec<Member>,
    /// Where the next page begins, as `after`; null on the last.
    pub next: Option<String>,
}

/// One user of an organization.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// When they were entered.
    pub created: String,
    /// Their address, which nobody else has.
    pub email: String,
    /// Their identifier, a UUID.
    pub id: String,
    /// Their organization, if they are of one.
    pub organization: Option<String>,
    /// `active` or `suspended`.
    pub state: String,
    /// What people call them.
    pub title: String,
}

/// `POST /members`: enter one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateMember {
    /// Their address.
    pub email: String,
    /// Their organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// What people call them; their address unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// `GET /members/{member}/identities`: by what a user is known elsewhere.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Identities {
    /// The identities.
    pub identities: Vec<Identity>,
}

/// By what a user is known elsewhere. `POST` gives a user one, `DELETE` takes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who knows them: an issuer of tokens.
    pub provider: String,
    /// As what.
    pub subject: String,
}

/// `GET /settings`: of one organization, or of all.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Settings {
    /// The settings, by key.
    pub settings: Vec<Setting>,
}

/// One setting.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Setting {
    /// When it was set.
    pub changed: String,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// `PUT /settings`: set one, or with no value remove it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeSetting {
    /// Its key.
    pub key: String,
    /// Of which organization; of all that have none of their own unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Its value; null removes it.
    pub value: Option<String>,
}
