//! What is recorded: one entry for each thing administration did or was refused, and who did it.
use super::chain::Hash;
use super::words::words;
use rowhouse_types::Target;
use std::time::SystemTime;

/// The most bytes of any text of an entry; what is longer is cut.
pub(super) const MAX_TEXT: usize = 1024;

words! {
    /// By which interface something was asked for. Bounded: it is a metric label.
    Interface {
        /// The start of the server.
        Start = "start",
        /// The management API.
        Http = "http",
        /// `rowhouse manager` and the other commands.
        Command = "cli",
        /// A signal to the process.
        Signal = "signal",
        /// A configuration file read again.
        Reload = "reload",
        /// The server's own scaling.
        Autoscale = "autoscale",
        /// The program this library is part of.
        Library = "library",
        /// The opening of a database.
        Open = "open",
    }
}

words! {
    /// What was done. Bounded: it is a metric label.
    Action {
        /// The limit of client connections was changed.
        ClientLimit = "client_limit",
        /// A limit of one database was changed.
        DatabaseLimit = "database_limit",
        /// An option was changed.
        Config = "config",
        /// What is logged was changed.
        LogLevel = "log_level",
        /// The configuration was read again.
        Reload = "reload",
        /// A database was created.
        CreateDatabase = "create_database",
        /// A database was dropped.
        DropDatabase = "drop_database",
        /// A database was closed to make room.
        Evict = "evict",
        /// A database was made to let new requests wait.
        Pause = "pause",
        /// A paused database was let go on.
        Resume = "resume",
        /// A database's log was moved into its file.
        Checkpoint = "checkpoint",
        /// A database was backed up on demand.
        Backup = "backup",
        /// Databases were brought to the newest schema, or one of them could not be.
        Migrate = "migrate",
        /// A client's connection was closed.
        CloseConnection = "close_connection",
        /// An API token was made.
        IssueToken = "issue_token",
        /// An API token was taken back.
        RevokeToken = "revoke_token",
        /// A user was added.
        AddUser = "add_user",
        /// A user was removed.
        RemoveUser = "remove_user",
        /// An operator closed a database until it is resumed.
        Suspend = "suspend",
        /// A database was closed because its schema could not be brought to head.
        Quarantine = "quarantine",
        /// An organization was entered or changed.
        SetOrganization = "set_organization",
        /// A user of an organization was entered or changed.
        SetMember = "set_member",
        /// A user of an organization was removed.
        RemoveMember = "remove_member",
        /// A user of an organization was given an identity.
        LinkIdentity = "link_identity",
        /// An identity was taken from a user.
        UnlinkIdentity = "unlink_identity",
        /// A setting was changed or removed.
        Setting = "setting",
        /// Somebody was refused who asked for a database that their credentials are not for.
        Access = "access",
        /// The server was asked to stop.
        Shutdown = "shutdown",
        /// Entries were lost, as many as `to` says: they could not be written, and there were too many
        /// to hold them.
        Lost = "lost",
        /// Something this version does not know, written by a newer one.
        Unknown = "unknown",
    }
}

words! {
    /// How it ended. Bounded: it is a metric label.
    Verdict {
        /// It was done.
        Applied = "applied",
        /// It was refused or failed; nothing has changed.
        Refused = "refused",
    }
}

/// Who asked for something, by which interface, and why.
///
/// Texts are data: control characters are kept, and escaped where they are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// By which interface.
    pub interface: Interface,
    /// Who: an address, a user, a signal's sender.
    pub who: String,
    /// Why, if it was said.
    pub reason: Option<String>,
}

/// One thing that administration did or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub action: Action,
    /// By whom.
    pub cause: Cause,
    /// Which database it concerns, if one.
    pub database: Option<Target>,
    /// The value before.
    pub from: Option<String>,
    /// The value after, or the one asked for where it was refused.
    pub to: Option<String>,
    /// How many were active.
    pub active: Option<u32>,
    /// How it ended: done, or why not.
    pub result: Result<(), String>,
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number, from 1 on and without gaps.
    pub id: u64,
    /// When it was recorded; never before the entry before it.
    pub at: SystemTime,
    /// What was recorded.
    pub entry: Entry,
    /// Covers all of it, and the entry before it.
    pub hash: Hash,
}

/// Which entries are asked for; the newest come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this action only.
    pub action: Option<Action>,
    /// Concerning this database only.
    pub database: Option<Target>,
    /// Not older than this.
    pub since: Option<SystemTime>,
    /// With a smaller number only: how one reads on.
    pub before: Option<u64>,
    /// How many at most; never more than [`Query::MOST`] are returned.
    pub limit: u32,
}

// === impl Cause ===

impl Cause {
    /// By this interface, by this one, for no stated reason.
    pub fn new(interface: Interface, who: impl Into<String>) -> Self {
        Self { interface, who: who.into(), reason: None }
    }

    /// The same, with a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

// === impl Entry ===

impl Entry {
    /// Something that was done, with nothing more to say of it yet.
    pub fn of(action: Action, cause: Cause) -> Self {
        Self { action, cause, database: None, from: None, to: None, active: None, result: Ok(()) }
    }

    /// How it ended, in a word.
    pub fn verdict(&self) -> Verdict {
        if self.result.is_ok() { Verdict::Applied } else { Verdict::Refused }
    }

    /// The same with every text cut to its bound.
    pub(super) fn bounded(mut self) -> Self {
        let Self { cause, from, to, result, .. } = &mut self;
        cut(&mut cause.who);
        [&mut cause.reason, from, to].into_iter().flatten().for_each(cut);
        if let Err(why) = result {
            cut(why);
        }
        self
    }
}

fn cut(text: &mut String) {
    if MAX_TEXT < text.len() {
        text.truncate(text.floor_char_boundary(MAX_TEXT - '…'.len_utf8()));
        text.push('…');
    }
}

// === impl Query ===

impl Query {
    /// The most entries one answer has.
    pub const MOST: u32 = 1000;

    /// How many are returned at most.
    pub(super) fn most(&self) -> usize {
        self.limit.min(Self::MOST) as usize
    }

    /// Whether this entry is asked for.
    pub(super) fn takes(&self, recorded: &Recorded) -> bool {
        let Recorded { id, at, entry, .. } = recorded;
        self.action.is_none_or(|action| action == entry.action)
            && self.database.as_ref().is_none_or(|database| entry.database.as_ref() == Some(database))
            && self.since.is_none_or(|since| since <= *at)
            && self.before.is_none_or(|before| *id < before)
    }
}

impl Default for Query {
    /// The newest hundred.
    fn default() -> Self {
        Self { action: None, database: None, since: None, before: None, limit: 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for action in Action::ALL {
            assert_eq!(Action::from_word(action.as_str()), Some(*action));
        }
        assert_eq!(Interface::from_word("cli"), Some(Interface::Command));
        assert_eq!(Interface::from_word("x"), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cause = Cause::new(Interface::Http, "é".repeat(2000)).because("short\n");
        let entry = Entry { to: Some("x".repeat(MAX_TEXT)), ..Entry::of(Action::Config, cause) }.bounded();
        assert!(entry.cause.who.len() <= MAX_TEXT && entry.cause.who.ends_with("é…"));
        assert_eq!(entry.cause.reason.as_deref(), Some("short\n"));
        assert_eq!(entry.to.map(|to| to.len()), Some(MAX_TEXT));
    }
}
