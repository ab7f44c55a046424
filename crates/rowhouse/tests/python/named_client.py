"""The rowhouse_sqlite_rx client, and raw requests with a `database_name`, against a server of many.

`named_client.py ADDRESS ROOT`: the server has --auto-connect, --auto-create, --max-connections 4
and a data directory somewhere below ROOT, where nothing else changes.
"""

import pathlib
import sys
import time

from rowhouse_sqlite_rx import SQLiteClient

from support import ROUTER_ERROR, Unexpected, Wire, expect, expect_error, items, run

ROOM = 4

HOSTILE_NAMES = [
    "../x", "a/b", "/etc/passwd", "a\\b", "..\\x", ".", "..", "...", "%2e", "%2e%2e%2fx", "a?b",
    "a#b", "a?mode=ro", "file:a", "a\0b", "a\n", "\n", "a\r\n", " ", "a b", " a", "a ", "é", "ａ",
    "\u202ea", "\U0001f600", "a.db", ".rowhouse", ".rowhouse/format", "a:b", "a*", "a;b", "a'b",
    'a"b', "$HOME", "~", "x" * 65, "CON", "nul", "com1",
]

# (database_name, what the original's router says to it)
WRONG_TYPES = [
    (5, "object of type 'int' has no len()"),
    (True, "object of type 'bool' has no len()"),
    (["a"], "unhashable type: 'list'"),
    ({"a": 1}, "unhashable type: 'dict'"),
    (b"abc", "cannot use a string pattern on a bytes-like object"),
]


def main(address, root):
    documented_example(address)
    parameters(address)
    own_rows_only(address)
    evictions(address)
    health(address)
    hostile_names(address, pathlib.Path(root))
    case_of_letters(address)
    transactions(address)
    transaction_of_a_client_that_leaves(address)


def documented_example(address):
    client = SQLiteClient(connect_address=address, database_name="user123")
    create = "CREATE TABLE IF NOT EXISTS my_table (id INTEGER PRIMARY KEY, data TEXT)"
    expect(client.execute(create)["error"], None, "CREATE TABLE")
    reply = client.execute("INSERT INTO my_table (data) VALUES (?)", ("Example data",))
    expected = {"items": [], "error": None, "rowcount": 1, "lastrowid": 1}
    expect(reply, expected, "INSERT with a tuple")
    rows = client.execute("SELECT * FROM my_table")["items"]
    expect(rows, [[1, "Example data"]], "SELECT")
    info = client.execute("HEALTH_CHECK")
    expect(info["active_dynamic_connections"], 1, "active_dynamic_connections")
    expect(info["dynamic_databases"]["user123"]["running"], True, "running")
    client.cleanup()


def parameters(address):
    with SQLiteClient(address, database_name="params") as client:
        client.execute("CREATE TABLE t (a, b)")
        insert = "INSERT INTO t VALUES (?, ?)"
        calls = [
            client.execute(insert, 1, "splat"),
            client.execute(insert, (2, "tuple")),
            client.execute(insert, [3, "list"]),
            client.execute("INSERT INTO t VALUES (:a, :b)", {"a": 4, "b": "named"}),
            client.execute(insert, [(5, "many"), (6, "many")], execute_many=True),
            client.execute(insert, (7, "many"), (8, "many"), execute_many=True),
            client.execute(insert, [(9, "one")], execute_many=True),
            client.execute(insert, (10, "one"), execute_many=True),
        ]
        for number, reply in enumerate(calls):
            expect(reply["error"], None, f"call {number}")
        expect([reply["rowcount"] for reply in calls], [1, 1, 1, 1, 2, 2, 1, 1], "rowcounts")
        rows = items(client.execute("SELECT a FROM t ORDER BY a"), "all rows")
        expect(rows, [[number] for number in range(1, 11)], "all rows")


def own_rows_only(address):
    """25 databases in room for 4: each keeps its row and sees no other."""
    names = [f"tenant-{number}" for number in range(25)]
    for name in names:
        with SQLiteClient(address, database_name=name) as client:
            items(client.execute("CREATE TABLE own (name TEXT)"), name)
            items(client.execute("INSERT INTO own VALUES (?)", (name,)), name)
    for name in names:
        with SQLiteClient(address, database_name=name) as client:
            rows = items(client.execute("SELECT name FROM own"), name)
            expect(rows, [[name]], f"the rows of {name}")


def evictions(address):
    """The least recently used goes first, and a use counts, whatever it is."""
    with Wire(address) as wire:
        for name in ("lru-a", "lru-b", "lru-c", "lru-d", "lru-a", "lru-e"):
            wire.rows("SELECT 1", database_name=name)
        wire.ask("HEALTH_CHECK", database_name="lru-c")
        expect(open_databases(wire), ["lru-a", "lru-c", "lru-d", "lru-e"], "open after 5 names")
        wire.rows("SELECT 1", database_name="lru-f")
        expect(open_databases(wire), ["lru-a", "lru-d", "lru-e", "lru-f"], "open after 6 names")


