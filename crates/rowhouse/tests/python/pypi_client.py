"""The public sqlite_rx client, unmodified, against the default database of a fresh server.

What is expected holds for the original server of sqlite_rx 1.3.0 too, but for `health`, which that
lacks, and one line of `executemany_errors`: `pypi_client.py ADDRESS --original`.
"""

import math
import sys

from sqlite_rx.client import SQLiteClient
from sqlite_rx.exception import SQLiteRxSerializationError

from support import expect, expect_error, items, run

OPERATIONAL = "sqlite3.OperationalError"
INTEGRITY = "sqlite3.IntegrityError"
PROGRAMMING = "sqlite3.ProgrammingError"
BINDINGS = "Incorrect number of bindings supplied. The current statement uses {}, and there are {} supplied."

# (what, SQL, parameters, error type, message after the type's name)
ERRORS = [
    ("a syntax error", "SELEC 1", [], OPERATIONAL, 'near "SELEC": syntax error'),
    ("an unknown table", "SELECT * FROM nope", [], OPERATIONAL, "no such table: nope"),
    ("an unknown column", "SELECT nope FROM errors", [], OPERATIONAL, "no such column: nope"),
    ("a duplicate", "INSERT INTO errors VALUES (1, 1)", [], INTEGRITY, "UNIQUE constraint failed: errors.id"),
    ("a failed check", "INSERT INTO errors VALUES (2, -1)", [], INTEGRITY, "CHECK constraint failed: x > 0"),
    ("a wrong type", "INSERT INTO errors VALUES ('x', 1)", [], INTEGRITY, "datatype mismatch"),
    ("no parameters", "SELECT ?", [], PROGRAMMING, BINDINGS.format(1, 0)),
    ("too many parameters", "SELECT 1", [5], PROGRAMMING, BINDINGS.format(0, 1)),
    ("a list", "SELECT ?", [["x"]], PROGRAMMING, "Error binding parameter 1: type 'list' is not supported"),
    ("a dict", "SELECT ?", [{"a": 1}], PROGRAMMING, "Error binding parameter 1: type 'dict' is not supported"),
    ("the second parameter", "SELECT ?, ?", [1, []], PROGRAMMING, "Error binding parameter 2: type 'list' is not supported"),
    ("two statements", "SELECT 1; SELECT 2", [], PROGRAMMING, "You can only execute one statement at a time."),
    ("a null character", "SELECT 'a\0b'", [], PROGRAMMING, "the query contains a null character"),
    ("DELETE", "DELETE FROM errors", [], "sqlite3.DatabaseError", "not authorized"),
    ("DROP", "DROP TABLE errors", [], "sqlite3.DatabaseError", "not authorized"),
    ("a huge value", "SELECT zeroblob(2000000000)", [], "sqlite3.DataError", "string or blob too big"),
    ("invalid UTF-8", "SELECT CAST(x'ff' AS TEXT)", [], OPERATIONAL,
     "Could not decode to UTF-8 column 'CAST(x'ff' AS TEXT)' with text '\ufffd'"),
    ("COMMIT of nothing", "COMMIT", [], OPERATIONAL, "cannot commit - no transaction is active"),
    ("HEALTH_CHECK;", "HEALTH_CHECK;", [], OPERATIONAL, 'near "HEALTH_CHECK": syntax error'),
]

VALUES = [
    (2**63 - 1, "integer"),
    (-(2**63), "integer"),
    (0, "integer"),
    (1.5, "real"),
    (5e-324, "real"),
    (-1.7976931348623157e308, "real"),
    (math.inf, "real"),
    (-math.inf, "real"),
    (None, "null"),
    ("", "text"),
    ("it's \"quoted\"; --", "text"),
    ("a\0b", "text"),
    ("snow \u2603, face \U0001f600", "text"),
    ("x" * 1_000_000, "text"),
    (b"", "blob"),
    (bytes(range(256)), "blob"),
    (b"\0" * 1_000_000, "blob"),
]


