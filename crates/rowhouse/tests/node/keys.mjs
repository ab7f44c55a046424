// Makes a pair of keys and a token for one database: `keys.mjs PUBLIC TOKEN DATABASE`, the first two files to write.
import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";

const [publicFile, tokenFile, database] = process.argv.slice(2);
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
writeFileSync(publicFile, publicKey.export({ type: "spki", format: "pem" }));
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const exp = Math.floor(Date.now() / 1000) + 3600;
const claims = { exp, databases: [database], scopes: ["read", "write", "create"] };
const text = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
const signature = sign(null, Buffer.from(text), privateKey).toString("base64url");
writeFileSync(tokenFile, `${text}.${signature}`, { mode: 0o600 });