def open_databases(wire):
    return sorted(wire.ask("HEALTH_CHECK")["dynamic_databases"])


def health(address):
    with Wire(address) as wire:
        wire.rows("SELECT 1", database_name="user123")
        info = wire.ask("HEALTH_CHECK", database_name="user123")
        expect(info["database_type"], "dynamic", "database_type")
        expect(info["database_status"], "running", "database_status")
        expect(info["dynamic_databases"]["user123"]["type"], "dynamic", "type of user123")
        expect(info["connection"]["max_connections"], ROOM, "max_connections")
        expect(info["connection"]["auto_connect_enabled"], True, "auto_connect_enabled")
        expect(info["connection"]["auto_create_enabled"], True, "auto_create_enabled")
        metrics = info["metrics"]
        created, evicted = (metrics[f"dynamic_connections_{what}"] for what in ("created", "evicted"))
        expect(created - evicted, ROOM, f"created ({created}) less evicted ({evicted})")
        for key in ("data_directory", "storage"):
            expect(key in info, True, f"HEALTH_CHECK has {key}")
        info = wire.ask("HEALTH_CHECK", database_name="never-used")
        expect(info.get("database_error"), "Database 'never-used' not found", "an unknown name")
        expect("never-used" in wire.ask("HEALTH_CHECK")["dynamic_databases"], False, "creates nothing")


def hostile_names(address, root):
    before = files(root)
    with Wire(address) as wire:
        opened = open_databases(wire)
        for name in HOSTILE_NAMES:
            reply = wire.ask("CREATE TABLE t (x)", database_name=name)
            expect_error(reply, ROUTER_ERROR, f"Database '{name}' not found", repr(name))
        reply = wire.ask("SELECT 1", database_name="x" * 100_000)
        expect(reply["error"]["type"], ROUTER_ERROR, "a name of 100,000 letters")
        for name, why in WRONG_TYPES:
            reply = wire.ask("CREATE TABLE t (x)", database_name=name)
            expect_error(reply, ROUTER_ERROR, f"Error processing request: {why}", repr(name))
        expect(wire.rows("SELECT 1", database_name=""), [[1]], "the empty name is the default")
        expect(open_databases(wire), opened, "hostile names open and evict nothing")
        wire.rows("SELECT 1", database_name="x" * 64)
    created = [name for name in files(root) - before if not name.endswith(("-wal", "-shm"))]
    expect([pathlib.Path(name).name for name in created], ["x" * 64 + ".db"], "files created")


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def case_of_letters(address):
    with Wire(address) as wire:
        wire.rows("CREATE TABLE t (x)", database_name="Acme")
        reply = wire.ask("SELECT * FROM t", database_name="acme")
        expect(reply["error"]["type"], ROUTER_ERROR, "a name that differs by case only")
        wire.rows("SELECT * FROM t", database_name="Acme")


def transactions(address):
    """Nobody else is in a transaction, and everybody sees what it committed."""
    name = {"database_name": "transactions"}
    with Wire(address) as one, Wire(address) as other:
        one.rows("CREATE TABLE t (x)", **name)
        one.rows("BEGIN", **name)
        one.rows("INSERT INTO t VALUES (1)", **name)
        expect(one.rows("SELECT x FROM t", **name), [[1]], "inside its transaction")
        expect(other.rows("SELECT x FROM t", **name), [], "outside, before COMMIT")
        kind = "sqlite3.OperationalError"
        message = f"{kind}: cannot commit - no transaction is active"
        expect_error(other.ask("COMMIT", **name), kind, message, "COMMIT by another client")
        one.rows("COMMIT", **name)
        expect(other.rows("SELECT x FROM t", **name), [[1]], "outside, after COMMIT")
        other.rows("INSERT INTO t VALUES (2)", **name)
        one.rows("BEGIN", **name)
        expect(len(one.rows("SELECT x FROM t", **name)), 2, "the second transaction")
        elsewhere = {"database_name": "elsewhere"}
        reply = one.ask("SELECT 1", **elsewhere)
        one.rows("ROLLBACK", **name)
        expect(reply["items"] in ([], [[1]]), True, "another database amid a transaction")


def transaction_of_a_client_that_leaves(address):
    name = {"database_name": "leaving"}
    leaving = Wire(address)
    leaving.rows("CREATE TABLE t (x)", **name)
    leaving.rows("BEGIN IMMEDIATE", **name)
    leaving.rows("INSERT INTO t VALUES (1)", **name)
    leaving.close()
    with Wire(address) as other:
        deadline = time.monotonic() + 10
        while other.ask("INSERT INTO t VALUES (2)", **name)["error"]:
            if deadline < time.monotonic():
                raise Unexpected("the transaction of a client that left was not rolled back")
        expect(other.rows("SELECT x FROM t", **name), [[2]], "after the client left")


if __name__ == "__main__":
    run(main, *sys.argv[1:])
