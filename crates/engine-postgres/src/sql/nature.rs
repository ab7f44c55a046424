//! What kind of statement it is, as far as its words tell.
use crate::sql::lexer::{Kind, Lexer, Token};

/// What the words of a statement tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Its first word, in capitals.
    pub(crate) first: String,
    /// Its second word, in capitals.
    pub(crate) second: String,
    /// It has a word for changing rows.
    pub(crate) changes: bool,
    /// It has a word for what gives back rows that it changes, or is of a kind that yields rows.
    pub(crate) yields: bool,
    /// It has a word for deleting rows or dropping objects, or runs what cannot be looked into.
    pub(crate) removes: bool,
    /// It has a word for temporary objects.
    pub(crate) temporary: bool,
    /// It puts what it finds somewhere.
    pub(crate) into: bool,
    /// Which functions it calls.
    pub(crate) calls: Calls,
    /// It has come so far that names before a parenthesis are functions, whatever it began as.
    evaluates: bool,
}

/// What the functions that a statement calls may do to its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Calls {
    /// Nothing: it calls none, or only such as are known.
    #[default]
    Harmless,
    /// It is not known.
    Unknown,
    /// One of them changes the session.
    Session,
}

/// Functions, and words that are followed by a parenthesis, that leave a session as it is.
const HARMLESS: &[&str] = &[
    "abs",
    "age",
    "all",
    "and",
    "any",
    "array",
    "array_agg",
    "array_length",
    "as",
    "avg",
    "between",
    "bigint",
    "by",
    "cast",
    "ceil",
    "char",
    "char_length",
    "check",
    "coalesce",
    "concat",
    "concat_ws",
    "conflict",
    "count",
    "cube",
    "date_part",
    "date_trunc",
    "decimal",
    "dense_rank",
    "distinct",
    "exists",
    "extract",
    "filter",
    "first_value",
    "float",
    "floor",
    "foreign",
    "format",
    "from",
    "generate_series",
    "greatest",
    "group",
    "having",
    "in",
    "into",
    "index",
    "is",
    "join",
    "json_agg",
    "json_build_object",
    "jsonb_agg",
    "jsonb_build_object",
    "key",
    "lag",
    "last_value",
    "lateral",
    "lead",
    "least",
    "left",
    "length",
    "like",
    "limit",
    "lower",
    "ltrim",
    "materialized",
    "max",
    "md5",
    "min",
    "mod",
    "not",
    "now",
    "nullif",
    "numeric",
    "on",
    "or",
    "over",
    "partition",
    "position",
    "power",
    "primary",
    "random",
    "rank",
    "references",
    "regexp_replace",
    "repeat",
    "replace",
    "returning",
    "right",
    "rollup",
    "round",
    "row",
    "row_number",
    "rtrim",
    "select",
    "set",
    "sets",
    "split_part",
    "sqrt",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "table",
    "then",
    "time",
    "timestamp",
    "timestamptz",
    "to_char",
    "to_date",
    "to_jsonb",
    "to_timestamp",
    "trim",
    "trunc",
    "union",
    "unique",
    "unnest",
    "upper",
    "using",
    "values",
    "varchar",
    "varying",
    "when",
    "where",
    "with",
    "within",
    "gen_random_uuid",
    "octet_length",
    "current_database",
    "pg_sleep",
    "pg_backend_pid",
];

/// Functions that change a session. Locks of a transaction end with it and are not among them.
const SESSION: &[&str] = &[
    "set_config",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "setseed",
];

/// Words with which a statement begins that is understood here; whatever else there is may do anything.
const UNDERSTOOD: &[&str] = &[
    "",
    "SELECT",
    "VALUES",
    "TABLE",
    "WITH",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "EXPLAIN",
    "SHOW",
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "COMMENT",
    "GRANT",
    "REVOKE",
    "ANALYZE",
    "VACUUM",
    "REINDEX",
    "REFRESH",
    "LOCK",
    "COPY",
    "CHECKPOINT",
];

// === impl Nature ===

impl Nature {
    /// Reads one statement.
    pub(crate) fn of(sql: &str) -> Self {
        let mut nature = Self::default();
        let mut before: Option<Token<'_>> = None;
        for token in Lexer::new(sql) {
            if token.is_mark("(") {
                nature.see_call(before);
            }
            nature.see(&token);
            before = Some(token);
        }
        if !UNDERSTOOD.contains(&nature.first.as_str()) || nature.removes_unseen() {
            nature.calls = nature.calls.max(Calls::Unknown);
        }
        nature.removes |= nature.removes_unseen();
        nature.yields |= matches!(
            nature.first.as_str(),
            "SELECT"
                | "VALUES"
                | "TABLE"
                | "WITH"
                | "EXPLAIN"
                | "SHOW"
                | "EXECUTE"
                | "FETCH"
                | "CALL"
                | "COPY"
                | "("
        );
        nature
    }

    fn see(&mut self, token: &Token<'_>) {
        if self.first.is_empty() {
            self.first = token.text.to_ascii_uppercase();
        } else if self.second.is_empty() {
            self.second = token.text.to_ascii_uppercase();
        }
        if token.kind != Kind::Word {
            return;
        }
        match token.text.to_ascii_lowercase().as_str() {
            "insert" | "update" => self.changes = true,
            "delete" | "merge" => (self.changes, self.removes) = (true, true),
            "drop" | "truncate" => self.removes = true,
            "returning" => self.yields = true,
            "temp" | "temporary" | "pg_temp" => self.temporary = true,
            "into" => self.into = true,
            "values" | "select" | "default" | "where" => self.evaluates = true,
            _ => {}
        }
    }

