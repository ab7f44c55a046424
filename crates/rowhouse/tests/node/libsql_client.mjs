// @libsql/client, over HTTP and over WebSocket: `libsql_client.mjs URL SCHEME [expiry]`.
//
// The server creates databases by name; for expiry it ends streams that are idle for a few seconds.
import { createClient } from "@libsql/client";
import { as, assert, failure, more, run, same, url, VALUES } from "./support.mjs";

const [scheme, part] = more;
const db = createClient({ url: as(scheme), intMode: "bigint" });

async function creates() {
  assert.equal(db.protocol, scheme === "http" ? "http" : "ws");
  await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n)");
  const made = await db.execute({ sql: "INSERT INTO t (name, n) VALUES (?, ?)", args: ["one", 1n] });
  assert.deepEqual([made.rowsAffected, made.lastInsertRowid], [1, 1n]);
  const named = "INSERT INTO t (name, n) VALUES (:name, @n) RETURNING id, name";
  const two = await db.execute({ sql: named, args: { name: "two", n: 2n } });
  assert.deepEqual([two.columns, two.rows[0].id, two.rows[0].name], [["id", "name"], 2n, "two"]);
  const all = await db.execute("SELECT name, n AS twice, n + 1 FROM t ORDER BY id");
  assert.deepEqual(all.columns, ["name", "twice", "n + 1"]);
  assert.deepEqual(all.columnTypes, ["TEXT", "", ""]);
  assert.deepEqual(all.rows.map((row) => [row[0], row.twice, row[2]]), [["one", 1n, 2n], ["two", 2n, 3n]]);
  const changed = await db.execute("UPDATE t SET n = n + 1");
  assert.equal(changed.rowsAffected, 2);
  assert.equal((await db.execute("DELETE FROM t WHERE id = 2")).rowsAffected, 1);
}

async function everyType() {
  for (const [value, type] of VALUES) {
    const result = await db.execute({ sql: "SELECT ?1 AS value, typeof(?1)", args: [value] });
    same(result.rows[0].value, value, type);
    assert.equal(result.rows[0][1], type);
  }
  // As JavaScript has them.
  const plain = await db.execute({ sql: "SELECT typeof(?), ?, ?", args: [1, true, new Date(5)] });
  assert.deepEqual(Array.from(plain.rows[0]), ["real", 1n, 5]);
  // What is not finite: JSON has no word for it, and the client says so; nothing else is harmed.
  const infinite = await failure(db.execute("SELECT 9e999"), "an infinite number in JSON");
  assert.equal(infinite.code, "HRANA_PROTO_ERROR");
  const after = await db.execute("SELECT typeof(9e999), 9e999 > 1e308, typeof(9e999 - 9e999)");
  assert.deepEqual(Array.from(after.rows[0]), ["real", 1n, "null"]);
}

async function storedTypes() {
  await db.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, value)");
  await db.batch(VALUES.map(([value], id) => ({ sql: "INSERT INTO v VALUES (?, ?)", args: [id, value] })), "write");
  const { rows } = await db.execute("SELECT value, typeof(value) AS type FROM v ORDER BY id");
  rows.forEach((row, id) => {
    same(row.value, VALUES[id][0], VALUES[id][1]);
    assert.equal(row.type, VALUES[id][1]);
  });
}

async function batches() {
  const results = await db.batch(
    ["CREATE TABLE b (x UNIQUE)", { sql: "INSERT INTO b VALUES (?)", args: [1] }, ["INSERT INTO b VALUES (:x)", { x: 2 }],
      "SELECT sum(x) AS total FROM b"],
    "write",
  );
  assert.deepEqual(results.map((result) => result.rowsAffected).slice(1, 3), [1, 1]);
  assert.equal(results[3].rows[0].total, 3);
  const twice = ["INSERT INTO b VALUES (3)", "INSERT INTO b VALUES (3)", "INSERT INTO b VALUES (4)"];
  const error = await failure(db.batch(twice, "deferred"), "a batch with a duplicate");
  assert.match(error.code, /^SQLITE_CONSTRAINT/);
  assert.equal(error.statementIndex, 1);
  assert.equal((await db.execute("SELECT count(*) AS n FROM b")).rows[0].n, 2n, "all or nothing");
  const [read] = await db.batch(["SELECT count(*) AS n FROM b"], "read");
  assert.equal(read.rows[0].n, 2n);
  const refused = await failure(db.batch(["INSERT INTO b VALUES (5)"], "read"), "writing in a batch that reads");
  assert.ok(refused.code, `${refused}`);
  assert.equal((await db.execute("SELECT count(*) AS n FROM b")).rows[0].n, 2n);
  await db.executeMultiple("CREATE TABLE m (x); INSERT INTO m VALUES ('a;b'); -- a comment; no end\n INSERT INTO m VALUES (2)");
  assert.equal((await db.execute("SELECT count(*) AS n FROM m")).rows[0].n, 2n);
  await db.migrate(["CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (id REFERENCES parent)", "INSERT INTO child VALUES (7)"]);
  const foreign = await failure(db.execute("INSERT INTO child VALUES (8)"), "foreign keys are enforced again");
  assert.match(foreign.code, /^SQLITE_CONSTRAINT/);
}