def main(address, *options):
    original = "--original" in options
    with SQLiteClient(connect_address=address) as client:
        # In this order: what a reply carries depends on the statements before it.
        many_rows(client)
        counts(client)
        values(client)
        errors(client)
        executemany_errors(client, original)
        harmless(client)
        transactions(client)
        scripts(client)
        refused_by_the_client(client)
        if not original:
            health(client)


def many_rows(client):
    """On a fresh connection nothing was inserted one by one, so no `lastrowid` yet."""
    create = "CREATE TABLE many (id INTEGER PRIMARY KEY, x TEXT)"
    expect(client.execute(create), {"items": [], "error": None}, "CREATE TABLE")
    rows = [(number, f"row {number}") for number in range(1, 10_001)]
    reply = client.execute("INSERT INTO many VALUES (?, ?)", *rows, execute_many=True)
    expect(reply, {"items": [], "error": None, "rowcount": 10_000}, "execute_many of 10,000 rows")
    reply = client.execute("SELECT count(*), min(x), max(id) FROM many")
    expected = {"items": [[10_000, "row 1", 10_000]], "error": None, "lastrowid": 10_000}
    expect(reply, expected, "the first SELECT after execute_many")
    reply = client.execute("SELECT id, x FROM many ORDER BY id")
    expect(reply["items"], [list(row) for row in rows], "10,000 rows in one reply")


def counts(client):
    """`rowcount` is there after statements that begin with DML, `lastrowid` once there is one."""
    client.execute("CREATE TABLE counts (id INTEGER PRIMARY KEY, x)")

    def reply(sql, rows=(), **keys):
        expect(client.execute(sql), {"items": list(rows), "error": None, **keys}, sql)

    reply("INSERT INTO counts VALUES (1, 'a')", rowcount=1, lastrowid=1)
    reply("INSERT INTO counts VALUES (5, 'b'), (6, 'c')", rowcount=2, lastrowid=6)
    reply("SELECT x FROM counts ORDER BY id", [["a"], ["b"], ["c"]], lastrowid=6)
    reply("UPDATE counts SET x = 'd' WHERE id > 1", rowcount=2, lastrowid=6)
    reply("UPDATE counts SET x = 'd' WHERE id = 99", rowcount=0, lastrowid=6)
    reply("REPLACE INTO counts VALUES (1, 'e')", rowcount=1, lastrowid=1)
    reply("INSERT INTO counts VALUES (7, 'f') RETURNING id, x", [[7, "f"]], rowcount=1, lastrowid=7)
    reply("WITH n AS (SELECT 8 AS i) INSERT INTO counts SELECT i, 'g' FROM n", lastrowid=8)
    reply(" /* c */ -- d\n insert INTO counts VALUES (9, 'h')", rowcount=1, lastrowid=9)
    reply("CREATE TABLE copied AS SELECT 1 AS a", lastrowid=9)
    reply("SELECT 1 WHERE 0", lastrowid=9)


def values(client):
    client.execute("CREATE TABLE vals (id INTEGER PRIMARY KEY, x)")
    for id, (value, kind) in enumerate(VALUES):
        label = repr(value)[:40]
        items(client.execute("INSERT INTO vals VALUES (?, ?)", id, value), label)
        rows = items(client.execute("SELECT x, typeof(x) FROM vals WHERE id = ?", id), label)
        expect(len(rows), 1, label)
        stored, stored_kind = rows[0]
        expect(stored_kind, kind, f"type of {label}")
        expect(stored, value, label)
    for flag in (True, False):
        rows = items(client.execute("SELECT ?, typeof(?1)", flag), "bool")
        expect(rows, [[int(flag), "integer"]], "bool")
        expect(rows[0][0], int(flag), "bool")
    rows = items(client.execute("SELECT ?, typeof(?1)", math.nan), "NaN")
    expect(rows, [[None, "null"]], "NaN")


