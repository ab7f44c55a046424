"""PyPI's libsql-client, over HTTP (Hrana 1) and over WebSocket (Hrana 2): `pypi_libsql_client.py URL SCHEME [expiry]`.

The server creates databases by name; for expiry it ends streams that are idle for a few seconds.
"""

import asyncio
import re
import sys

import libsql_client

from support import expect, run

VALUES = [
    (None, "null"),
    (2**53 + 1, "integer"),
    (2**63 - 1, "integer"),
    (-(2**63), "integer"),
    (0.1, "real"),
    (5e-324, "real"),
    ("", "text"),
    ("before\0after", "text"),
    ("grüße, мир, 世界, 👩‍👩‍👧‍👦, \U0010ffff", "text"),
    (b"", "blob"),
    (bytes(range(256)), "blob"),
]


def main(url, scheme, part="all"):
    asyncio.run(speak(re.sub("^[a-z]+:", f"{scheme}:", url), scheme, part))


async def speak(url, scheme, part):
    async with libsql_client.create_client(url) as client:
        if part == "expiry":
            return await expiry(client)
        await creates(client)
        await every_type(client)
        await batches(client)
        await errors(client)
        await many(client)
        if scheme == "ws":
            await transactions(client)
            await concurrent(url, client)
        return None


async def creates(client):
    await client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    made = await client.execute("INSERT INTO t (name) VALUES (?), (?)", ["one", "two"])
    expect((made.rows_affected, made.last_insert_rowid), (2, 2), "an insertion")
    found = await client.execute("SELECT id, name FROM t WHERE name = :name", {"name": "two"})
    expect((found.columns, tuple(found.rows[0])), (("id", "name"), (2, "two")), "a row")
    expect(found.rows[0]["name"], "two", "a column by its name")


async def every_type(client):
    for value, name in VALUES:
        row = (await client.execute("SELECT ?1, typeof(?1)", [value])).rows[0]
        expect(tuple(row), (value, name), name)


async def batches(client):
    insert = libsql_client.Statement("INSERT INTO b VALUES (?)", [1])
    results = await client.batch(["CREATE TABLE b (x UNIQUE)", insert, ("INSERT INTO b VALUES (?)", [2]), "SELECT sum(x) FROM b"])
    expect((results[1].rows_affected, tuple(results[3].rows[0])), (1, (3,)), "a batch")
    error = await failure(client.batch(["INSERT INTO b VALUES (3)", "INSERT INTO b VALUES (3)"]))
    expect(error.code.startswith("SQLITE_CONSTRAINT"), True, error.code)
    expect(tuple((await client.execute("SELECT count(*) FROM b")).rows[0]), (2,), "all or nothing")


async def errors(client):
    error = await failure(client.execute("INSERT INTO t VALUES (1, 'again')"))
    expect(error.code.startswith("SQLITE_CONSTRAINT"), True, error.code)
    error = await failure(client.execute("SELECT * FROM missing"))
    expect("no such table: missing" in str(error), True, str(error))
    expect(bool((await failure(client.execute("SELEC 1"))).code), True, "a mistake has a code")


async def many(client):
    answers = await asyncio.gather(*(client.execute("SELECT ?", [n]) for n in range(200)))
    expect([answer.rows[0][0] for answer in answers], list(range(200)), "answers, each to its question")
    numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 50000) SELECT x FROM c"
    expect(len((await client.execute(numbers)).rows), 50_000, "many rows")


async def transactions(client):
    with client.transaction() as transaction:
        await transaction.execute("INSERT INTO b VALUES (10)")
        expect(tuple((await client.execute("SELECT count(*) FROM b")).rows[0]), (2,), "nobody else sees it")
        await transaction.commit()
    with client.transaction() as transaction:
        await transaction.execute("DELETE FROM b")
        await transaction.rollback()
    with client.transaction() as transaction:
        await transaction.execute("DELETE FROM b")
    expect(tuple((await client.execute("SELECT count(*) FROM b")).rows[0]), (3,), "what was committed")


async def concurrent(url, client):
    await client.batch(["CREATE TABLE c (n INTEGER)", "INSERT INTO c VALUES (0)"])

    async def count():
        async with libsql_client.create_client(url) as own:
            for _ in range(5):
                with own.transaction() as transaction:
                    (n,) = (await transaction.execute("UPDATE c SET n = n + 1 RETURNING n")).rows[0]
                    await transaction.commit()
                    expect(n > 0, True, "a number")

    await asyncio.gather(*(count() for _ in range(6)))
    expect(tuple((await client.execute("SELECT n FROM c")).rows[0]), (30,), "one after the other")


async def expiry(client):
    await client.execute("CREATE TABLE b (x)")
    transaction = client.transaction()
    await transaction.execute("INSERT INTO b VALUES ('forgotten')")
    # Who waits for its lock gets it when it is over.
    await client.execute("INSERT INTO b VALUES ('waited')")
    error = await failure(transaction.commit())
    expect(error.code, "STREAM_EXPIRED", str(error))
    found = await client.execute("SELECT x FROM b")
    expect([row[0] for row in found.rows], ["waited"], "what is left")


async def failure(awaitable):
    try:
        await awaitable
    except libsql_client.LibsqlError as error:
        return error
    return expect(None, libsql_client.LibsqlError, "an error")


run(main, *sys.argv[1:])
