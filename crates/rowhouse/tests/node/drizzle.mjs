// drizzle-orm, over HTTP and over WebSocket: `drizzle.mjs URL SCHEME`.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq, gt, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { migrate } from "drizzle-orm/libsql/migrator";
import { blob, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { as, assert, BYTES, failure, more, run, url } from "./support.mjs";

const users = sqliteTable("users", {
  id: integer("id").primaryKey({ autoIncrement: true }),
  name: text("name").notNull().unique(),
  about: text("about", { mode: "json" }),
  score: real("score").default(0.5),
  picture: blob("picture", { mode: "buffer" }),
  active: integer("active", { mode: "boolean" }).default(true),
  since: integer("since", { mode: "timestamp" }),
});
const posts = sqliteTable("posts", {
  id: integer("id").primaryKey(),
  author: integer("author").notNull().references(() => users.id),
  title: text("title").notNull(),
});
const schema = {
  users,
  posts,
  usersRelations: relations(users, ({ many }) => ({ posts: many(posts) })),
  postsRelations: relations(posts, ({ one }) => ({ author: one(users, { fields: [posts.author], references: [users.id] }) })),
};
const db = drizzle({ connection: { url: as(more[0]) }, schema });

async function migrates() {
  const folder = mkdtempSync(join(tmpdir(), "drizzle-"));
  mkdirSync(join(folder, "meta"));
  const entries = [{ idx: 0, version: "6", when: 1700000000000, tag: "0000_first", breakpoints: true }];
  writeFileSync(join(folder, "meta/_journal.json"), JSON.stringify({ version: "7", dialect: "sqlite", entries }));
  writeFileSync(join(folder, "0000_first.sql"), `CREATE TABLE users (id integer PRIMARY KEY AUTOINCREMENT NOT NULL,
    name text NOT NULL, about text, score real DEFAULT 0.5, picture blob, active integer DEFAULT true, since integer);
    --> statement-breakpoint
    CREATE UNIQUE INDEX users_name_unique ON users (name);
    --> statement-breakpoint
    CREATE TABLE posts (id integer PRIMARY KEY NOT NULL, author integer NOT NULL REFERENCES users(id), title text NOT NULL);`);
  await migrate(db, { migrationsFolder: folder });
  await migrate(db, { migrationsFolder: folder });
  rmSync(folder, { recursive: true });
}

async function writesAndReads() {
  const since = new Date(1_700_000_000_000);
  const about = { likes: ["ёжики", "🦔"], quote: '"' };
  const [made] = await db.insert(users).values({ name: "ada", about, picture: Buffer.from(BYTES), since }).returning();
  assert.deepEqual([made.id, made.score, made.active, made.since], [1, 0.5, true, since]);
  await db.insert(users).values([{ name: "grace", active: false }, { name: "mary", score: 1e300 }]);
  await db.insert(users).values({ name: "ada", score: 2.5 }).onConflictDoUpdate({ target: users.name, set: { score: 2.5 } });
  const ada = await db.select().from(users).where(eq(users.name, "ada")).get();
  assert.deepEqual([ada.about, ada.score], [about, 2.5]);
  assert.ok(Buffer.from(BYTES).equals(ada.picture));
  assert.equal((await db.update(users).set({ score: 3 }).where(gt(users.id, 1))).rowsAffected, 2);
  const all = await db.all(sql`SELECT name, score FROM ${users} ORDER BY id`);
  assert.deepEqual(all.map(({ name, score }) => [name, score]), [["ada", 2.5], ["grace", 3], ["mary", 3]]);
}

async function relates() {
  await db.insert(posts).values([{ author: 1, title: "first" }, { author: 1, title: "second" }]);
  const [ada] = await db.query.users.findMany({ with: { posts: true }, limit: 1 });
  assert.deepEqual(ada.posts.map(({ title }) => title), ["first", "second"]);
  const orphan = await failure(db.insert(posts).values({ author: 99, title: "nobody's" }), "a post of nobody");
  assert.match((orphan.cause ?? orphan).code, /^SQLITE_CONSTRAINT/);
}

async function transactions() {
  await db.transaction(async (tx) => {
    await tx.insert(users).values({ name: "kept" });
    await failure(tx.transaction(async (inner) => {
      await inner.insert(users).values({ name: "dropped" });
      inner.rollback();
    }), "a savepoint rolled back");
  });
  await failure(db.transaction(async (tx) => {
    await tx.delete(posts);
    await tx.insert(users).values({ name: "kept" });
  }), "a duplicate");
  const names = (await db.select({ name: users.name }).from(users)).map(({ name }) => name);
  assert.deepEqual([names.includes("kept"), names.includes("dropped")], [true, false]);
  assert.equal(await db.$count(posts), 2);
}

async function batches() {
  const [inserted, rows] = await db.batch([db.insert(posts).values({ author: 2, title: "third" }), db.select().from(posts)]);
  assert.deepEqual([inserted.rowsAffected, rows.length], [1, 3]);
}

await run(migrates, writesAndReads, relates, transactions, batches);
db.$client.close();
