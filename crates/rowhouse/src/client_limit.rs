//! Which client limit is in force at the start, and why: the command line's, the one kept from before,
//! or another configured one.
use crate::config::Origin;
use rowhouse_gateway::{Action, Cause, Entry, Interface};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

/// Under which key the journal keeps it.
const KEY: &str = "client_limit";

/// The client limit that is in force at the start, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimit {
    limit: NonZeroU32,
    configured: (NonZeroU32, Origin),
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// It is the configured one, and none other was kept.
    Configured,
    /// It was set while the server ran, and kept.
    Kept,
    /// It is the command line's, which wins over this one that was kept.
    Explicit(NonZeroU32),
    /// It is the configured one, for what was kept is no limit.
    Unusable(String),
}

// === impl ClientLimit ===

impl ClientLimit {
    /// Decides. What was kept wins over defaults, file and environment, and what is said on the command
    /// line, or by the program this is a library of, wins over it.
    pub(crate) fn decide(
        configured: (NonZeroU32, Origin),
        persists: bool,
        kept: &BTreeMap<String, String>,
    ) -> Self {
        let is_explicit = matches!(configured.1, Origin::Flag(_) | Origin::Code);
        let (limit, why) = match kept.get(KEY).filter(|_| persists) {
            None => (configured.0, Why::Configured),
            Some(text) => match text.parse() {
                Ok(kept) if kept == configured.0 => (kept, Why::Configured),
                Ok(kept) if is_explicit => (configured.0, Why::Explicit(kept)),
                Ok(kept) => (kept, Why::Kept),
                Err(_) => (configured.0, Why::Unusable(text.clone())),
            },
        };
        Self { limit, configured, why }
    }

    /// The limit.
    pub fn get(&self) -> NonZeroU32 {
        self.limit
    }

    /// Why it is this one, in words.
    pub fn why(&self) -> String {
        let (configured, origin) = &self.configured;
        match &self.why {
            Why::Configured => origin.to_string(),
            Why::Kept => {
                format!("set while the server ran and kept by persist_limit, over {configured} {origin}")
            }
            Why::Explicit(kept) => format!("{origin}, over {kept} kept from before"),
            Why::Unusable(text) => format!("{origin}, for {text:?} kept from before is no limit"),
        }
    }

    /// How history begins with it.
    pub(crate) fn entry(&self) -> Entry {
        let cause = Cause::new(Interface::Start, "rowhouse").because(self.why());
        Entry { to: Some(self.limit.to_string()), ..Entry::of(Action::ClientLimit, cause) }
    }
}

/// As in the banner.
impl fmt::Display for ClientLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at once ({})", self.limit, self.why())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(origin: Origin, persists: bool, kept: Option<&str>) -> String {
        let kept = kept.map(|kept| (KEY.to_owned(), kept.to_owned())).into_iter().collect();
        let configured = (NonZeroU32::new(1000).expect("not zero"), origin);
        ClientLimit::decide(configured, persists, &kept).to_string()
    }

    #[test]
    fn the_command_line_wins_over_what_was_kept_and_that_over_the_rest() {
        let flag = || Origin::Flag("LIMIT".to_owned());
        for (origin, persists, kept, said) in [
            (Origin::Default, true, None, "1000 at once (by default)"),
            (Origin::Default, false, Some("310"), "1000 at once (by default)"),
            (flag(), false, Some("310"), "1000 at once (from LIMIT)"),
            (flag(), true, Some("310"), "1000 at once (from LIMIT, over 310 kept from before)"),
            (Origin::Code, true, Some("310"), "1000 at once (set by the program, over 310 kept from before)"),
            (
                Origin::Default,
                true,
                Some("310"),
                "310 at once (set while the server ran and kept by persist_limit, over 1000 by default)",
            ),
            (
                Origin::Environment("ROWHOUSE_CLIENT_LIMIT".to_owned()),
                true,
                Some("310"),
                "310 at once (set while the server ran and kept by persist_limit, over 1000 ROWHOUSE_CLIENT_LIMIT in the environment)",
            ),
            (
                Origin::Default,
                true,
                Some("0"),
                "1000 at once (by default, for \"0\" kept from before is no limit)",
            ),
        ] {
            assert_eq!(decided(origin, persists, kept), said);
        }
    }
}
