//! Who asks, verified, and what they may do.
use crate::databases::Databases;
use crate::pace::Pace;
use crate::scope::{Scope, Scopes};
use rowhouse_types::{DatabaseName, Target};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// What may be done to which databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub scopes: Scopes,
    /// To which.
    pub databases: Databases,
}

/// Whether what stands behind identities, a key or a token, is still good. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Standing {
    ended: Arc<AtomicBool>,
}

/// Who asks, verified. Shared by all that was asked with one credential.
#[derive(Debug)]
pub struct Identity {
    /// For operators and for sharing fairly: `token:NAME`, `user:NAME`, `jwt:KEY:SUBJECT`, or `jwt:KEY/CLAIMS`
    /// where no subject is said. `None` for anybody.
    pub who: Option<Arc<str>>,
    /// What they may do: what any of these allows.
    pub grants: Vec<Grant>,
    /// When it ends.
    pub expires: Option<SystemTime>,
    standing: Standing,
    pace: Option<Pace>,
}

/// Asked more often than its rate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// How many a second are allowed.
    pub rate: NonZeroU32,
    /// When it is worth to ask again.
    pub retry_after: Duration,
}

// === impl Grant ===

impl Grant {
    /// Whether it allows to do this to that database.
    pub fn allows(&self, scope: Scope, target: &Target) -> bool {
        self.scopes.has(scope) && self.databases.has(target)
    }
}

// === impl Standing ===

impl Standing {
    /// A good one.
    pub fn good() -> Self {
        Self { ended: Arc::default() }
    }

    /// Whether it is good.
    pub fn is_good(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }

    /// Whether taking back one takes back the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ended, &other.ended)
    }

    /// Takes it back, for everybody whose identity stands on it and for good.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

// === impl Identity ===

impl Identity {
    /// Somebody who may do this, for as long.
    pub fn new(who: Option<Arc<str>>, grants: Vec<Grant>, expires: Option<SystemTime>) -> Self {
        Self { who, grants, expires, standing: Standing::good(), pace: None }
    }

    /// The same, for no longer than this is good.
    #[must_use]
    pub fn standing_on(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// The same, asking no more often than so many times a second, of which a second's worth may come at once.
    #[must_use]
    pub fn paced(self, pace: Option<Pace>) -> Self {
        Self { pace, ..self }
    }

    /// Anybody, where nobody has to say who they are: all that concerns rows.
    pub fn anybody() -> Self {
        Self::new(None, vec![Grant { scopes: Scopes::DATA, databases: Databases::all() }], None)
    }

    /// Whether they may do this to that database, now.
    ///
    /// This is all that authorization is: nothing is looked up, so that it takes as long whether there is
    /// such a database or not.
    pub fn may(&self, scope: Scope, target: &Target) -> bool {
        self.is_current() && self.grants.iter().any(|grant| grant.allows(scope, target))
    }

    /// Whether they may do this to every database there is, now, and so to what is nobody's in particular.
    pub fn may_everywhere(&self, scope: Scope) -> bool {
        let everywhere = |grant: &Grant| grant.scopes.has(scope) && grant.databases.is_all();
        self.is_current() && self.grants.iter().any(everywhere)
    }

    /// The one database they may do anything to, if it is one: it is also how they say which they mean.
    pub fn only(&self) -> Option<&DatabaseName> {
        let (first, others) = self.grants.split_first()?;
        let only = first.databases.only()?;
        others.iter().all(|grant| grant.databases.only() == Some(only)).then_some(only)
    }

    /// Whether whoever presented the one may go on with what the other began: the same key, token or user
    /// stands behind both, they are called alike, and they may do the same. A JWT made anew is the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.standing.is_same(&other.standing) && self.who == other.who && self.grants == other.grants
    }

    /// Whether what is behind it is still good, be its time over or not.
    pub(crate) fn stands(&self) -> bool {
        self.standing.is_good()
    }

    /// Whether it has neither ended nor been taken back.
    pub fn is_current(&self) -> bool {
        self.stands() && self.expires.is_none_or(|at| SystemTime::now() < at)
    }

    /// Takes one turn of its rate, if it has one.
    ///
    /// # Errors
    ///
    /// When it comes too early; no turn is taken then.
    pub fn turn(&self) -> Result<(), TooOften> {
        self.pace.as_ref().map_or(Ok(()), |pace| pace.turn(Instant::now()))
    }

