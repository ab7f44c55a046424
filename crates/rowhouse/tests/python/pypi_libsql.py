"""PyPI's libsql, which speaks Hrana 3 over HTTP: `pypi_libsql.py URL [expiry|count]`.

The server creates databases by name; for expiry it ends streams that are idle for a few seconds.
"""

import subprocess
import sys

import libsql

from support import Unexpected, expect, run

VALUES = [
    (None, "null"),
    (0, "integer"),
    (-1, "integer"),
    (2**31 - 1, "integer"),
    (0.1, "real"),
    (5e-324, "real"),
    (1.7976931348623157e308, "real"),
    ("", "text"),
    ("plain", "text"),
    ("grüße, мир, 世界, 👩‍👩‍👧‍👦, \U0010ffff", "text"),
    ("before\0after", "text"),
    (b"", "blob"),
    (bytes(range(256)), "blob"),
]


def main(url, part="all"):
    if part == "count":
        return count(url)
    if part == "expiry":
        return expiry(url)
    connection = libsql.connect(url, auth_token="")
    creates(connection)
    every_type(connection)
    transactions(connection)
    concurrent(url)
    many_rows(connection)
    errors(connection)
    return None


def creates(connection):
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t (name) VALUES (?)", ("one",))
    expect(cursor.lastrowid, 1, "the row's id")
    cursor.executemany("INSERT INTO t (name) VALUES (?)", [("two",), ("three",)])
    connection.commit()
    found = connection.execute("SELECT id, name FROM t WHERE id > ? ORDER BY id", (1,))
    expect([column[0] for column in found.description], ["id", "name"], "columns")
    expect(found.fetchall(), [(2, "two"), (3, "three")], "rows")
    connection.executescript("CREATE TABLE s (x); INSERT INTO s VALUES (1); INSERT INTO s VALUES (2);")
    expect(connection.execute("SELECT sum(x) FROM s").fetchone(), (3,), "a script")


def every_type(connection):
    for value, name in VALUES:
        row = connection.execute("SELECT ?1, typeof(?1)", (value,)).fetchone()
        expect(row, (value, name), name)
    # The client itself binds what is longer than 32 bits as a float; it reads it as it is.
    for number in (2**53 + 1, 2**63 - 1, -(2**63)):
        row = connection.execute(f"SELECT {number}, typeof({number})").fetchone()
        expect(row, (number, "integer"), "a long integer")
    row = connection.execute("SELECT typeof(9e999), 9e999 > 1e308").fetchone()
    expect(row, ("real", 1), "what is not finite")


def transactions(connection):
    connection.execute("INSERT INTO s VALUES (3)")
    expect(connection.in_transaction, True, "DML begins a transaction")
    connection.rollback()
    expect(connection.execute("SELECT count(*) FROM s").fetchone(), (2,), "rolled back")
    connection.execute("INSERT INTO s VALUES (3)")
    connection.commit()
    expect(connection.in_transaction, False, "committed")
    expect(connection.execute("SELECT count(*) FROM s").fetchone(), (3,), "committed")


def concurrent(url):
    """Transactions that read and then write, one after the other.

    From several processes: the client waits for its answers while it holds the interpreter.
    """
    connection = libsql.connect(url, auth_token="", isolation_level=None)
    connection.execute("CREATE TABLE c (n INTEGER)")
    connection.execute("INSERT INTO c VALUES (0)")
    others = [subprocess.Popen([sys.executable, __file__, url, "count"]) for _ in range(4)]
    expect([other.wait() for other in others], [0] * 4, "the others")
    expect(connection.execute("SELECT n FROM c").fetchone(), (20,), "one after the other")


def count(url):
    own = libsql.connect(url, auth_token="", isolation_level=None)
    for _ in range(5):
        own.execute("BEGIN IMMEDIATE")
        (n,) = own.execute("SELECT n FROM c").fetchone()
        own.execute("UPDATE c SET n = ?", (n + 1,))
        own.execute("COMMIT")


def many_rows(connection):
    numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c"
    cursor = connection.execute(numbers)
    expect(cursor.fetchmany(3), [(1,), (2,), (3,)], "the first")
    expect(len(cursor.fetchall()), 99_997, "the others")


def errors(connection):
    fails(connection, "INSERT INTO t VALUES (1, 'again')", "UNIQUE constraint failed")
    fails(connection, "SELECT * FROM missing", "no such table: missing")
    fails(connection, "SELEC 1", "syntax error")
    connection.rollback()
    expect(connection.execute("SELECT 1").fetchone(), (1,), "and on it goes")


def fails(connection, sql, message):
    try:
        connection.execute(sql).fetchall()
    except Exception as error:  # noqa: BLE001 - the client's errors have no common class
        expect(message in str(error), True, f"{sql}: {error}")
    else:
        raise Unexpected(f"{sql}: no error")


def expiry(url):
    other, own = (libsql.connect(url, auth_token="", isolation_level=None) for _ in range(2))
    other.execute("CREATE TABLE s (x)")
    own.execute("BEGIN IMMEDIATE")
    own.execute("INSERT INTO s VALUES ('forgotten')")
    # Who waits for its lock gets it when it is over.
    other.execute("INSERT INTO s VALUES ('waited')")
    fails(own, "COMMIT", "STREAM_EXPIRED")
    expect(other.execute("SELECT x FROM s").fetchall(), [("waited",)], "what is left")


run(main, *sys.argv[1:])
