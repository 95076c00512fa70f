import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { strictFunction } from "../core/strict-calls.js";
import type { RateLimitDecision, RateLimitPolicy, RateLimitStore } from "../limits/store.js";
import { AWKWARD_TEXTS, type ContractCase, type ContractOptions, tryOne, tryTwo } from "./contract.js";
import { waitExactly } from "./real-time.js";

/** So long that nothing comes back while a case runs, in milliseconds. */
const LONG_MS = 3_600_000;
/** So short that a case can wait for it. */
const SHORT_MS = 300;

/** A key function may answer with anything that is a string: halves of surrogate pairs are not one character. */
const AWKWARD_KEYS = [...AWKWARD_TEXTS, "", "\ud800", "\udc00", "a\ud800", "\ufffd", `${"y".repeat(5000)}\udc01`];

type Algorithm = RateLimitPolicy["algorithm"];

/**
 * What every `RateLimitStore` must do, as cases for any test runner. Cases that are about time wait in
 * windows of less than a second, exactly as long as the store says.
 *
 * For stores that decide each request by themselves: one that takes units ahead (a lease) is allowed to
 * refuse earlier than this contract wants.
 *
 * @example
 * ```ts
 * import { it } from "vitest"; // or: import { test as it } from "node:test";
 * import { rateLimitStoreContract } from "cello/testing";
 *
 * for (const { name, run } of rateLimitStoreContract({ make: () => new MyStore() })) it(name, run);
 * ```
 */
export const rateLimitStoreContract = strictFunction(
  "rateLimitStoreContract({ make, isShared })",
  function rateLimitStoreContract(options: ContractOptions<RateLimitStore>): readonly ContractCase[] {
    return [
      ...countingCases(options, "token-bucket"),
      ...timeCases(options, "token-bucket"),
      ...countingCases(options, "sliding-window"),
      ...timeCases(options, "sliding-window"),
      ...adaptiveCases(options),
    ];
  },
);

