//! Who asks, verified, and what they may do.
use rowhouse_types::{DatabaseName, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// One kind of doing that has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To read rows.
    Read,
    /// To change rows and schema.
    Write,
    /// To bring a database into being by naming it.
    Create,
    /// To administer.
    Admin,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

/// Which names a grant is for: a name, or the beginning of names and `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This one.
    Exactly(Target),
    /// Every name that begins so; every name there is, when that is empty, the default database too.
    Beginning(String),
}

/// Which databases a grant is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Databases(pub Vec<Pattern>);

/// What may be done to which databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub scopes: Scopes,
    /// To which.
    pub databases: Databases,
}

/// Who asks, verified. Shared by all that was asked with one credential.
#[derive(Debug)]
pub struct Identity {
    /// For operators and for sharing fairly: the name of a token, the subject of a JWT, a user. `None` for
    /// anybody.
    pub who: Option<Arc<str>>,
    /// What they may do.
    pub grant: Grant,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// Whether it was taken back since.
    revoked: AtomicBool,
}

// === impl Scopes ===

impl Scopes {
    /// All there are.
    pub const ALL: Self = Self(0b1111);

    /// These.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        scopes.into_iter().fold(Self::default(), |all, scope| Self(all.0 | 1 << scope as u8))
    }

    /// Whether this is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

// === impl Pattern ===

impl Pattern {
    /// Whether it is for this database.
    pub fn is_for(&self, target: &Target) -> bool {
        match (self, target) {
            (Self::Exactly(this), target) => this == target,
            (Self::Beginning(start), Target::Named(name)) => name.as_str().starts_with(start.as_str()),
            (Self::Beginning(start), Target::Default) => start.is_empty(),
        }
    }
}

// === impl Databases ===

impl Databases {
    /// Every database.
    pub fn all() -> Self {
        Self(vec![Pattern::Beginning(String::new())])
    }

    /// Whether this one is among them.
    pub fn has(&self, target: &Target) -> bool {
        self.0.iter().any(|pattern| pattern.is_for(target))
    }

    /// The one they are, if they are one.
    pub fn only(&self) -> Option<&DatabaseName> {
        match &*self.0 {
            [Pattern::Exactly(Target::Named(name))] => Some(name),
            _ => None,
        }
    }
}

// === impl Identity ===

impl Identity {
    /// Somebody who may do this, for as long.
    pub fn new(who: Option<Arc<str>>, grant: Grant, expires: Option<SystemTime>) -> Self {
        Self { who, grant, expires, revoked: AtomicBool::new(false) }
    }

    /// Anybody, where nobody has to say who they are.
    pub fn anybody() -> Self {
        Self::new(None, Grant { scopes: Scopes::ALL, databases: Databases::all() }, None)
    }

    /// Whether they may do this to that database, now.
    pub fn may(&self, scope: Scope, target: &Target) -> bool {
        self.is_current() && self.grant.scopes.has(scope) && self.grant.databases.has(target)
    }

    /// Whether it has neither ended nor been taken back.
    pub fn is_current(&self) -> bool {
        !self.revoked.load(Ordering::Acquire) && self.expires.is_none_or(|at| SystemTime::now() < at)
    }

    /// Takes it back: from now on they may do nothing, wherever it is held.
    pub fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_for_its_names_and_ends_when_it_is_taken_back() {
        let named = |name: &str| Target::Named(name.parse().expect("a name"));
        let databases =
            Databases(vec![Pattern::Exactly(named("acme")), Pattern::Beginning("eu-".to_owned())]);
        let grant = Grant { scopes: Scopes::of([Scope::Read]), databases };
        let identity = Identity::new(None, grant, None);
        assert!(identity.may(Scope::Read, &named("acme")) && identity.may(Scope::Read, &named("eu-1")));
        assert!(!identity.may(Scope::Write, &named("acme")));
        assert!(!identity.may(Scope::Read, &named("acme2")) && !identity.may(Scope::Read, &Target::Default));
        identity.revoke();
        assert!(!identity.may(Scope::Read, &named("acme")));
        let past = Identity::new(None, Identity::anybody().grant, Some(SystemTime::UNIX_EPOCH));
        assert!(!past.may(Scope::Read, &Target::Default));
    }
}