def errors(client):
    client.execute("CREATE TABLE errors (id INTEGER PRIMARY KEY, x CHECK (x > 0))")
    client.execute("INSERT INTO errors VALUES (1, 1)")
    for what, sql, params, kind, message in ERRORS:
        expect_error(client.execute(sql, *params), kind, f"{kind}: {message}", what)
    # An OperationalError in the original, whose SQLite refuses it as it runs, not as it is compiled.
    message = client.execute("SELECT load_extension('x')")["error"]["message"]
    expect("not authorized" in message, True, f"load_extension is not authorized ({message})")
    rows = items(client.execute("SELECT id, x FROM errors"), "after the errors")
    expect(rows, [[1, 1]], "the table after the errors")
    # The original repeats an earlier statement's error if this follows one directly.
    reply = client.execute("SELECT ?", 2**63)
    message = "OverflowError: Python int too large to convert to SQLite INTEGER"
    expect_error(reply, "builtins.OverflowError", message, "an integer beyond 64 bits")


def executemany_errors(client, original):
    """All rows or none; the original keeps those before the wrong one."""
    reply = client.execute("SELECT ?", (1,), (2,), execute_many=True)
    message = f"{PROGRAMMING}: executemany() can only execute DML statements."
    expect_error(reply, PROGRAMMING, message, "execute_many of a SELECT")
    client.execute("CREATE TABLE rowwise (id INTEGER PRIMARY KEY)")
    insert = "INSERT INTO rowwise VALUES (?)"
    reply = client.execute(insert, (1,), (2,), (1,), (3,), execute_many=True)
    message = f"{INTEGRITY}: UNIQUE constraint failed: rowwise.id"
    expect_error(reply, INTEGRITY, message, "execute_many with a duplicate")
    reply = client.execute(insert, (4, 5), execute_many=True)
    message = f"{PROGRAMMING}: {BINDINGS.format(1, 2)}"
    expect_error(reply, PROGRAMMING, message, "execute_many with too long a row")
    rows = items(client.execute("SELECT id FROM rowwise"), "rows before the wrong one")
    expect(rows, [[1], [2]] if original else [], "rows before the wrong one")


def harmless(client):
    """What does nothing is no error, and neither is an ignored PRAGMA."""
    for sql in ("", " ", ";", "-- comment", "PRAGMA user_version", "PRAGMA table_info(errors)",
                "SELECT * FROM pragma_table_info('errors')", "PRAGMA journal_mode = DELETE"):
        expect(items(client.execute(sql), repr(sql)), [], repr(sql))
    for sql in ("SELECT 1; -- comment", "SELECT 1;", "SELECT 1 /* open"):
        expect(items(client.execute(sql), repr(sql)), [[1]], repr(sql))


def transactions(client):
    """One client is one session: its transaction spans its requests."""
    client.execute("CREATE TABLE tx (id INTEGER PRIMARY KEY)")
    items(client.execute("BEGIN"), "BEGIN")
    message = f"{OPERATIONAL}: cannot start a transaction within a transaction"
    expect_error(client.execute("BEGIN"), OPERATIONAL, message, "BEGIN twice")
    items(client.execute("INSERT INTO tx VALUES (1)"), "INSERT in a transaction")
    items(client.execute("ROLLBACK"), "ROLLBACK")
    expect(items(client.execute("SELECT id FROM tx"), "rolled back"), [], "rolled back")
    for sql in ("BEGIN", "INSERT INTO tx VALUES (2)", "SAVEPOINT s", "INSERT INTO tx VALUES (3)",
                "ROLLBACK TO s", "COMMIT"):
        items(client.execute(sql), sql)
    expect(items(client.execute("SELECT id FROM tx"), "committed"), [[2]], "committed")


def scripts(client):
    script = """
        CREATE TABLE one (x); CREATE TABLE two (x);
        -- a comment; with a semicolon
        CREATE TABLE three (x DEFAULT ';');
        INSERT INTO one VALUES (1); SELECT * FROM one;
    """
    expect(items(client.execute(script, execute_script=True), "script"), [], "rows of a script")
    tables = "SELECT name FROM sqlite_master WHERE name IN ('one', 'two', 'three') ORDER BY name"
    rows = items(client.execute(tables), "tables of the script")
    expect(rows, [["one"], ["three"], ["two"]], "tables of the script")
    failing = "INSERT INTO one VALUES (2); SELEC; INSERT INTO one VALUES (3)"
    reply = client.execute(failing, execute_script=True)
    message = f'{OPERATIONAL}: near "SELEC": syntax error'
    expect_error(reply, OPERATIONAL, message, "a script with an error")
    rows = items(client.execute("SELECT x FROM one"), "before the error")
    expect(rows, [[1], [2]], "what the script did before its error stays")
    client.execute("BEGIN")
    client.execute("INSERT INTO one VALUES (4)")
    items(client.execute("SELECT 1", execute_script=True), "script in a transaction")
    message = f"{OPERATIONAL}: cannot rollback - no transaction is active"
    expect_error(client.execute("ROLLBACK"), OPERATIONAL, message, "a script commits what is open")


