// @libsql/hrana-client, Hrana 3 in protobuf and Hrana 2 in JSON: `hrana_client.mjs URL SCHEME VERSION [expiry]`.
//
// The server creates databases by name; for expiry it ends streams that are idle for a few seconds.
import * as hrana from "@libsql/hrana-client";
import { as, assert, failure, more, run, same, url, VALUES } from "./support.mjs";

const [scheme, version, part] = [more[0], Number(more[1]), more[2]];

function open(address = as(scheme)) {
  const client = scheme === "http"
    ? hrana.openHttp(address, undefined, undefined, undefined, version)
    : hrana.openWs(address, undefined, version);
  client.intMode = "bigint";
  return client;
}

const client = open();
const stream = client.openStream();

async function agrees() {
  assert.equal(await client.getVersion(), version);
}

async function everyType() {
  for (const [value, type] of VALUES) {
    const row = await stream.queryRow(["SELECT ? AS value", [value]]);
    assert.deepEqual(row.columnNames, ["value"]);
    same(row.row.value, value, type);
    assert.equal((await stream.queryValue(["SELECT typeof(?)", [value]])).value, type);
  }
  if (version === 3) {
    const { row } = await stream.queryRow("SELECT 9e999, -9e999");
    assert.deepEqual([row[0], row[1]], [Infinity, -Infinity]);
  }
}

async function executes() {
  await stream.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y)");
  const made = await stream.run(["INSERT INTO t (x) VALUES (:x), (:x)", { x: "a" }]);
  assert.deepEqual([made.affectedRowCount, made.lastInsertRowid], [2, 2n]);
  const { rows, columnNames, columnDecltypes } = await stream.query("SELECT id, x, 1 AS one FROM t ORDER BY id");
  assert.deepEqual([columnNames, rows.length], [["id", "x", "one"], 2]);
  assert.deepEqual(columnDecltypes, ["INTEGER", "TEXT", undefined]);
  assert.equal((await stream.queryRow("SELECT 1 WHERE 0")).row, undefined);
  await stream.sequence("CREATE TABLE s (x); INSERT INTO s VALUES (1); INSERT INTO s VALUES (2);");
  assert.equal((await stream.queryValue("SELECT count(*) FROM s")).value, 2n);
  const partly = await failure(stream.sequence("INSERT INTO s VALUES (3); INSERT INTO nope VALUES (1)"), "a mistake");
  assert.match(partly.message, /no such table: nope/);
  assert.equal((await stream.queryValue("SELECT count(*) FROM s")).value, 3n, "what came before it stays");
}

async function describes() {
  const about = await stream.describe("SELECT id, x FROM t WHERE id = :id AND x = ?2");
  assert.deepEqual(about.paramNames, [":id", "?2"]);
  assert.deepEqual(about.columns.map((column) => [column.name, column.decltype]), [["id", "INTEGER"], ["x", "TEXT"]]);
  assert.deepEqual([about.isExplain, about.isReadonly], [false, true]);
  assert.equal((await stream.describe("INSERT INTO t (x) VALUES (1)")).isReadonly, false);
  assert.equal((await stream.describe("EXPLAIN SELECT 1")).isExplain, true);
  await failure(stream.describe("SELECT * FROM nope"), "no such table");
}

async function storesSql() {
  const owner = scheme === "http" ? stream : client;
  const stored = owner.storeSql("SELECT ? * 2");
  assert.equal((await stream.queryValue([stored, [21]])).value, 42);
  assert.equal((await stream.describe(stored)).isReadonly, true);
  stored.close();
}

async function batches() {
  const batch = stream.batch(version === 3);
  const results = [];
  const step = (sql, condition) => {
    const made = condition === undefined ? batch.step() : batch.step().condition(condition);
    results.push(made.queryValue(sql).then((result) => result?.value, (error) => error.code));
    return made;
  };
  const { and, error, not, ok, or } = hrana.BatchCond;
  const first = step("SELECT 1");
  const wrong = step("SELECT nope");
  step("SELECT 3", ok(first));
  step("SELECT 4", error(first));
  step("SELECT 5", error(wrong));
  step("SELECT 6", and(batch, [ok(first), not(ok(wrong))]));
  step("SELECT 7", or(batch, [ok(wrong), error(first)]));
  if (version === 3) {
    step("SELECT 8", hrana.BatchCond.isAutocommit(batch));
    step("SELECT 9", not(hrana.BatchCond.isAutocommit(batch)));
  }
  await batch.execute();
  const [one, mistake, three, four, five, six, seven, ...rest] = await Promise.all(results);
  assert.ok(typeof mistake === "string" && mistake.length > 0);
  assert.deepEqual([one, three, four, five, six, seven], [1n, 3n, undefined, 5n, 6n, undefined]);
  assert.deepEqual(rest, version === 3 ? [8n, undefined] : []);
}

