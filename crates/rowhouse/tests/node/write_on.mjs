// Writes until the server is gone: `write_on.mjs URL FILE`. Prints a line once it is well under way; then FILE has
// the numbers that were acknowledged.
import { writeFileSync } from "node:fs";
import { createClient } from "@libsql/client";
import { more, url } from "./support.mjs";

const acknowledged = [];
let next = 0;

async function write(client) {
  for (;;) {
    const number = next++;
    await client.execute({ sql: "INSERT INTO t VALUES (?)", args: [number] });
    acknowledged.push(number);
    if (acknowledged.length === 200) {
      console.log("under way");
    }
  }
}

await createClient({ url }).execute("CREATE TABLE t (x)");
await Promise.allSettled(Array.from({ length: 16 }, () => write(createClient({ url }))));
writeFileSync(more[0], JSON.stringify(acknowledged));