def refused_by_the_client(client):
    try:
        client.execute("SELECT 1", execute_many=True, execute_script=True)
    except ValueError as error:
        expect(str(error), "Both `execute_script` and `execute_many` cannot be True", "both modes")
    else:
        expect("no error", "ValueError", "both modes")
    try:
        client.execute("SELECT ?", 2**64)
    except SQLiteRxSerializationError:
        pass
    else:
        expect("no error", "SQLiteRxSerializationError", "2**64")
    expect(items(client.execute("SELECT 1"), "afterwards"), [[1]], "afterwards")


# The keys of HEALTH_CHECK: what the original sends, then what its documentation promises.
HEALTH = {
    "status", "timestamp", "datetime", "uptime_seconds", "version", "platform", "python_version",
    "server_type", "server_name", "server_pid", "database_name", "metrics", "connection",
    "security", "processes", "dynamic_databases", "database_count", "monitor", "database_status",
    "database_type", "database_bind_address", "database_pid", "database_backup_enabled",
    "active_dynamic_connections", "uptime", "query_count", "error_count", "last_query_time",
}
HEALTH_PARTS = {
    "metrics": {
        "query_count", "error_count", "last_query_time", "query_success_rate", "queries_per_minute",
        "total_process_restarts", "dynamic_connections_created", "dynamic_connections_evicted",
    },
    "connection": {
        "auto_connect_enabled", "auto_create_enabled", "max_connections",
        "active_dynamic_connections", "router_address",
    },
    "security": {"encryption_enabled", "zap_auth_enabled"},
    "monitor": {"enabled", "uptime_seconds", "total_restarts", "processes_watched"},
}
HEALTH_SYSTEM = {
    "cpu_percent", "cpu_count", "cpu_count_physical", "load_average", "memory_total_mb",
    "memory_available_mb", "memory_used_mb", "memory_percent", "swap_total_mb", "swap_used_mb",
    "swap_percent",
}
HEALTH_PROCESS = {
    "running", "pid", "port", "address", "database_name", "type", "uptime_seconds",
    "restart_count", "database_path", "memory_database", "backup",
}


def health(client):
    reply = client.execute("HEALTH_CHECK")
    expect(sorted(HEALTH - reply.keys()), [], "missing keys of HEALTH_CHECK")
    expect("items" in reply, False, "HEALTH_CHECK is not wrapped in items")
    for part, keys in HEALTH_PARTS.items():
        expect(sorted(keys - reply[part].keys()), [], f"missing keys of {part}")
    if "system_stats_error" not in reply:
        expect(sorted(HEALTH_SYSTEM - reply["system"].keys()), [], "missing keys of system")
        expect(len(reply["system"]["load_average"]), 3, "load averages")
    default = reply["processes"]["default"]
    expect(sorted(HEALTH_PROCESS - default.keys()), [], "missing keys of the default database")
    expect((default["running"], default["type"]), (True, "static"), "the default database")
    expect(reply["server_type"], "SQLiteMultiServer", "server_type")
    expect(reply["database_type"], "static", "database_type")
    expect(reply["database_status"], "running", "database_status")
    for key in ("query_count", "error_count"):
        expect(reply[key], reply["metrics"][key], f"{key} at both places")
    key = "active_dynamic_connections"
    expect((reply[key], reply["connection"][key]), (0, 0), f"{key} at both places")
    before = reply["query_count"]
    items(client.execute("SELECT 1"), "a counted query")
    after = client.execute("HEALTH_CHECK")["query_count"]
    expect(before < after, True, f"query_count grows ({before}, then {after})")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
