//! PostgreSQL as configured: the metadata database, and the servers of databases of new names.
//!
//! A DSN holds a password: none is shown as it was written, neither here nor in an error.
use super::error::ConfigError;
use super::kind::Kind;
use super::layers::Layers;
use super::meant::{absolute, positive};
use rowhouse_engine_postgres::{Dsn, NameTemplate, Server};
use serde_json::Value as Json;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use toml::Value;

/// What the server of the template is called.
const MAIN: &str = "main";

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Parameters of a DSN that anybody may know.
const OPEN_PARAMETERS: [&str; 10] = [
    "host",
    "port",
    "user",
    "dbname",
    "sslmode",
    "ssl",
    "sslrootcert",
    "connect_timeout",
    "application_name",
    "target_session_attrs",
];

/// Where databases of new names are, in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// The servers, and how each is administered; the first is that of the template.
    pub servers: Vec<Server>,
    /// What databases are called.
    pub names: NameTemplate,
    /// How many are kept ready on each server.
    pub spares: u32,
    /// The most connections of the role of one database.
    pub role_connections: Option<NonZeroU32>,
    /// The most administrative connections to each server.
    pub administrators: NonZeroU32,
    /// What the passwords of roles are derived from.
    pub secret: SecretFile,
    /// Where `pg_dump` and `pg_restore` are.
    pub programs: Option<PathBuf>,
}

/// The file with what the passwords of roles are derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFile {
    /// It is there.
    Given(PathBuf),
    /// It is made at the first start.
    Made(PathBuf),
}

// === impl Postgres ===

impl Postgres {
    /// What the layers mean; `None` where databases of new names are files.
    pub(super) fn resolve(
        layers: &Layers,
        data_directory: Option<&Path>,
    ) -> Result<Option<Self>, ConfigError> {
        // Wrong values are told whether or not they are used.
        let (metadata, admin) = (layers.dsn("database_url")?, layers.dsn("admin_url")?);
        let more = layers.dsn_map("postgres_servers")?;
        let file = |key| Ok::<_, ConfigError>(layers.text(key)?.map(|path| absolute(Path::new(&path))));
        let (secret, programs) = (file("postgres_secret_file")?, file("postgres_programs")?);
        let role_connections = layers.integer_if_set("postgres_role_connections")?.map(positive);
        let Some(template) = layers.dsn("results_db_template")? else {
            return match (admin, more.is_empty()) {
                (None, true) => Ok(None),
                (Some(_), _) => Err(needs_template(layers, "admin_url")),
                (None, false) => Err(needs_template(layers, "postgres_servers")),
            };
        };
        let names = names(layers, &template)?;
        let admin = administrative(layers, (&template, admin, metadata))?;
        let first = Server { label: MAIN.to_owned(), admin };
        let more = more.into_iter().map(|(label, admin)| Server { label, admin });
        Ok(Some(Self {
            servers: [first].into_iter().chain(more).collect(),
            names,
            spares: u32::try_from(layers.integer("postgres_spares")?)
                .expect("bounded by the table of options"),
            role_connections,
            administrators: positive(layers.integer("postgres_administrators")?),
            secret: secret_file(secret, data_directory)?,
            programs,
        }))
    }
}

fn needs_template(layers: &Layers, key: &str) -> ConfigError {
    let origin = layers.origin(key);
    ConfigError::Conflict(format!(
        "{key} ({origin}) needs results_db_template, which says what databases are called"
    ))
}

/// What databases are called by the template.
fn names(layers: &Layers, template: &Dsn) -> Result<NameTemplate, ConfigError> {
    let origin = layers.origin("results_db_template");
    let written = layers.text("results_db_template")?.unwrap_or_default();
    if [written.matches('{').count(), written.matches('}').count()] != [1, 1] {
        return Err(ConfigError::Conflict(format!(
            "results_db_template ({origin}) needs the place {{org_id}} once, in the name of the database, and no other braces; one that belongs to a password is written %7B or %7D"
        )));
    }
    NameTemplate::parse(&template.database)
        .map_err(|error| ConfigError::Conflict(format!("results_db_template ({origin}): {error}")))
}

/// How the template's server is administered.
fn administrative(
    layers: &Layers,
    (template, admin, metadata): (&Dsn, Option<Dsn>, Option<Dsn>),
) -> Result<Dsn, ConfigError> {
    let postgres = |dsn: Dsn| Dsn { database: "postgres".to_owned(), ..dsn };
    match (admin, metadata) {
        (Some(admin), _) if admin.hosts == template.hosts => Ok(admin),
        (Some(_), _) => Err(ConfigError::Conflict(format!(
            "admin_url ({}) and results_db_template ({}) name different servers: write the same host and port in both",
            layers.origin("admin_url"),
            layers.origin("results_db_template"),
        ))),
        (None, Some(metadata)) if metadata.hosts == template.hosts => Ok(postgres(metadata)),
        (None, _) => Ok(postgres(template.clone())),
    }
}

