import {
  MemoryRateLimitStore,
  MemoryReplayStore,
  MemoryRevocationList,
  MemorySessionStore,
  type RateLimitDecision,
  type RateLimitStore,
  type SessionRecord,
  type SessionStore,
} from "cello";
import { RedisStore, type RedisStoreOptions } from "cello/redis";
import {
  type ContractCase,
  rateLimitStoreContract,
  replayStoreContract,
  revocationListContract,
  sessionStoreContract,
} from "cello/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SHARED_MS, sharedCluster } from "../shared/shared.js";
import { type RedisAddress, type RedisServer, startRedis } from "./server.js";

/** Cases that wait, on a machine that is busy. All begin together: nearly all of their time is waiting. */
const patience = { timeout: 60_000 } as const;

function tryAll(cases: readonly ContractCase[]): void {
  it.each(cases.map((contract) => [contract.name, contract] as const))("%s", patience, (_name, contract) =>
    contract.run(),
  );
}

describe.concurrent("the stores in memory keep the contract", () => {
  describe("of limits", () => tryAll(rateLimitStoreContract({ make: () => new MemoryRateLimitStore() })));
  describe("of sessions", () => tryAll(sessionStoreContract({ make: () => new MemorySessionStore() })));
  describe("of revocations", () => tryAll(revocationListContract({ make: () => new MemoryRevocationList() })));
  describe("of replay protection", () => tryAll(replayStoreContract({ make: () => new MemoryReplayStore() })));
});

/** Left open by those who are done with it. */
class CommonStore extends RedisStore {
  override async close(): Promise<void> {}

  end(): Promise<void> {
    return super.close();
  }
}

/**
 * The contracts. Cases of one store have it in common, so that no connection is made while others measure
 * what lasts for 300 ms; cases of two stores have two of their own.
 */
function tryRedis(options: () => RedisStoreOptions): void {
  const stores: RedisStore[] = [];
  let common: CommonStore | undefined;
  // The contract is about what a store does, not about how quickly a busy machine does it.
  const settings = () => ({ deadline: 10_000, ...options() });
  const makeCommon = () => {
    common ??= new CommonStore(settings());
    return common;
  };
  const make = () => {
    const store = new RedisStore(settings());
    stores.push(store);
    return store;
  };
  afterAll(async () => {
    await Promise.all([common?.end(), ...stores.map((store) => store.close())]);
  });
  const isShared = true;
  const tryBoth = (one: readonly ContractCase[], two: readonly ContractCase[]) => {
    const names = new Set(one.map(({ name }) => name));
    tryAll([...one, ...two.filter(({ name }) => !names.has(name))]);
  };
  describe("of limits", () =>
    tryBoth(rateLimitStoreContract({ make: makeCommon }), rateLimitStoreContract({ make, isShared })));
  describe("of sessions", () =>
    tryBoth(sessionStoreContract({ make: makeCommon }), sessionStoreContract({ make, isShared })));
  describe("of revocations", () => tryAll(revocationListContract({ make: () => make().revocations, isShared })));
  describe("of replay protection", () =>
    tryBoth(
      replayStoreContract({ make: () => makeCommon().replay }),
      replayStoreContract({ make: () => make().replay, isShared }),
    ));
}

describe.concurrent("a store in Redis keeps the contract", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  }, 60_000);
  afterAll(() => redis.stop());
  tryRedis(() => ({ url: redis.url }));
});

describe.concurrent("a store in a Redis Cluster keeps the contract", () => {
  let nodes: readonly RedisAddress[];
  beforeAll(async () => {
    nodes = await sharedCluster();
  }, SHARED_MS);
  tryRedis(() => ({ cluster: nodes.map(({ port }) => ({ host: "127.0.0.1", port })), prefix: "contract" }));
});

describe.concurrent("the contracts find", () => {
  const good: RateLimitDecision = {
    isAllowed: true,
    limit: 5,
    remaining: 4,
    resetMs: 1,
    retryAfterMs: 0,
    wasReduced: false,
  };

  it("a limit that admits everything", async () => {
    const store: RateLimitStore = { consume: () => good, peek: () => good, reset: () => {} };
    const found = await failures(rateLimitStoreContract({ make: () => store }));
    expect(found).toContain("token-bucket: admits the quota and refuses what is beyond");
    expect(found).toContain("sliding-window: admits the quota of many requests at once");
    expect(found.length).toBeGreaterThan(15);
  });

  it("sessions that are saved without a look at their version, and come back", async () => {
    const records = new Map<string, SessionRecord>();
    const store: SessionStore = {
      load: (id) => records.get(id),
      save(id, record) {
        records.set(id, record);
        return "saved";
      },
      touch: (id) => records.has(id),
      delete: (id) => void records.delete(id),
      list: () => [],
    };
    expect(await failures(sessionStoreContract({ make: () => store }))).toEqual(
      expect.arrayContaining([
        "saves onto the expected version only",
        "lets one of many saves at once onto a version",
        "shares no object with who saves and who loads",
        "touches the times and nothing else",
        "never brings a deleted session back",
        "lists the sessions of a user, and of nobody else",
      ]),
    );
  });

  it("stores that say they share and do not", async () => {
    const isShared = true;
    expect(await failures(replayStoreContract({ make: () => new MemoryReplayStore(), isShared }))).toEqual([
      "lets one of many on two machines use an id",
    ]);
    expect(await failures(sessionStoreContract({ make: () => new MemorySessionStore(), isShared }))).toEqual([
      "two stores have their sessions together",
    ]);
  }, 60_000);
});

/** The names of the cases that a store fails. */
async function failures(cases: readonly ContractCase[]): Promise<readonly string[]> {
  const outcomes = await Promise.allSettled(cases.map(({ run }) => run()));
  return cases.filter((_case, index) => outcomes[index]?.status === "rejected").map(({ name }) => name);
}