    fn see_call(&mut self, called: Option<Token<'_>>) {
        let Some(called) = called.filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted)) else {
            return;
        };
        let name = called.text.trim_matches('"').to_ascii_lowercase();
        let calls = match name.as_str() {
            name if SESSION.contains(&name) => Calls::Session,
            name if HARMLESS.contains(&name) => Calls::Harmless,
            // What is made, or filled, is followed by its columns.
            _ if matches!(self.first.as_str(), "INSERT" | "CREATE") && !self.evaluates => Calls::Harmless,
            _ => Calls::Unknown,
        };
        self.calls = self.calls.max(calls);
    }

    /// Whether it runs what is hidden from view: code in quotes, or code that was stored before.
    fn removes_unseen(&self) -> bool {
        let makes_code = self.first == "CREATE"
            && matches!(self.second.as_str(), "FUNCTION" | "PROCEDURE" | "RULE" | "OR");
        makes_code || matches!(self.first.as_str(), "DO" | "CALL" | "EXECUTE")
    }

    /// Whether it is one that says when transactions begin and end.
    pub(crate) fn begins_transaction(&self) -> bool {
        matches!(self.first.as_str(), "BEGIN" | "START")
    }

    /// Whether it changes rows and nothing else: it may be repeated.
    pub(crate) fn is_data_changing(&self) -> bool {
        self.counts() || (self.first == "WITH" && self.changes)
    }

    /// Whether rows that it changes are counted as its result.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.first.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE")
    }

    /// Whether it changes nothing, as far as its words tell: what functions do they do not tell.
    pub(crate) fn is_readonly(&self) -> bool {
        match self.first.as_str() {
            "SELECT" | "VALUES" | "TABLE" | "WITH" | "(" => !self.changes && !self.into,
            "EXPLAIN" => self.second != "ANALYZE" && self.second != "(" || !self.changes,
            "" | "SHOW" => true,
            first => {
                matches!(first, "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE")
            }
        }
    }

    /// Whether a session holds something afterwards that it did not before.
    pub(crate) fn is_stateful(&self) -> bool {
        let sets =
            self.first == "SET" && !matches!(self.second.as_str(), "LOCAL" | "TRANSACTION" | "CONSTRAINTS");
        let keeps = matches!(self.first.as_str(), "LISTEN" | "PREPARE" | "DECLARE" | "LOAD");
        sets || keeps || self.temporary || self.calls == Calls::Session
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_holds_is_told_by_words() {
        for sql in [
            "SET search_path TO x",
            "CREATE TEMP TABLE t (n int)",
            "SELECT 1 INTO TEMPORARY t",
            "CREATE TABLE pg_temp.t (n int)",
            "SELECT pg_advisory_lock(1)",
            "SELECT pg_catalog.set_config('a.b', 'c', false)",
            "SELECT \"set_config\"('a.b', 'c', false)",
            "LISTEN x",
            "PREPARE p AS SELECT 1",
        ] {
            assert!(Nature::of(sql).is_stateful(), "{sql}");
        }
        for sql in [
            "SET LOCAL x = 1",
            "SET TRANSACTION READ ONLY",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT 'temp'",
        ] {
            assert!(!Nature::of(sql).is_stateful(), "{sql}");
        }
    }

    #[test]
    fn what_calls_what_is_not_known_is_told() {
        for sql in [
            "SELECT count(*), max(n) FROM t WHERE n IN (1, 2)",
            "INSERT INTO t (n) VALUES (1)",
            "CREATE TABLE t (n int)",
        ] {
            assert_eq!(Nature::of(sql).calls, Calls::Harmless, "{sql}");
        }
        for sql in [
            "SELECT mine(1)",
            "INSERT INTO t (n) VALUES (mine(1))",
            "CALL mine()",
            "DO $$ BEGIN END $$",
            "UPDATE t SET n = \"F\"(n)",
            "EXECUTE p",
        ] {
            assert_eq!(Nature::of(sql).calls, Calls::Unknown, "{sql}");
        }
    }

    #[test]
    fn what_removes_is_told() {
        for sql in [
            "delete from t",
            "WITH d AS (DELETE FROM t RETURNING n) SELECT n FROM d",
            "DROP TABLE t",
            "TRUNCATE t",
            "ALTER TABLE t DROP COLUMN n",
            "DO 'x'",
            "CREATE OR REPLACE FUNCTION f() RETURNS int AS 'x'",
        ] {
            assert!(Nature::of(sql).removes, "{sql}");
        }
        assert!(!Nature::of("SELECT 'delete', \"drop\" FROM t -- truncate").removes);
    }

    #[test]
    fn what_only_reads_is_told() {
        assert!(Nature::of("SELECT 1").is_readonly());
        assert!(
            !Nature::of("WITH w AS (INSERT INTO t VALUES (1) RETURNING n) SELECT n FROM w").is_readonly()
        );
        assert!(!Nature::of("SELECT 1 INTO t").is_readonly());
        assert!(Nature::of("WITH w AS (SELECT 1) INSERT INTO t SELECT * FROM w").is_data_changing());
        assert!(!Nature::of("SELECT 1").is_data_changing());
    }
}
