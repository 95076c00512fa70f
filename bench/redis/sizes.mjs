// node sizes.mjs <port> <keys>: what Redis holds for each thing that is kept there, in bytes.
import { randomBytes, randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { RedisStore } from "../../dist/redis/index.js";
import { policyFor } from "./contenders.mjs";

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const control = new Redis({ host: "127.0.0.1", port });
const LIMIT = { requests: 1000, window: 3600 };
const DAY = 86_400;
const addresses = numbers().map((number) => `10.20.${number >> 8}.${number & 255}`);

const sizes = [
  await weigh("a key of a token bucket", limited("token-bucket", 1)),
  await weigh("a key of a token bucket of which a process holds a lease", limited("token-bucket", 1, 100)),
  await weigh("a key of a sliding window, 1 request in it", limited("sliding-window", 1)),
  await weigh("a key of a sliding window, 10 requests in it", limited("sliding-window", 10)),
  await weigh("a key of a sliding window, 100 requests in it", limited("sliding-window", 100)),
  await weigh("a session of nobody, 100 bytes of data", (store) => saveSessions(store, undefined)),
  await weigh("a session of a user, 100 bytes of data, and its place in the user's index", (store) =>
    saveSessions(store, (number) => `user-${number}`),
  ),
  await weigh("a revoked token", (store) =>
    inTurns((number) => store.revocations.revoke(randomUUID(), secondsNow() + 900 + number)),
  ),
  await weigh("a user whose tokens were all revoked", (store) =>
    inTurns((number) => store.revocations.revokeAll(`user-${number}`, Date.now(), 900)),
  ),
  await weigh("a used token that is good once", (store) =>
    inTurns(() => store.replay.claim(randomUUID(), secondsNow() + 900)),
  ),
];
process.stdout.write(`${JSON.stringify(sizes)}\n`);
process.exit();

/** The bytes of all keys that something leaves behind, for each of `count`. */
async function weigh(what, leave) {
  await control.flushall();
  const lease = leave.lease;
  // Many commands at once, and nobody waits: no deadline is to be missed here.
  const store = new RedisStore({ url: `redis://127.0.0.1:${port}`, lease, deadline: 60_000 });
  await store.open();
  await leave(store);
  let bytes = 0;
  for await (const keys of control.scanStream({ count: 1000 })) {
    // The sign of life of this process.
    const left = keys.filter((key) => !key.endsWith(":fleet"));
    for (const key of left) bytes += Number(await control.memory("USAGE", key, "SAMPLES", 0));
  }
  await store.close();
  return { what, bytes: bytes / count };
}

function limited(algorithm, requests, lease) {
  const policy = policyFor(algorithm, LIMIT);
  const leave = async (store) => {
    // With a lease the second request decides here already; what the first one asked for has then arrived.
    for (let turn = 0; turn < requests; turn++) {
      await Promise.all(addresses.map((address) => store.consume(policy, address, 1)));
    }
    if (lease !== undefined) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  return Object.assign(leave, { lease });
}

async function saveSessions(store, userOf) {
  const now = Date.now();
  const times = { lastUsedAt: now, expiresAt: now + DAY * 1000, forgetAt: now + 1_800_000 };
  await inTurns((number) => {
    const userId = userOf?.(number);
    const data = { cart: "x".repeat(89), ...(userId === undefined ? {} : { userId }) };
    const record = { ...times, createdAt: now, version: 1, data, userId };
    return store.save(randomBytes(32).toString("base64url"), record, 0);
  });
}

/** In batches of a hundred. */
async function inTurns(act) {
  for (let start = 0; start < count; start += 100) {
    await Promise.all(Array.from({ length: Math.min(100, count - start) }, (_, index) => act(start + index)));
  }
}

function numbers() {
  return Array.from({ length: count }, (_, number) => number);
}

function secondsNow() {
  return Math.floor(Date.now() / 1000);
}
