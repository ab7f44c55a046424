// @tursodatabase/serverless, and its compatible layer: `serverless.mjs URL [expiry]`.
//
// The server creates databases by name; for expiry it ends streams that are idle for a few seconds.
import { connect } from "@tursodatabase/serverless";
import { createClient } from "@tursodatabase/serverless/compat";
import { assert, failure, more, run, same, url, VALUES } from "./support.mjs";

const conn = connect({ url });

async function creates() {
  await conn.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE); INSERT INTO t VALUES (1, 'one')");
  const made = await conn.run("INSERT INTO t (name) VALUES (?)", ["two"]);
  assert.deepEqual([made.changes, Number(made.lastInsertRowid)], [1, 2]);
  assert.deepEqual(await conn.get("SELECT id, name FROM t WHERE name = :name", { name: "two" }), { id: 2, name: "two" });
  assert.equal(await conn.get("SELECT * FROM t WHERE id = 3"), undefined);
  assert.deepEqual((await conn.all("SELECT name FROM t ORDER BY id")).map(({ name }) => name), ["one", "two"]);
}

async function prepares() {
  const statement = await conn.prepare("SELECT id, name, 1 FROM t WHERE id = ?");
  assert.ok(statement.reader);
  assert.deepEqual(statement.columns().map(({ name, type }) => [name, type ?? null]), [["id", "INTEGER"], ["name", "TEXT"], ["1", null]]);
  assert.deepEqual(await statement.raw().get([1]), [1, "one", 1]);
  assert.equal((await conn.prepare("INSERT INTO t (name) VALUES (?)")).reader, false);
  await failure(conn.prepare("SELECT * FROM nope"), "no such table");
}

async function everyType() {
  for (const [value, type] of VALUES) {
    const statement = (await conn.prepare("SELECT ?1 AS value, typeof(?1) AS type")).safeIntegers();
    const row = await statement.get([value]);
    same(row.value, value, type);
    assert.equal(row.type, type);
  }
  const { infinite, type } = await conn.get("SELECT 9e999 AS infinite, typeof(9e999) AS type");
  assert.deepEqual([infinite, type], [null, "real"], "JSON has no word for what is not finite");
}

async function batches() {
  await conn.exec("CREATE TABLE b (x UNIQUE)");
  const results = await conn.batch([{ sql: "INSERT INTO b VALUES (?)", args: [1] }, "INSERT INTO b VALUES (2)", "SELECT x FROM b ORDER BY x"]);
  assert.deepEqual(results.map(({ rowsAffected }) => rowsAffected), [1, 1, 0]);
  assert.deepEqual(results[2].rows.map(({ x }) => x), [1, 2]);
  const twice = ["INSERT INTO b VALUES (3)", "INSERT INTO b VALUES (3)"];
  const error = await failure(conn.batch(twice, "immediate"), "a batch with a duplicate");
  assert.match(error.code, /^SQLITE_CONSTRAINT/);
  assert.equal((await conn.get("SELECT count(*) AS n FROM b")).n, 2, "all or nothing");
  assert.equal(conn.inTransaction, false);
}

async function transactions() {
  const insert = conn.transaction(async (names) => {
    assert.ok(conn.inTransaction);
    for (const name of names) {
      await conn.run("INSERT INTO t (name) VALUES (?)", [name]);
    }
  });
  await insert.immediate(["three", "four"]);
  assert.equal(conn.inTransaction, false);
  await failure(insert(["five", "one"]), "a transaction with a duplicate");
  assert.equal(conn.inTransaction, false);
  assert.equal((await conn.get("SELECT count(*) AS n FROM t")).n, 4);
  const doubled = conn.transactionAsync(async (tx, by) => {
    const { n } = await tx.get("SELECT count(*) AS n FROM t");
    return n * by;
  });
  assert.equal(await doubled(10), 40);
}

async function concurrent() {
  await conn.exec("CREATE TABLE c (n INTEGER); INSERT INTO c VALUES (0)");
  const counts = conn.transactionAsync(async (tx) => {
    const { n } = await tx.get("SELECT n FROM c");
    await tx.run("UPDATE c SET n = ?", [n + 1]);
  });
  await Promise.all(Array.from({ length: 20 }, () => counts.immediate()));
  assert.equal((await conn.get("SELECT n FROM c")).n, 20, "one after the other");
}

async function expiry() {
  await conn.exec("CREATE TABLE t (name)");
  await conn.exec("BEGIN IMMEDIATE");
  await conn.run("INSERT INTO t VALUES ('forgotten')");
  // Who waits for its lock gets it when it is over.
  const other = connect({ url });
  await other.run("INSERT INTO t VALUES ('waited')");
  await failure(conn.exec("COMMIT"), "committing what has expired");
  // The client has dropped its baton, for it was told.
  assert.deepEqual((await conn.all("SELECT name FROM t")).map(({ name }) => name), ["waited"]);
  await other.close();
}

async function manyRows() {
  const numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c";
  let [count, sum] = [0, 0];
  for await (const { x } of conn.iterate(numbers)) {
    count += 1;
    sum += x;
  }
  assert.deepEqual([count, sum], [100_000, 5_000_050_000]);
}

async function errors() {
  const error = await failure(conn.run("INSERT INTO t VALUES (1, 'one')"), "a duplicate");
  assert.match(error.code, /^SQLITE_CONSTRAINT/);
  assert.match((await failure(conn.all("SELEC 1"), "a mistake")).message, /syntax error/);
  assert.equal((await conn.get("SELECT 1 AS one")).one, 1);
}

async function compatible() {
  const client = createClient({ url });
  const one = await client.execute("SELECT name FROM t WHERE id = ?", [1]);
  assert.deepEqual([one.columns, one.rows[0].name], [["name"], "one"]);
  await client.batch(["INSERT INTO t (name) VALUES ('by a batch')", "DELETE FROM t WHERE name = 'by a batch'"], "write");
  const transaction = await client.transaction("write");
  await transaction.execute({ sql: "DELETE FROM t WHERE id > ?", args: [0] });
  await transaction.rollback();
  assert.equal((await client.execute("SELECT count(*) AS n FROM t")).rows[0].n, 4);
  client.close();
}

async function closes() {
  await conn.close();
}

if (more[0] === "expiry") {
  await run(expiry, closes);
} else {
  await run(creates, prepares, everyType, batches, transactions, concurrent, manyRows, errors, compatible, closes);
}
