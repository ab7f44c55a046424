//! What a token says of who holds it, and what that allows.
//!
//! Two ways of saying it are understood, and one token speaks in one of them: libSQL's (`id` and `a`, or `p`)
//! and ours (`databases` and `scopes`). In libSQL's, to create by naming is allowed only to who may write
//! everything; in ours it is the scope `create`.
use crate::databases::Databases;
use crate::identity::Grant;
use crate::scope::{Scope, Scopes};
use serde::Deserialize;

/// What a token says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
    pub(super) iss: Option<String>,
    pub(super) aud: Option<Words>,
    pub(super) sub: Option<String>,
    /// libSQL's: the one database.
    id: Option<String>,
    /// libSQL's: what may be done.
    a: Option<Permission>,
    /// libSQL's: what may be done to which.
    p: Option<Permissions>,
    /// Ours: which databases.
    databases: Option<Words>,
    /// Ours: what may be done.
    scopes: Option<Words>,
}

/// One word or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    One(String),
    Many(Vec<String>),
}

/// libSQL's words; those with an `a` allow to attach too, which nobody may here.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Permission {
    #[serde(alias = "roa")]
    Ro,
    #[serde(alias = "rwa")]
    Rw,
}

#[derive(Debug, Deserialize)]
struct Permissions {
    ro: Option<Namespaces>,
    roa: Option<Namespaces>,
    rw: Option<Namespaces>,
    rwa: Option<Namespaces>,
}

#[derive(Debug, Deserialize)]
struct Namespaces {
    ns: Option<Vec<String>>,
}

/// What a token says of databases cannot be understood, or is said in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclear;

// === impl Claims ===

impl Claims {
    /// What they allow.
    pub(super) fn grants(&self) -> Result<Vec<Grant>, Unclear> {
        let is_ours = self.databases.is_some() || self.scopes.is_some();
        let is_libsql = self.id.is_some() || self.a.is_some() || self.p.is_some();
        match &self.p {
            _ if is_ours && is_libsql => Err(Unclear),
            _ if is_ours => self.ours(),
            Some(permissions) => permissions.grants(),
            None => self.one(),
        }
    }

    /// Ours. Databases that are not said are all for whom the key may speak, and what is not said to be
    /// allowed is to read and to write.
    fn ours(&self) -> Result<Vec<Grant>, Unclear> {
        let scopes = match &self.scopes {
            None => Scopes::of([Scope::Read, Scope::Write]),
            Some(words) => {
                let scopes = words.split().map(str::parse).collect::<Result<Vec<Scope>, _>>();
                Scopes::of(scopes.map_err(|_| Unclear)?)
            }
        };
        let databases = self.databases.as_ref();
        let databases =
            databases.map_or_else(|| Ok(Databases::all()), |names| Databases::named(names.split()));
        Ok(vec![Grant { scopes, databases: databases.map_err(|_| Unclear)? }])
    }

    /// libSQL's older ones: one database or all, to read or to write.
    fn one(&self) -> Result<Vec<Grant>, Unclear> {
        let scopes = match self.a {
            Some(Permission::Ro) => Scopes::of([Scope::Read]),
            Some(Permission::Rw) | None if self.id.is_none() => Scopes::DATA,
            Some(Permission::Rw) | None => Scopes::of([Scope::Read, Scope::Write]),
        };
        let databases = self.id.as_deref().map_or_else(|| Ok(Databases::all()), name);
        Ok(vec![Grant { scopes, databases: databases? }])
    }

    /// The names it says it is for, believed or not: where its key may be.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let ours = self.databases.iter().flat_map(Words::split);
        let theirs = self.p.iter().flat_map(Permissions::names);
        self.id.as_deref().into_iter().chain(ours).chain(theirs)
    }
}

// === impl Permissions ===

impl Permissions {
    fn grants(&self) -> Result<Vec<Grant>, Unclear> {
        let Self { ro, roa, rw, rwa } = self;
        let (read, write) = (Scopes::of([Scope::Read]), Scopes::of([Scope::Read, Scope::Write]));
        let mut grants = Vec::new();
        for (namespaces, scopes) in [(ro, read), (roa, read), (rw, write), (rwa, write)] {
            let names = namespaces.iter().flat_map(|namespaces| &namespaces.ns).flatten();
            let mut databases = Databases::default();
            for text in names {
                databases.0.extend(name(text)?.0);
            }
            if !databases.0.is_empty() {
                grants.push(Grant { scopes, databases });
            }
        }
        Ok(grants)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let Self { ro, roa, rw, rwa } = self;
        let all = [ro, roa, rw, rwa].into_iter().flatten().filter_map(|namespaces| namespaces.ns.as_ref());
        all.flatten().map(String::as_str)
    }
}

// === impl Words ===

impl Words {
    /// Each; a list may be written as one text with spaces or commas, too.
    pub(super) fn split(&self) -> impl Iterator<Item = &str> {
        let words = match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        };
        words.iter().flat_map(|word| word.split([' ', ','])).filter(|word| !word.is_empty())
    }

    /// Each as it stands.
    pub(super) fn whole(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        }
    }
}

/// One namespace of libSQL's, which has no patterns.
fn name(text: &str) -> Result<Databases, Unclear> {
    Ok(Databases::one(rowhouse_types::Target::Named(text.parse().map_err(|_| Unclear)?)))
}