    /// Takes it back: from now on they may do nothing, wherever it is held; nor may whoever else stands on
    /// the same key or token.
    pub fn revoke(&self) {
        self.standing.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Target {
        Target::Named(name.parse().expect("a name"))
    }

    fn grant(scopes: &str, databases: &str) -> Grant {
        Grant { scopes: scopes.parse().expect("scopes"), databases: databases.parse().expect("databases") }
    }

    /// What is allowed: who, by their grants; and of which databases, `r`, `w`, `c` and `a` of each.
    #[test]
    fn the_matrix_of_who_may_do_what_to_which() {
        let targets = [Target::Default, named("acme"), named("acme2"), named("eu-1"), named("Acme")];
        let rows: &[(&[Grant], [&str; 5])] = &[
            (&[], ["", "", "", "", ""]),
            (&[grant("", "*")], ["", "", "", "", ""]),
            (&[grant("read", "")], ["", "", "", "", ""]),
            (&[grant("read", "acme")], ["", "r", "", "", ""]),
            (&[grant("write", "acme")], ["", "rw", "", "", ""]),
            (&[grant("create", "acme")], ["", "c", "", "", ""]),
            (&[grant("admin", "acme")], ["", "a", "", "", ""]),
            (&[grant("read,write,create", "acme*")], ["", "rwc", "rwc", "", ""]),
            (&[grant("read", "~default")], ["r", "", "", "", ""]),
            (&[grant("read,write,create,admin", "*")], ["rwca"; 5]),
            (&[grant("read", "*"), grant("write", "eu-*")], ["r", "r", "r", "rw", "r"]),
            (&[grant("create", "eu-1"), grant("read", "acme,eu-1")], ["", "r", "", "rc", ""]),
            (&Identity::anybody().grants, ["rwc"; 5]),
        ];
        for (grants, allowed) in rows {
            let identity = Identity::new(None, grants.to_vec(), None);
            for (target, allowed) in targets.iter().zip(allowed) {
                let may = Scope::ALL.into_iter().filter(|scope| identity.may(*scope, target));
                let may: String = may.map(|scope| &scope.as_str()[..1]).collect();
                assert_eq!(may, *allowed, "{grants:?} to {target:?}");
            }
        }
    }

    #[test]
    fn nothing_is_allowed_once_it_has_ended_or_was_taken_back() {
        let standing = Standing::good();
        let all = || vec![grant("read,write,create,admin", "*")];
        let one = Identity::new(None, all(), None).standing_on(standing.clone());
        let other = Identity::new(None, all(), None).standing_on(standing);
        assert!(one.may(Scope::Read, &named("acme")));
        other.revoke();
        assert!(!one.is_current() && Scope::ALL.iter().all(|scope| !one.may(*scope, &named("acme"))));
        let past = Identity::new(None, all(), Some(SystemTime::UNIX_EPOCH));
        assert!(!past.may(Scope::Read, &Target::Default));
    }

    #[test]
    fn who_may_do_otherwise_or_stands_on_something_else_is_not_the_same() {
        let standing = Standing::good();
        let of = |who: Option<&str>, scopes: &str, standing: &Standing| {
            let grants = vec![grant(scopes, "acme")];
            Identity::new(who.map(Into::into), grants, None).standing_on(standing.clone())
        };
        let me = of(Some("me"), "read", &standing);
        let later = Identity { expires: Some(SystemTime::UNIX_EPOCH), ..of(Some("me"), "read", &standing) };
        assert!(me.is_same(&me) && me.is_same(&later), "what is made anew is the same");
        for other in [
            of(Some("me"), "read", &Standing::good()),
            of(Some("me"), "read,write", &standing),
            of(Some("you"), "read", &standing),
            of(None, "read", &standing),
        ] {
            assert!(!me.is_same(&other) && !other.is_same(&me), "{other:?}");
        }
    }

    #[test]
    fn who_has_one_database_means_it() {
        let only = |grants: &[Grant]| {
            let identity = Identity::new(None, grants.to_vec(), None);
            identity.only().map(ToString::to_string)
        };
        assert_eq!(only(&[grant("read", "acme")]).as_deref(), Some("acme"));
        assert_eq!(only(&[grant("read", "acme"), grant("create", "acme")]).as_deref(), Some("acme"));
        for several in ["acme,b", "acme*", "*", "~default"] {
            assert_eq!(only(&[grant("read", several)]), None);
        }
        assert_eq!(only(&[grant("read", "acme"), grant("read", "b")]), None);
    }
}
