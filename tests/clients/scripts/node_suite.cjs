// node's pg against a server: node node_suite.cjs URL. Any failed assertion ends it with status 1.
"use strict";
const assert = require("node:assert");
const { Client, Pool } = require("pg");

async function values(client) {
  const row = async (sql, params) => (await client.query(sql, params)).rows[0];
  assert.deepStrictEqual(await row("SELECT 1 AS a, 'x' AS b, NULL AS c, true AS d"), { a: 1, b: "x", c: null, d: true });
  assert.deepStrictEqual(await row("SELECT $1::int8 AS n", ["9007199254740993"]), { n: "9007199254740993" });
  assert.deepStrictEqual(await row("SELECT $1::float8 AS x", [0.1]), { x: 0.1 });
  assert.deepStrictEqual(await row("SELECT $1::bytea AS b", [Buffer.from([0, 255])]), { b: Buffer.from([0, 255]) });
  const at = new Date("2024-02-29T01:02:03.456Z");
  assert.deepStrictEqual((await row("SELECT $1::timestamptz AS t", [at])).t, at);
}

async function statements(client) {
  await client.query("DROP TABLE IF EXISTS client_node");
  await client.query("CREATE TABLE client_node (id int PRIMARY KEY, name text)");
  for (let i = 0; i < 50; i++) {
    const done = await client.query({ name: "insert", text: "INSERT INTO client_node VALUES ($1, $2)", values: [i, `n${i}`] });
    assert.strictEqual(done.rowCount, 1);
  }
  const both = await client.query("SELECT count(*)::int AS n FROM client_node; SELECT max(id) AS m FROM client_node");
  assert.deepStrictEqual(both.map((r) => r.rows[0]), [{ n: 50 }, { m: 49 }]);
  await assert.rejects(client.query("INSERT INTO client_node VALUES (1, 'again')"), (e) => {
    assert.strictEqual(e.code, "23505");
    assert.strictEqual(e.constraint, "client_node_pkey");
    assert.strictEqual(e.detail, "Key (id)=(1) already exists.");
    return true;
  });
  await client.query("DROP TABLE client_node");
}

async function pool(url) {
  const pool = new Pool({ connectionString: url, max: 8 });
  const sums = await Promise.all(
    Array.from({ length: 100 }, (_, i) => pool.query("SELECT $1::int4 + 1 AS n", [i]).then((r) => r.rows[0].n)),
  );
  assert.deepStrictEqual(sums, Array.from({ length: 100 }, (_, i) => i + 1));
  await pool.end();
}

async function main() {
  const url = process.argv[2];
  const client = new Client({ connectionString: url });
  await client.connect();
  await values(client);
  await statements(client);
  await client.end();
  await pool(url);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