async function transactions() {
  const count = async () => Number((await db.execute("SELECT count(*) AS n FROM x")).rows[0].n);
  await db.execute("CREATE TABLE x (who)");
  const kept = await db.transaction("write");
  await kept.execute("INSERT INTO x VALUES ('kept')");
  assert.equal(await count(), 0, "nobody else sees it");
  assert.equal((await kept.execute("SELECT count(*) AS n FROM x")).rows[0].n, 1n, "it sees its own");
  await kept.batch(["INSERT INTO x VALUES ('two')", "INSERT INTO x VALUES ('three')"]);
  await kept.executeMultiple("INSERT INTO x VALUES ('four'); INSERT INTO x VALUES ('five')");
  await kept.commit();
  assert.ok(kept.closed);
  assert.equal(await count(), 5);
  const dropped = await db.transaction();
  await dropped.execute("DELETE FROM x");
  await dropped.rollback();
  assert.equal(await count(), 5);
  const left = await db.transaction("write");
  await left.execute("INSERT INTO x VALUES ('left')");
  left.close();
  assert.equal((await db.execute("INSERT INTO x VALUES ('after')")).rowsAffected, 1, "its lock is gone");
  assert.equal(await count(), 6);
  const failing = await db.transaction("write");
  await failing.execute("INSERT INTO x VALUES ('before the mistake')");
  const mistake = await failure(failing.execute("INSERT INTO nowhere VALUES (1)"), "a mistake");
  assert.match(mistake.message, /no such table: nowhere/);
  await failing.execute("INSERT INTO x VALUES ('after the mistake')");
  await failing.commit();
  assert.equal(await count(), 8, "a mistake ends nothing by itself");
  const reader = await db.transaction("read");
  assert.equal((await reader.execute("SELECT count(*) AS n FROM x")).rows[0].n, 8n);
  await db.execute("INSERT INTO x VALUES ('meanwhile')");
  assert.equal((await reader.execute("SELECT count(*) AS n FROM x")).rows[0].n, 8n, "it sees one state");
  await failure(reader.execute("INSERT INTO x VALUES ('by a reader')"), "writing in a transaction that reads");
  reader.close();
  assert.equal(await count(), 9);
}

async function expiry() {
  await db.execute("CREATE TABLE x (who)");
  const forgotten = await db.transaction("write");
  await forgotten.execute("INSERT INTO x VALUES ('forgotten')");
  // Who waits for its lock gets it when it is over.
  assert.equal((await db.execute("INSERT INTO x VALUES ('waited')")).rowsAffected, 1);
  const error = await failure(forgotten.commit(), "committing what has expired");
  assert.equal(error.code, "STREAM_EXPIRED", `${error}`);
  const { rows } = await db.execute("SELECT who FROM x");
  assert.deepEqual(rows.map(({ who }) => who), ["waited"]);
}

async function concurrent() {
  await db.execute("CREATE TABLE c (n INTEGER)");
  await db.execute("INSERT INTO c VALUES (0)");
  const others = Array.from({ length: 8 }, () => createClient({ url: as(scheme), intMode: "bigint" }));
  await Promise.all(others.map(async (other) => {
    for (let round = 0; round < 5; round++) {
      const transaction = await other.transaction("write");
      const { rows } = await transaction.execute("SELECT n FROM c");
      await transaction.execute({ sql: "UPDATE c SET n = ?", args: [rows[0].n + 1n] });
      await transaction.commit();
    }
    other.close();
  }));
  assert.equal((await db.execute("SELECT n FROM c")).rows[0].n, 40n, "one after the other");
}

async function manyRows() {
  const numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 100000) ";
  const { rows } = await db.execute(`${numbers} SELECT x, 'row ' || x AS text FROM c`);
  assert.equal(rows.length, 100_000);
  assert.deepEqual([rows[99_999].x, rows[99_999].text], [100_000n, "row 100000"]);
  const many = await Promise.all(Array.from({ length: 200 }, (_, n) => db.execute({ sql: "SELECT ? AS n", args: [n] })));
  assert.deepEqual(many.map((result) => result.rows[0].n), Array.from({ length: 200 }, (_, n) => n));
}

async function errors() {
  const code = async (sql, args = []) => (await failure(db.execute({ sql, args }), sql)).code;
  assert.match(await code("INSERT INTO t (id, name) VALUES (1, 'again')"), /^SQLITE_CONSTRAINT/);
  assert.match(await code("INSERT INTO t (name) VALUES (NULL)"), /^SQLITE_CONSTRAINT/);
  const syntax = await failure(db.execute("SELEC 1"), "a mistake");
  assert.match(syntax.message, /near "SELEC": syntax error/);
  assert.ok(syntax.code);
  assert.match((await failure(db.execute("SELECT * FROM missing"), "no table")).message, /no such table: missing/);
  assert.ok(await code("SELECT 1; SELECT 2"));
  assert.ok(await code("SELECT ?, ?", [1]));
  assert.ok(await code("ATTACH 'other.db' AS other"));
  assert.ok(await code("SELECT load_extension('x')"));
  assert.equal((await db.execute("SELECT 1 AS one")).rows[0].one, 1n, "and on it goes");
}

function closes() {
  db.close();
  assert.ok(db.closed);
}

if (part === "expiry") {
  await run(expiry, closes);
} else {
  await run(creates, everyType, storedTypes, batches, transactions, concurrent, manyRows, errors, closes);
}
