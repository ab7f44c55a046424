// A thousand idle streams of one database, and another that is served as if they were not there: `idle.mjs URL`.
import { createClient } from "@libsql/client";
import * as hrana from "@libsql/hrana-client";
import { as, assert, run, url } from "./support.mjs";

const SOCKETS = 4;
const STREAMS = 250;

async function nobodyIsSlowedByIdleStreams() {
  const clients = Array.from({ length: SOCKETS }, () => hrana.openWs(`${as("ws")}/db/crowded/`));
  const streams = clients.flatMap((client) => Array.from({ length: STREAMS }, () => client.openStream()));
  const answers = await Promise.all(streams.map((stream, n) => stream.queryValue(["SELECT ?", [n]])));
  assert.deepEqual(answers.map(({ value }) => value), streams.map((_, n) => n));
  const quiet = createClient({ url: `${url}/db/quiet/` });
  await quiet.execute("CREATE TABLE t (x)");
  for (let n = 0; n < 100; n++) {
    await quiet.execute({ sql: "INSERT INTO t VALUES (?)", args: [n] });
  }
  assert.equal((await quiet.execute("SELECT count(*) AS n FROM t")).rows[0].n, 100);
  const again = await Promise.all(streams.map((stream) => stream.queryValue("SELECT 1")));
  assert.ok(again.every(({ value }) => value === 1));
  clients.forEach((client) => client.close());
}

await run(nobodyIsSlowedByIdleStreams);
