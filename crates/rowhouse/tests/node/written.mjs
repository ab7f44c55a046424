// Whether all that was acknowledged is there: `written.mjs URL FILE`, what `write_on.mjs` wrote.
import { readFileSync } from "node:fs";
import { createClient } from "@libsql/client";
import { assert, more, url } from "./support.mjs";

const acknowledged = JSON.parse(readFileSync(more[0], "utf8"));
assert.ok(acknowledged.length >= 200);
const { rows } = await createClient({ url }).execute("SELECT x FROM t");
const there = new Set(rows.map(({ x }) => x));
const lost = acknowledged.filter((number) => !there.has(number));
assert.deepEqual(lost, [], `${lost.length} of ${acknowledged.length} are lost`);
console.log(`${acknowledged.length} were acknowledged, ${there.size} are there`);