function countingCases(options: ContractOptions<RateLimitStore>, algorithm: Algorithm): readonly ContractCase[] {
  const one = (name: string, trial: (store: RateLimitStore) => Promise<void>) =>
    tryOne(options, `${algorithm}: ${name}`, trial);
  return [
    one("admits the quota and refuses what is beyond", async (store) => {
      const policy = policyOf(algorithm, 5, LONG_MS);
      for (const remaining of [4, 3, 2, 1, 0]) {
        const decision = await store.consume(policy, "key", 1);
        checkShape(decision, policy);
        assert.deepEqual([decision.isAllowed, decision.remaining, decision.retryAfterMs], [true, remaining, 0]);
      }
      const refused = await store.consume(policy, "key", 1);
      checkShape(refused, policy);
      assert.deepEqual([refused.isAllowed, refused.remaining, refused.wasReduced], [false, 0, false]);
      assert.ok(refused.retryAfterMs > 0, "says when to come again");
    }),
    one("takes nothing for a refused request", async (store) => {
      const policy = policyOf(algorithm, 5, LONG_MS);
      assert.deepEqual(await admissions(store, policy, "key", [3, 3, 3, 2, 1]), [true, false, false, true, false]);
    }),
    one("never admits what costs more than the quota", async (store) => {
      const policy = policyOf(algorithm, 5, LONG_MS);
      const refused = await store.consume(policy, "key", 6);
      assert.equal(refused.isAllowed, false);
      checkShape(refused, policy);
      assert.equal((await store.consume(policy, "key", 5)).isAllowed, true);
    }),
    one("counts quotas of thousands exactly", async (store) => {
      const policy = policyOf(algorithm, 5000, LONG_MS);
      const costs = [1000, 1, 999, 2000, 1000, 1];
      assert.deepEqual(await admissions(store, policy, "key", costs), [true, true, true, true, true, false]);
    }),
    one("looks without taking", async (store) => {
      const policy = policyOf(algorithm, 5, LONG_MS);
      const unused = await store.peek(policy, "key");
      checkShape(unused, policy);
      assert.deepEqual([unused.isAllowed, unused.remaining, unused.resetMs], [true, 5, 0]);
      await store.consume(policy, "key", 3);
      for (let times = 0; times < 10; times++) await store.peek(policy, "key");
      assert.equal((await store.peek(policy, "key")).remaining, 2);
      assert.equal((await store.peek(policy, "key", 2)).isAllowed, true);
      assert.equal((await store.peek(policy, "key", 3)).isAllowed, false);
      assert.equal((await store.consume(policy, "key", 2)).isAllowed, true);
      assert.equal((await store.peek(policy, "key")).isAllowed, false);
    }),
    one("gives back what was taken, and no more", async (store) => {
      const policy = policyOf(algorithm, 5, LONG_MS);
      await store.consume(policy, "key", 5);
      await store.consume(policy, "key", -2);
      assert.deepEqual(await admissions(store, policy, "key", [2, 1]), [true, false]);
      await store.consume(policy, "unused", -3);
      assert.deepEqual(await admissions(store, policy, "unused", [5, 1]), [true, false]);
    }),
    one("charges into debt of at most another quota, if it can", async (store) => {
      if (store.charge === undefined) return;
      const policy = policyOf(algorithm, 5, LONG_MS);
      const fits = await store.charge(policy, "key", 4);
      assert.deepEqual([fits.isAllowed, fits.remaining, fits.debt ?? 0], [true, 1, 0]);
      const owed = await store.charge(policy, "key", 3);
      assert.deepEqual([owed.isAllowed, owed.remaining, owed.debt], [false, 0, 2]);
      assert.ok(owed.retryAfterMs > 0, "says when a unit is there again");
      assert.equal((await store.peek(policy, "key")).debt, 2);
      assert.equal((await store.consume(policy, "key", 1)).isAllowed, false);
      assert.equal((await store.charge(policy, "key", 1_000_000)).debt, 5);
      await store.reset(policy, "key");
      assert.deepEqual(await admissions(store, policy, "key", [5, 1]), [true, false]);
    }),
    one("forgets a key that is reset, and only that", async (store) => {
      const policy = policyOf(algorithm, 2, LONG_MS);
      await store.consume(policy, "key", 2);
      await store.consume(policy, "other", 2);
      await store.reset(policy, "key");
      await store.reset(policy, "unknown");
      assert.deepEqual(await admissions(store, policy, "key", [2, 1]), [true, false]);
      assert.equal((await store.consume(policy, "other", 1)).isAllowed, false);
    }),
    one("counts every key for itself, whatever its characters", async (store) => {
      const policy = policyOf(algorithm, 2, LONG_MS);
      for (const key of AWKWARD_KEYS) assert.equal((await store.consume(policy, key, 2)).isAllowed, true, key);
      for (const key of AWKWARD_KEYS) assert.equal((await store.consume(policy, key, 1)).isAllowed, false, key);
    }),
    one("counts every limit for itself", async (store) => {
      const [first, second] = [policyOf(algorithm, 2, LONG_MS), policyOf(algorithm, 2, LONG_MS)];
      await store.consume(first, "key", 2);
      assert.equal((await store.consume(second, "key", 2)).isAllowed, true);
    }),
    one("admits the quota of many requests at once", async (store) => {
      assert.equal(await admittedOfMany([store], policyOf(algorithm, 10, LONG_MS)), 10);
    }),
    ...tryTwo(options, `${algorithm}: two stores admit the quota together`, async (store, other) => {
      const policy = policyOf(algorithm, 10, LONG_MS);
      assert.equal(await admittedOfMany([store, other], policy), 10);
      // The other may have been told to refuse for a while, and need not ask again before.
      await store.reset(policy, "key");
      assert.equal((await store.consume(policy, "key", 10)).isAllowed, true);
      assert.equal((await other.peek(policy, "key")).isAllowed, false);
    }),
  ];
}

function timeCases(options: ContractOptions<RateLimitStore>, algorithm: Algorithm): readonly ContractCase[] {
  return [
    tryOne(options, `${algorithm}: admits who waited for retryAfterMs`, async (store) => {
      const policy = policyOf(algorithm, 5, SHORT_MS);
      for (const cost of [1, 3, 5]) {
        const refused = await useUp(store, policy, cost);
        assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= longestMs(policy), `${refused.retryAfterMs} ms`);
        await waitExactly(refused.retryAfterMs);
        assert.equal((await store.consume(policy, "key", cost)).isAllowed, true, `a cost of ${cost}`);
      }
    }),
    tryOne(options, `${algorithm}: has the whole quota again after resetMs`, async (store) => {
      const policy = policyOf(algorithm, 5, SHORT_MS);
      const { resetMs } = await store.consume(policy, "key", 4);
      assert.ok(resetMs > 0 && resetMs <= longestMs(policy), `${resetMs} ms`);
      await waitExactly(resetMs);
      const whole = await store.peek(policy, "key", 5);
      assert.deepEqual([whole.isAllowed, whole.remaining, whole.resetMs], [true, 5, 0]);
    }),
    tryOne(options, `${algorithm}: keeps the limit in every interval`, async (store) => {
      const policy = policyOf(algorithm, 8, SHORT_MS);
      const taken: Taken[] = [];
      const end = performance.now() + 4 * SHORT_MS;
      while (performance.now() < end) {
        const before = performance.now();
        const { isAllowed } = await store.consume(policy, "key", 1);
        if (isAllowed) taken.push({ before, after: performance.now() });
        await waitExactly(1);
      }
      assert.ok(taken.length > policy.requests, "what was used comes back");
      for (const [index, first] of taken.entries()) checkIntervals(policy, first, taken.slice(index));
    }),
  ];
}

