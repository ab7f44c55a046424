// Results that are larger than what the server keeps of them: `rows.mjs URL PID ROWS`.
import { readFileSync } from "node:fs";
import { assert, more, run, url } from "./support.mjs";

const [pid, count] = [more[0], Number(more[1])];
const MIB = 1 << 20;
/** The most that the server may grow by meanwhile, far below what it sends. */
const GROWTH = 16 * MIB;
const sql = `WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < ${count})
  SELECT x, hex(zeroblob(200)) AS filler FROM c`;

/** The memory that the server has, in bytes. */
function memory() {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
}

async function streams(path, body, headers, extra) {
  const before = memory();
  const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), headers });
  assert.equal(response.status, 200);
  let [lines, bytes, most, chunks] = [0, 0, before, 0];
  for await (const chunk of response.body) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
      lines += 1;
    }
    if (chunks++ % 64 === 0) {
      most = Math.max(most, memory());
    }
  }
  assert.equal(lines, count + extra);
  console.log(`${path}: ${Math.round(bytes / MIB)} MiB sent, grown by ${Math.round((most - before) / MIB)} MiB`);
  assert.ok(2 * GROWTH < bytes, "more than it may grow by");
  assert.ok(most - before < GROWTH, `grown by ${most - before} bytes`);
}

async function byCursor() {
  // The head, and the beginning and the end of the step.
  await streams("v3/cursor", { batch: { steps: [{ stmt: { sql } }] } }, {}, 3);
}

async function byQuery() {
  await streams("query", { sql }, { accept: "application/x-ndjson" }, Number(more[2] ?? 0));
}

await run(byCursor, byQuery);