fn secret_file(given: Option<PathBuf>, data_directory: Option<&Path>) -> Result<SecretFile, ConfigError> {
    match (given, data_directory) {
        (Some(file), _) => Ok(SecretFile::Given(file)),
        (None, Some(directory)) => Ok(SecretFile::Made(directory.join(".rowhouse/postgres.secret"))),
        (None, None) => Err(ConfigError::Conflict(
            "results_db_template needs what the passwords of roles are derived from: give --data-directory, where it is made, or --postgres-secret-file with a file of at least 32 random characters that stays the same (`openssl rand -hex 32`)".to_owned(),
        )),
    }
}

// === impl Layers ===

impl Layers {
    pub(super) fn dsn(&self, key: &str) -> Result<Option<Dsn>, ConfigError> {
        let read = self.read(key, |value, _kind| value.as_str().map(Dsn::parse))?;
        read.transpose().map_err(|source| ConfigError::Dsn {
            key: super::Opt::find(key).expect("it was read").key,
            source,
            origin: self.origin(key),
        })
    }

    /// The value of an option that is a secret, as it may be shown.
    pub(super) fn shown(&self, key: &str) -> Option<Json> {
        let (value, _origin) = self.get(key)?;
        Some(shown(&value, super::Opt::find(key)?.kind))
    }

    pub(super) fn dsn_map(&self, key: &str) -> Result<Vec<(String, Dsn)>, ConfigError> {
        let read = self.read(key, |value, _kind| {
            let entries = entries(value)?;
            let dsn = |(label, dsn): (String, String)| is_label(&label).then(|| (label, Dsn::parse(&dsn)));
            entries.into_iter().map(dsn).collect::<Option<Vec<_>>>()
        })?;
        let parsed = read.into_iter().flatten().map(|(label, dsn)| dsn.map(|dsn| (label, dsn)));
        parsed.collect::<Result<_, _>>().map_err(|source| ConfigError::Dsn {
            key: super::Opt::find(key).expect("it was read").key,
            source,
            origin: self.origin(key),
        })
    }
}

/// The texts of a table by their labels.
fn entries(value: &Value) -> Option<Vec<(String, String)>> {
    match value {
        Value::Table(table) => {
            table.iter().map(|(label, dsn)| Some((label.clone(), dsn.as_str()?.to_owned()))).collect()
        }
        Value::String(text) => {
            let map: serde_json::Map<String, Json> = serde_json::from_str(text).ok()?;
            map.into_iter().map(|(label, dsn)| Some((label, dsn.as_str()?.to_owned()))).collect()
        }
        _ => None,
    }
}

fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=32).contains(&label.len()) && label.bytes().all(plain) && label != MAIN
}

/// A value of one of the options that are secrets, as it may be shown.
pub(super) fn shown(value: &Value, kind: Kind) -> Json {
    match (kind, value) {
        (Kind::Dsn, Value::String(text)) => redacted(text).into(),
        (Kind::DsnMap, value) => match entries(value) {
            Some(entries) => {
                Json::Object(entries.into_iter().map(|(label, dsn)| (label, redacted(&dsn).into())).collect())
            }
            None => HIDDEN.into(),
        },
        _ => HIDDEN.into(),
    }
}

/// A DSN without its password; nothing of a text that is none.
fn redacted(text: &str) -> String {
    if Dsn::parse(text).is_err() {
        return HIDDEN.to_owned();
    }
    let (place, query) = text.split_once('?').map_or((text, None), |(place, query)| (place, Some(query)));
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(name, path)| (name, Some(path)));
    let mut shown = format!("{scheme}://");
    match authority.rsplit_once('@') {
        Some((who, hosts)) => match who.split_once(':') {
            Some((user, _password)) => shown += &format!("{user}:{HIDDEN}@{hosts}"),
            None => shown += authority,
        },
        None => shown += authority,
    }
    if let Some(path) = path {
        shown += &format!("/{path}");
    }
    let pairs = query.into_iter().flat_map(|query| query.split('&')).map(|pair| {
        let (name, _value) = pair.split_once('=').unwrap_or((pair, ""));
        // By whatever way a name is written: what is not known to be open is not shown.
        if OPEN_PARAMETERS.contains(&name) { pair.to_owned() } else { HIDDEN.to_owned() }
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() { shown } else { format!("{shown}?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests;
