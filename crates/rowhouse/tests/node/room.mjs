// Streams that live while others need their room: `room.mjs URL`. There is room for two databases.
import { createClient } from "@libsql/client";
import * as hrana from "@libsql/hrana-client";
import { as, assert, failure, run, url } from "./support.mjs";

const open = (name) => createClient({ url: `${url}/db/${name}/` });

async function aLiveStreamKeepsItsDatabase() {
  const setup = open("held");
  await setup.execute("CREATE TABLE t (x)");
  const transaction = await setup.transaction("write");
  await transaction.execute("INSERT INTO t VALUES (1)");
  for (let other = 0; other < 6; other++) {
    await open(`other-${other}`).execute("CREATE TABLE t (x)");
  }
  const client = hrana.openWs(`${as("ws")}/db/temporary/`);
  const stream = client.openStream();
  await stream.run("CREATE TEMP TABLE own (x)");
  const refused = await failure(open("one-too-many").execute("SELECT 1"), "there is no room");
  assert.ok(refused.code, `${refused}`);
  assert.equal((await transaction.execute("SELECT count(*) AS n FROM t")).rows[0].n, 1);
  await transaction.commit();
  assert.equal((await stream.queryValue("SELECT count(*) FROM own")).value, 0);
  // What is not held any more makes room.
  await open("one-too-many").execute("CREATE TABLE t (x)");
  assert.equal((await open("held").execute("SELECT count(*) AS n FROM t")).rows[0].n, 1);
  client.close();
}

await run(aLiveStreamKeepsItsDatabase);