function adaptiveCases(options: ContractOptions<RateLimitStore>): readonly ContractCase[] {
  return [
    tryOne(options, "token-bucket: grants what is in force under load, and says that it is less", async (store) => {
      const policy = policyOf("token-bucket", 10, LONG_MS, { isAdaptive: true, requestsInForce: 4 });
      // A store may grant a key that it does not know less than a whole quota, but not nothing.
      const admitted = await admissions(store, policy, "key", [1, 1, 1, 1, 1]);
      assert.deepEqual([admitted[0], admitted[4]], [true, false]);
      const refused = await store.consume(policy, "key", 1);
      assert.deepEqual([refused.isAllowed, refused.limit, refused.wasReduced], [false, 4, true]);
      checkShape(refused, policy);
    }),
    tryOne(options, "token-bucket: an adaptive limit without load is a plain one", async (store) => {
      const policy = policyOf("token-bucket", 4, LONG_MS, { isAdaptive: true });
      assert.deepEqual(await admissions(store, policy, "key", [1, 3]), [true, true]);
      const refused = await store.consume(policy, "key", 1);
      assert.deepEqual([refused.isAllowed, refused.limit, refused.wasReduced], [false, 4, false]);
    }),
  ];
}

/** When a unit was taken, as far as the outside can tell: between two moments. */
interface Taken {
  readonly before: number;
  readonly after: number;
}

/** @param later what was taken from `first` on */
function checkIntervals(
  { algorithm, requests, windowMs }: RateLimitPolicy,
  first: Taken,
  later: readonly Taken[],
): void {
  for (const [index, last] of later.entries()) {
    const longestMs = last.after - first.before;
    const refilled = algorithm === "token-bucket" ? (longestMs * requests) / windowMs : 0;
    if (algorithm === "sliding-window" && longestMs >= windowMs) return;
    assert.ok(index + 1 <= requests + refilled, `${index + 1} units within ${longestMs} ms`);
  }
}

/** A window, and what a store may add that counts in slots of a 256th of it and answers in whole milliseconds. */
function longestMs({ windowMs }: RateLimitPolicy): number {
  return windowMs + windowMs / 256 + 1;
}

function policyOf(
  algorithm: Algorithm,
  requests: number,
  windowMs: number,
  more: Partial<RateLimitPolicy> = {},
): RateLimitPolicy {
  return {
    id: `contract ${randomUUID()}`,
    name: "contract",
    algorithm,
    requests,
    windowMs,
    maxKeys: 1000,
    isAdaptive: false,
    requestsInForce: requests,
    ...more,
  };
}

function checkShape(decision: RateLimitDecision, policy: RateLimitPolicy): void {
  assert.equal(decision.limit, policy.requestsInForce);
  for (const name of ["remaining", "resetMs", "retryAfterMs"] as const) {
    assert.ok(Number.isFinite(decision[name]) && decision[name] >= 0, `${name} is ${decision[name]}`);
  }
  assert.ok(Number.isInteger(decision.remaining) && decision.remaining <= policy.requests);
  assert.ok(decision.resetMs <= longestMs(policy), `resetMs is ${decision.resetMs}`);
  assert.equal(typeof decision.wasReduced, "boolean");
}

async function admissions(
  store: RateLimitStore,
  policy: RateLimitPolicy,
  key: string,
  costs: readonly number[],
): Promise<readonly boolean[]> {
  const allowed: boolean[] = [];
  for (const cost of costs) allowed.push((await store.consume(policy, key, cost)).isAllowed);
  return allowed;
}

async function admittedOfMany(stores: readonly RateLimitStore[], policy: RateLimitPolicy): Promise<number> {
  const asked = Array.from({ length: 60 }, (_, index) => stores[index % stores.length]?.consume(policy, "key", 1));
  return (await Promise.all(asked)).filter((decision) => decision?.isAllowed).length;
}

/** Takes until a cost is refused, and says how. */
async function useUp(store: RateLimitStore, policy: RateLimitPolicy, cost: number): Promise<RateLimitDecision> {
  for (let times = 0; times < 1000; times++) {
    const decision = await store.consume(policy, "key", cost);
    if (!decision.isAllowed) return decision;
  }
  assert.fail("a cost is refused in the end");
}
