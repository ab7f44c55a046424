//! The rules in their order, and what they say of a request together.
use super::domain::Domain;
use super::error::RouteError;
use super::facts::Facts;
use super::hosts::without_port;
use super::rules;
use rowhouse_types::{DatabaseName, Target};
use std::fmt;

/// One way to read the name of a database off a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The path begins with `/db/NAME/` or `/dev/NAME/`, or has the name where whoever serves it says.
    Path,
    /// The host is `NAME.DOMAIN`, of a domain that is configured or of `localhost`.
    Subdomain,
    /// The header `x-namespace` or `x-org-id` is the name.
    Header,
    /// The token is for one database.
    Claim,
    /// Where nothing else speaks, it is the default database.
    Default,
}

/// What in a request named its database. Bounded: it may be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The path.
    Path,
    /// The host.
    Subdomain,
    /// The header `x-namespace`.
    Namespace,
    /// The header `x-org-id`.
    Organization,
    /// The token.
    Claim,
    /// Nothing, so it is the default database.
    Default,
}

/// Which database a request is for, and what its path says beyond that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The database.
    pub target: Target,
    /// The beginning of the path that named it, as it was written; empty if the path did not.
    pub prefix: &'a str,
    /// The path after that; it begins with a slash if the whole path did.
    pub rest: &'a str,
    /// What named it, the first in the order of the rules.
    pub source: Source,
}

/// The rules, in their order.
#[derive(Clone, Debug)]
pub struct Router {
    sources: Vec<Source>,
    /// The longer before the shorter.
    domains: Vec<Domain>,
}

/// Why rules are none that requests can be routed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// There is none.
    #[error("there is no rule")]
    None,
    /// One is there twice.
    #[error("`{0}` is there twice")]
    Twice(Rule),
    /// Something comes after the default.
    #[error("`default` is for what nothing else names, and so the last")]
    AfterDefault,
}

// === impl Rule ===

impl Rule {
    /// Every rule, in the order in which they are read unless configured otherwise.
    pub const ALL: [Self; 5] = [Self::Path, Self::Subdomain, Self::Header, Self::Claim, Self::Default];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Subdomain => "subdomain",
            Self::Header => "header",
            Self::Claim => "claim",
            Self::Default => "default",
        }
    }

    /// The rule with this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == word)
    }

    fn sources(self) -> &'static [Source] {
        match self {
            Self::Path => &[Source::Path],
            Self::Subdomain => &[Source::Subdomain],
            Self::Header => &[Source::Namespace, Source::Organization],
            Self::Claim => &[Source::Claim],
            Self::Default => &[Source::Default],
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Source ===

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "the path",
            Self::Subdomain => "the host",
            Self::Namespace => "the header x-namespace",
            Self::Organization => "the header x-org-id",
            Self::Claim => "the token",
            Self::Default => "the default",
        })
    }
}

// === impl Router ===

impl Router {
    /// Reads requests by these rules in this order, and hosts below these domains and `localhost`.
    ///
    /// # Errors
    ///
    /// When there is no rule, one is there twice, or one comes after the default.
    pub fn new(rules: &[Rule], domains: impl IntoIterator<Item = Domain>) -> Result<Self, InvalidRules> {
        let Some((_, before)) = rules.split_last() else { return Err(InvalidRules::None) };
        if before.contains(&Rule::Default) {
            return Err(InvalidRules::AfterDefault);
        }
        if let Some(twice) = rules.iter().enumerate().find(|&(at, rule)| rules[..at].contains(rule)) {
            return Err(InvalidRules::Twice(*twice.1));
        }
        let mut domains: Vec<_> = domains.into_iter().chain([Domain::localhost()]).collect();
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.len()));
        let sources = rules.iter().flat_map(|rule| rule.sources()).copied().collect();
        Ok(Self { sources, domains })
    }

    /// Whether this host, with or without a port, is one of the domains, or names a database below one.
    pub fn covers(&self, host: &str) -> bool {
        without_port(host).is_some_and(|name| self.domains.iter().any(|domain| domain.covers(name)))
    }

    /// Which database a request is for. All that is read and speaks has said the same.
    ///
    /// # Errors
    ///
    /// When two parts of the request name different databases, one of them names none that could be, or a name
    /// is needed and not there.
    pub fn route<'a>(&self, facts: &Facts<'a>) -> Result<Route<'a>, RouteError> {
        let (mut chosen, mut prefix, mut rest) = (None::<(Source, DatabaseName)>, "", facts.path);
        for &source in &self.sources {
            let said = match source {
                Source::Path if let Some(name) = facts.parameter => Some(rules::path::name(name)?),
                Source::Path => rules::path::read(facts.path)?.map(|read| {
                    (prefix, rest) = (read.prefix, read.rest);
                    read.name
                }),
                Source::Subdomain => rules::subdomain::read(facts.host, &self.domains)?,
                Source::Namespace => rules::header::read(source, facts.namespace)?,
                Source::Organization => rules::header::read(source, facts.organization)?,
                Source::Claim => facts.claim.cloned(),
                Source::Default => None,
            };
            match (&chosen, said) {
                (_, None) => {}
                (None, Some(name)) => chosen = Some((source, name)),
                (Some((_, first)), Some(name)) if *first == name => {}
                (Some((one, _)), Some(_)) => return Err(RouteError::between(*one, source)),
            }
        }
        match chosen {
            Some((source, name)) => Ok(Route { target: Target::Named(name), prefix, rest, source }),
            None if self.sources.last() == Some(&Source::Default) => {
                Ok(Route { target: Target::Default, prefix, rest, source: Source::Default })
            }
            None => Err(RouteError::Unnamed),
        }
    }
}

impl Default for Router {
    /// Every rule, and no domain but `localhost`.
    fn default() -> Self {
        Self::new(&Rule::ALL, []).expect("each rule once, the default last")
    }
}
