//! Which databases there are: the configured ones, and those that may be opened by name.
//!
//! Pure: it decides who may be opened and created; whether there is anything at the place is the
//! engine's to say.
use rowhouse_engine::Location;
use rowhouse_types::{DatabaseName, Target};
use std::collections::BTreeMap;

/// What the catalog says of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Which database.
    pub target: Target,
    /// Where it lives.
    pub location: Location,
}

/// Whether databases that are not configured are opened and created by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dynamic {
    /// Configured databases only.
    #[default]
    Off,
    /// Existing ones are opened.
    Open,
    /// Existing ones are opened, and missing ones created.
    Create,
}

/// The databases there are.
#[derive(Clone, Debug)]
pub struct Catalog {
    configured: BTreeMap<Target, Spec>,
    dynamic: Dynamic,
}

/// Where a target leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// To a configured database.
    Configured(&'a Spec),
    /// To one that may be opened by name, and created when that is `Dynamic::Create`.
    Dynamic(&'a DatabaseName, Dynamic),
}

/// The target leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("databases are not opened by name on this server")]
pub struct CatalogError;

/// Why a catalog cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalog {
    /// One database is configured twice.
    #[error("database {0:?} is configured twice")]
    Twice(String),
    /// Two configured databases live at one place.
    #[error("databases {0:?} and {1:?} are configured to be one file")]
    SamePlace(String, String),
}

// === impl Catalog ===

impl Catalog {
    /// A catalog of the configured databases, and a rule for the others.
    ///
    /// # Errors
    ///
    /// When two specs have one target, or one place that is not in memory.
    pub fn new(configured: impl IntoIterator<Item = Spec>, dynamic: Dynamic) -> Result<Self, InvalidCatalog> {
        let mut places = BTreeMap::new();
        let mut map = BTreeMap::new();
        for spec in configured {
            let name = spec.target.to_string();
            if spec.location.0 != ":memory:"
                && let Some(other) = places.insert(spec.location.0.clone(), name.clone())
            {
                return Err(InvalidCatalog::SamePlace(other, name));
            }
            if map.insert(spec.target.clone(), spec).is_some() {
                return Err(InvalidCatalog::Twice(name));
            }
        }
        Ok(Self { configured: map, dynamic })
    }

    /// Decides where a target leads. Configured databases come first.
    pub fn resolve<'a>(&'a self, target: &'a Target) -> Result<Resolution<'a>, CatalogError> {
        if let Some(spec) = self.configured.get(target) {
            return Ok(Resolution::Configured(spec));
        }
        match (target, self.dynamic) {
            (Target::Default, _) | (_, Dynamic::Off) => Err(CatalogError),
            (Target::Named(name), dynamic) => Ok(Resolution::Dynamic(name, dynamic)),
        }
    }

    /// The configured databases.
    pub fn configured(&self) -> impl Iterator<Item = &Spec> {
        self.configured.values()
    }

    /// What is done with the others.
    pub fn dynamic(&self) -> Dynamic {
        self.dynamic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Target {
        Target::Named(name.parse().expect("a valid name"))
    }

    fn spec(target: Target, place: &str) -> Spec {
        Spec { target, location: Location(place.into()) }
    }

    #[test]
    fn configured_databases_come_before_those_opened_by_name() {
        let users = spec(named("users"), "/elsewhere/users.db");
        let catalog = Catalog::new([users.clone()], Dynamic::Create).expect("valid");
        assert_eq!(catalog.resolve(&named("users")), Ok(Resolution::Configured(&users)));
        assert!(matches!(catalog.resolve(&named("other")), Ok(Resolution::Dynamic(_, Dynamic::Create))));
    }

    #[test]
    fn nothing_else_is_reachable_when_dynamic_is_off() {
        let catalog = Catalog::new([spec(Target::Default, ":memory:")], Dynamic::Off).expect("valid");
        assert!(catalog.resolve(&Target::Default).is_ok());
        assert_eq!(catalog.resolve(&named("default")), Err(CatalogError));
    }

    #[test]
    fn two_names_for_one_file_are_refused_but_not_for_memory() {
        let twice = |place: &str| {
            Catalog::new([spec(named("a"), place), spec(named("b"), place)], Dynamic::Off).map(|_| ())
        };
        assert!(twice(":memory:").is_ok());
        assert_eq!(twice("/x.db"), Err(InvalidCatalog::SamePlace("a".into(), "b".into())));
    }
}
