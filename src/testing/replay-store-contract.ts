import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { strictFunction } from "../core/strict-calls.js";
import type { ReplayStore } from "../jwt/replay.js";
import { AWKWARD_TEXTS, type ContractCase, type ContractOptions, tryOne, tryTwo } from "./contract.js";
import { inAnHour, waitExactly } from "./real-time.js";

/**
 * What every `ReplayStore` must do, as cases for any test runner.
 *
 * @example
 * ```ts
 * import { it } from "vitest"; // or: import { test as it } from "node:test";
 * import { replayStoreContract } from "cello/testing";
 *
 * for (const { name, run } of replayStoreContract({ make: () => new MyReplayStore() })) it(name, run);
 * ```
 */
export const replayStoreContract = strictFunction(
  "replayStoreContract({ make, isShared })",
  function replayStoreContract(options: ContractOptions<ReplayStore>): readonly ContractCase[] {
    return [
      tryOne(options, "lets an id be used once", async (store) => {
        const id = randomUUID();
        assert.equal(await store.claim(id, inAnHour()), true);
        assert.equal(await store.claim(id, inAnHour()), false);
        assert.equal(await store.claim(id, inAnHour() + 60), false);
        assert.equal(await store.claim(`${id}2`, inAnHour()), true);
      }),
      tryOne(options, "lets one of many at once use an id", async (store) => {
        assert.equal(await firstUses([store]), 1);
      }),
      tryOne(options, "tells ids apart, whatever their characters", async (store) => {
        const suffix = randomUUID();
        for (const text of AWKWARD_TEXTS) assert.equal(await store.claim(text + suffix, inAnHour()), true, text);
        for (const text of AWKWARD_TEXTS) assert.equal(await store.claim(text + suffix, inAnHour()), false, text);
      }),
      tryOne(options, "remembers an id until its token has expired", async (store) => {
        const id = randomUUID();
        const expiresAt = Date.now() / 1000 + 0.5;
        assert.equal(await store.claim(id, expiresAt), true);
        while (Date.now() / 1000 < expiresAt) {
          assert.equal(await store.claim(id, expiresAt), false);
          await waitExactly(20);
        }
      }),
      tryOne(options, "lets no id be used whose token expired long ago", async (store) => {
        assert.equal(await store.claim(randomUUID(), Math.floor(Date.now() / 1000) - 3600), false);
      }),
      ...tryTwo(options, "lets one of many on two machines use an id", async (store, other) => {
        assert.equal(await firstUses([store, other]), 1);
      }),
    ];
  },
);

async function firstUses(stores: readonly ReplayStore[]): Promise<number> {
  const id = randomUUID();
  const claims = Array.from({ length: 50 }, (_, index) => stores[index % stores.length]?.claim(id, inAnHour()));
  return (await Promise.all(claims)).filter((isFirst) => isFirst).length;
}
