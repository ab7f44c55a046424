// A token for the database `acme` and every way to ask for another: `routes.mjs URL TOKEN`, the token's file.
//
// There is a database `globex`, and none that is called `nowhere`: nobody without a token for them can tell.
import { readFileSync } from "node:fs";
import { request } from "node:http";
import * as hrana from "@libsql/hrana-client";
import { as, assert, failure, more, run, url } from "./support.mjs";

const token = readFileSync(more[0], "utf8");
const { hostname, port } = new URL(url);
const execute = { stmt: { sql: "SELECT 1 AS one" } };
const pipeline = { requests: [{ type: "execute", ...execute }, { type: "close" }] };
const batch = { batch: { steps: [execute] } };
const ENDPOINTS = [
  ["POST", "/v1/execute", execute],
  ["POST", "/v1/batch", batch],
  ["POST", "/v2/pipeline", pipeline],
  ["POST", "/v3/pipeline", pipeline],
  ["POST", "/v3/cursor", batch],
  ["POST", "/v3-protobuf/pipeline", ""],
  ["POST", "/v3-protobuf/cursor", ""],
  ["POST", "/query", { sql: "SELECT 1" }],
  ["GET", "/live?table=t"],
];

/** Asks, and returns the status and the text of the answer; of a feed the status only. */
function ask(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path, headers: { authorization: `Bearer ${token}`, ...headers } };
    const asked = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => { text += chunk; });
      response.on("end", () => resolve([response.statusCode, text]));
      if (response.statusCode === 200 && path.includes("/live")) {
        response.destroy();
        resolve([200, ""]);
      }
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  });
}

/** Every way to say which database. */
const WAYS = {
  db: (name) => [`/db/${name}`, {}],
  dev: (name) => [`/dev/${name}`, {}],
  encoded: (name) => [`/db/%${name.charCodeAt(0).toString(16)}${name.slice(1)}`, {}],
  host: (name) => ["", { host: `${name}.localhost:${port}` }],
  namespace: (name) => ["", { "x-namespace": name }],
  organization: (name) => ["", { "x-org-id": name }],
};

async function itsOwn() {
  for (const way of [...Object.values(WAYS), () => ["", {}]]) {
    const [prefix, headers] = way("acme");
    const [status, text] = await ask("POST", `${prefix}/v2/pipeline`, pipeline, headers);
    assert.deepEqual([status, JSON.parse(text).results[0].type], [200, "ok"], text);
  }
}

async function noOther() {
  for (const [name, way] of Object.entries(WAYS)) {
    for (const [method, path, body] of ENDPOINTS) {
      const told = [];
      for (const database of ["globex", "nowhere"]) {
        const [prefix, headers] = way(database);
        const [status, text] = await ask(method, `${prefix}${path}`, body, headers);
        assert.equal(status, 403, `${name} ${method} ${path} for ${database}: ${status} ${text}`);
        assert.ok(!text.includes(database), text);
        told.push(text);
      }
      assert.equal(told[0], told[1], "whether it is there is not told");
    }
  }
}

async function notInPart() {
  for (const [path, headers] of [
    ["/db/acme/v2/pipeline", { "x-namespace": "globex" }],
    ["/db/globex/v2/pipeline", { "x-namespace": "acme" }],
    ["/db/acme/v2/pipeline", { host: `globex.localhost:${port}` }],
    ["/v2/pipeline", { "x-namespace": "acme", "x-org-id": "globex" }],
    ["/db/acme/../globex/v2/pipeline", {}],
  ]) {
    const [status, text] = await ask("POST", path, pipeline, headers);
    assert.ok([400, 403, 404].includes(status), `${path} ${JSON.stringify(headers)}: ${status} ${text}`);
  }
}

async function notOverWebSocket() {
  const own = hrana.openWs(`${as("ws")}/db/acme/`, token);
  assert.equal((await own.openStream().queryValue("SELECT 1")).value, 1);
  own.close();
  for (const database of ["globex", "nowhere"]) {
    const other = hrana.openWs(`${as("ws")}/db/${database}/`, token);
    await failure(other.openStream().queryValue("SELECT 1"), `a stream of ${database}`);
    other.close();
  }
}

async function noToken() {
  for (const authorization of ["", "Bearer x", "Bearer a.b.c", `Bearer ${token}x`]) {
    const headers = authorization === "" ? { authorization: [] } : { authorization };
    const [status] = await ask("POST", "/db/acme/v2/pipeline", pipeline, headers);
    assert.equal(status, 401, authorization);
  }
}

await run(itsOwn, noOther, notInPart, notOverWebSocket, noToken);
process.exit(0);
