//! What is read of SQL before SQLite reads it agrees with what SQLite then reads.
#![no_main]
use libfuzzer_sys::fuzz_target;
use rowhouse_engine_sqlite::fuzzing::{acts_when_compiled, counts_changes, is_blank};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Batch, Connection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fuzz_target!(|sql: &str| {
    // Refused before it is looked at.
    if sql.contains('\0') {
        return;
    }
    let mut connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch("CREATE TABLE t (a, b); CREATE VIEW v AS SELECT 1;").expect("is SQL");
    let pragma = Arc::new(AtomicBool::new(false));
    let seen = pragma.clone();
    let watch = move |context: AuthContext<'_>| {
        // A table-valued pragma is a virtual table first, and acts when it is run.
        if matches!(context.action, AuthAction::Pragma { .. }) {
            seen.store(true, Ordering::Relaxed);
        }
        Authorization::Allow
    };
    connection.authorizer(Some(watch)).expect("an authorizer");
    let mut statements = Batch::new(&connection, sql);
    let first = statements.next();
    assert_eq!(is_blank(sql), matches!(first, Ok(None)), "blank");
    let Ok(Some(statement)) = first else { return };
    if counts_changes(sql) {
        assert!(!statement.readonly(), "what is counted changes something");
    }
    if pragma.load(Ordering::Relaxed) && !sql.to_ascii_lowercase().contains("pragma_") {
        assert!(acts_when_compiled(sql), "a pragma is compiled each time");
    }
});