async function manyRows() {
  const numbers = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 100000) SELECT x FROM c";
  const batch = stream.batch(version === 3);
  const rows = batch.step().query(numbers);
  const fails = failure(batch.step().run("SELECT nope"), "a mistake after many rows");
  const last = batch.step().queryValue("SELECT 'last'");
  await batch.execute();
  assert.equal((await rows).rows.length, 100_000);
  assert.equal((await rows).rows[99_999][0], 100_000n);
  await fails;
  assert.equal((await last).value, "last");
}

async function transactions() {
  const other = client.openStream();
  await stream.run("BEGIN IMMEDIATE");
  await stream.run("INSERT INTO s VALUES (4)");
  if (version === 3) {
    assert.deepEqual([await stream.getAutocommit(), await other.getAutocommit()], [false, true]);
  }
  assert.equal((await other.queryValue("SELECT count(*) FROM s")).value, 3n);
  await stream.run("SAVEPOINT a");
  await stream.run("INSERT INTO s VALUES (5)");
  await stream.run("ROLLBACK TO a");
  await stream.run("COMMIT");
  assert.equal((await other.queryValue("SELECT count(*) FROM s")).value, 4n);
  await other.run("CREATE TEMP TABLE own (x)");
  assert.equal((await other.queryValue("SELECT count(*) FROM own")).value, 0n, "what is temporary stays with its stream");
  await failure(stream.queryValue("SELECT count(*) FROM own"), "and with no other");
  await other.run("BEGIN");
  await other.run("INSERT INTO s VALUES (6)");
  other.close();
  assert.equal((await stream.run("INSERT INTO s VALUES (7)")).affectedRowCount, 1, "closing ends a transaction");
  assert.equal((await stream.queryValue("SELECT count(*) FROM s")).value, 5n);
}

async function pipelines() {
  const own = client.openStream();
  const values = Array.from({ length: 300 }, (_, n) => own.queryValue(["SELECT ?", [BigInt(n)]]));
  const mistake = failure(own.run("SELECT nope"), "in the middle of others");
  const after = own.queryValue("SELECT 'after'");
  own.closeGracefully();
  assert.deepEqual((await Promise.all(values)).map(({ value }) => value), Array.from({ length: 300 }, (_, n) => BigInt(n)));
  assert.ok(await mistake instanceof hrana.ResponseError);
  assert.equal((await after).value, "after");
  const streams = Array.from({ length: 50 }, () => client.openStream());
  const answers = await Promise.all(streams.map((one, n) => one.queryValue(["SELECT ?", [BigInt(n)]])));
  assert.deepEqual(answers.map(({ value }) => value), streams.map((_, n) => BigInt(n)));
  streams.forEach((one) => one.close());
}

async function expiry() {
  await stream.run("CREATE TABLE s (x)");
  const forgotten = client.openStream();
  await forgotten.run("BEGIN IMMEDIATE");
  await forgotten.run("INSERT INTO s VALUES ('forgotten')");
  // Who waits for its lock gets it when it is over.
  assert.equal((await stream.run("INSERT INTO s VALUES ('waited')")).affectedRowCount, 1);
  const error = await failure(forgotten.run("COMMIT"), "committing what has expired");
  assert.equal(error.code, "STREAM_EXPIRED", `${error}`);
  assert.equal((await stream.queryValue("SELECT group_concat(x) FROM s")).value, "waited");
}

if (part === "expiry") {
  await run(agrees, expiry);
} else {
  await run(agrees, everyType, executes, describes, storesSql, batches, manyRows, transactions, pipelines);
}
client.close();
