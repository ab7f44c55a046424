// What the scripts share: values of every type, and promises that must fail.
import assert from "node:assert/strict";

export { assert };

/** Arguments of the script. */
export const [url, ...more] = process.argv.slice(2);

/** The URL with another scheme. */
export function as(scheme, address = url) {
  return address.replace(/^[a-z]+:/, `${scheme}:`);
}

/** Asserts that the promise fails, and returns with what. */
export async function failure(promise, what) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `${what}: it did not fail`);
  return error;
}

/** Every byte there is. */
export const BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Values that must come back as they went, with what SQLite calls their type. */
export const VALUES = [
  [null, "null"],
  [0n, "integer"],
  [-1n, "integer"],
  [9007199254740993n, "integer"],
  [9223372036854775807n, "integer"],
  [-9223372036854775808n, "integer"],
  [0.1, "real"],
  [-1.5e-7, "real"],
  [5e-324, "real"],
  [1.7976931348623157e308, "real"],
  ["", "text"],
  ["plain", "text"],
  ["before\0after", "text"],
  ["\0", "text"],
  ["grüße, мир, 世界, 👩‍👩‍👧‍👦, \u{10FFFF}", "text"],
  ["\"quoted\" \\ back\nslash\t\u0001\u007f", "text"],
  ["x".repeat(100_000), "text"],
  [new Uint8Array(0), "blob"],
  [Uint8Array.of(0), "blob"],
  [BYTES, "blob"],
  [new Uint8Array(100_000).fill(255), "blob"],
];

/** Asserts that a value came back as it went; blobs come in several shapes. */
export function same(actual, expected, what) {
  if (expected instanceof Uint8Array) {
    const bytes = actual instanceof ArrayBuffer ? new Uint8Array(actual) : Uint8Array.from(actual);
    assert.ok(Buffer.from(bytes).equals(Buffer.from(expected)), `${what}: ${bytes.length} bytes`);
  } else if (typeof expected !== "string" || expected.length < 1000) {
    assert.deepEqual(actual, expected, what);
  } else {
    assert.ok(actual === expected, `${what}: ${actual.length} characters`);
  }
}

/** Runs the parts of a script in turn, each by its name. */
export async function run(...parts) {
  for (const part of parts) {
    try {
      await part();
    } catch (error) {
      console.error(`FAILED: ${part.name}`);
      console.error(error);
      process.exit(1);
    }
    console.log(`ok: ${part.name}`);
  }
}
