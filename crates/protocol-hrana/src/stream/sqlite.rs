//! SQLite's names of its result codes.

/// The name of a result code, and its extended name: the same where there is none.
pub(super) fn names(code: i32) -> (&'static str, &'static str) {
    let name = primary(code & 0xff);
    (name, extended(code).unwrap_or(name))
}

/// <https://sqlite.org/rescode.html>
fn primary(code: i32) -> &'static str {
    match code {
        1 => "SQLITE_ERROR",
        2 => "SQLITE_INTERNAL",
        3 => "SQLITE_PERM",
        4 => "SQLITE_ABORT",
        5 => "SQLITE_BUSY",
        6 => "SQLITE_LOCKED",
        7 => "SQLITE_NOMEM",
        8 => "SQLITE_READONLY",
        9 => "SQLITE_INTERRUPT",
        10 => "SQLITE_IOERR",
        11 => "SQLITE_CORRUPT",
        12 => "SQLITE_NOTFOUND",
        13 => "SQLITE_FULL",
        14 => "SQLITE_CANTOPEN",
        15 => "SQLITE_PROTOCOL",
        16 => "SQLITE_EMPTY",
        17 => "SQLITE_SCHEMA",
        18 => "SQLITE_TOOBIG",
        19 => "SQLITE_CONSTRAINT",
        20 => "SQLITE_MISMATCH",
        21 => "SQLITE_MISUSE",
        22 => "SQLITE_NOLFS",
        23 => "SQLITE_AUTH",
        24 => "SQLITE_FORMAT",
        25 => "SQLITE_RANGE",
        26 => "SQLITE_NOTADB",
        27 => "SQLITE_NOTICE",
        28 => "SQLITE_WARNING",
        _ => "SQLITE_UNKNOWN",
    }
}

fn extended(code: i32) -> Option<&'static str> {
    let names = match code & 0xff {
        1 => ERROR,
        10 => IOERR,
        6 => LOCKED,
        5 => BUSY,
        14 => CANTOPEN,
        11 => CORRUPT,
        8 => READONLY,
        4 => ABORT,
        19 => CONSTRAINT,
        23 => AUTH,
        _ => return None,
    };
    let index = usize::try_from(code >> 8).ok()?.checked_sub(1)?;
    names.get(index).copied().filter(|name| !name.is_empty())
}

// The extended names of each, counted from one.

const ERROR: &[&str] = &["SQLITE_ERROR_MISSING_COLLSEQ", "SQLITE_ERROR_RETRY", "SQLITE_ERROR_SNAPSHOT"];

const IOERR: &[&str] = &[
    "SQLITE_IOERR_READ",
    "SQLITE_IOERR_SHORT_READ",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_DIR_FSYNC",
    "SQLITE_IOERR_TRUNCATE",
    "SQLITE_IOERR_FSTAT",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_DELETE",
    "SQLITE_IOERR_BLOCKED",
    "SQLITE_IOERR_NOMEM",
    "SQLITE_IOERR_ACCESS",
    "SQLITE_IOERR_CHECKRESERVEDLOCK",
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_CLOSE",
    "SQLITE_IOERR_DIR_CLOSE",
    "SQLITE_IOERR_SHMOPEN",
    "SQLITE_IOERR_SHMSIZE",
    "SQLITE_IOERR_SHMLOCK",
    "SQLITE_IOERR_SHMMAP",
    "SQLITE_IOERR_SEEK",
    "SQLITE_IOERR_DELETE_NOENT",
    "SQLITE_IOERR_MMAP",
    "SQLITE_IOERR_GETTEMPPATH",
    "SQLITE_IOERR_CONVPATH",
    "SQLITE_IOERR_VNODE",
    "SQLITE_IOERR_AUTH",
    "SQLITE_IOERR_BEGIN_ATOMIC",
    "SQLITE_IOERR_COMMIT_ATOMIC",
    "SQLITE_IOERR_ROLLBACK_ATOMIC",
    "SQLITE_IOERR_DATA",
    "SQLITE_IOERR_CORRUPTFS",
    "SQLITE_IOERR_IN_PAGE",
];

const LOCKED: &[&str] = &["SQLITE_LOCKED_SHAREDCACHE", "SQLITE_LOCKED_VTAB"];

const BUSY: &[&str] = &["SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_TIMEOUT"];

const CANTOPEN: &[&str] = &[
    "SQLITE_CANTOPEN_NOTEMPDIR",
    "SQLITE_CANTOPEN_ISDIR",
    "SQLITE_CANTOPEN_FULLPATH",
    "SQLITE_CANTOPEN_CONVPATH",
    "SQLITE_CANTOPEN_DIRTYWAL",
    "SQLITE_CANTOPEN_SYMLINK",
];

const CORRUPT: &[&str] = &["SQLITE_CORRUPT_VTAB", "SQLITE_CORRUPT_SEQUENCE", "SQLITE_CORRUPT_INDEX"];

const READONLY: &[&str] = &[
    "SQLITE_READONLY_RECOVERY",
    "SQLITE_READONLY_CANTLOCK",
    "SQLITE_READONLY_ROLLBACK",
    "SQLITE_READONLY_DBMOVED",
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_READONLY_DIRECTORY",
];

const ABORT: &[&str] = &["", "SQLITE_ABORT_ROLLBACK"];

const CONSTRAINT: &[&str] = &[
    "SQLITE_CONSTRAINT_CHECK",
    "SQLITE_CONSTRAINT_COMMITHOOK",
    "SQLITE_CONSTRAINT_FOREIGNKEY",
    "SQLITE_CONSTRAINT_FUNCTION",
    "SQLITE_CONSTRAINT_NOTNULL",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_CONSTRAINT_TRIGGER",
    "SQLITE_CONSTRAINT_UNIQUE",
    "SQLITE_CONSTRAINT_VTAB",
    "SQLITE_CONSTRAINT_ROWID",
    "SQLITE_CONSTRAINT_PINNED",
    "SQLITE_CONSTRAINT_DATATYPE",
];

const AUTH: &[&str] = &["SQLITE_AUTH_USER"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sqlite_s_own() {
        for (code, expected) in [
            (1, ("SQLITE_ERROR", "SQLITE_ERROR")),
            (5, ("SQLITE_BUSY", "SQLITE_BUSY")),
            (517, ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT")),
            (516, ("SQLITE_ABORT", "SQLITE_ABORT_ROLLBACK")),
            (260, ("SQLITE_ABORT", "SQLITE_ABORT")),
            (787, ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_FOREIGNKEY")),
            (1555, ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_PRIMARYKEY")),
            (2067, ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_UNIQUE")),
            (3091, ("SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_DATATYPE")),
            (8714, ("SQLITE_IOERR", "SQLITE_IOERR_IN_PAGE")),
            (99, ("SQLITE_UNKNOWN", "SQLITE_UNKNOWN")),
            (-1, ("SQLITE_UNKNOWN", "SQLITE_UNKNOWN")),
            (i32::MAX, ("SQLITE_UNKNOWN", "SQLITE_UNKNOWN")),
        ] {
            assert_eq!(names(code), expected, "{code}");
        }
    }
}
