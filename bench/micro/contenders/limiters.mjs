// One decision of a limiter that holds many keys. Every contender keeps its counts in this process.
const LOOKUPS = 1_000_000;

/** @param params.keys how many clients there are */
export const contenders = {
  async "cello token bucket"({ keys }) {
    return celloContender("token-bucket", keys);
  },
  async "cello sliding window"({ keys }) {
    return celloContender("sliding-window", keys);
  },
  async "rate-limiter-flexible"({ keys }) {
    const { RateLimiterMemory } = await import("rate-limiter-flexible");
    const { requests, window } = limitFor(keys);
    const limiter = new RateLimiterMemory({ points: requests, duration: window });
    return contender(keys, true, (key) => limiter.consume(key));
  },
  async "express-rate-limit"({ keys }) {
    const { MemoryStore } = await import("express-rate-limit");
    const store = new MemoryStore();
    store.init({ windowMs: limitFor(keys).window * 1000 });
    return contender(keys, true, (key) => store.increment(key));
  },
  async "@fastify/rate-limit"({ keys }) {
    const { default: LocalStore } = await import("@fastify/rate-limit/store/LocalStore.js");
    const { requests, window } = limitFor(keys);
    // By default it forgets all but 5,000 keys; the others keep what they were asked to count.
    const store = new LocalStore(false, false, Math.max(5000, 2 * keys));
    let answer;
    const remember = (_error, result) => {
      answer = result;
    };
    return contender(keys, false, (key) => {
      store.incr(key, remember, window * 1000, requests);
      return answer;
    });
  },
};

async function celloContender(algorithm, keys) {
  const { createMemoryCounts } = await import("../../../dist/limits/memory/store.js");
  const { systemClock } = await import("../../../dist/core/clock.js");
  const { requests, window } = limitFor(keys);
  const policy = {
    id: "bench",
    name: "bench",
    algorithm,
    requests,
    windowMs: window * 1000,
    maxKeys: Math.max(10, 2 * keys),
    isAdaptive: false,
    requestsInForce: requests,
  };
  const limit = createMemoryCounts(policy, systemClock);
  return contender(keys, false, (key) => {
    const decision = limit.consume(key, 1);
    if (!decision.isAllowed) throw new Error("the limit was to admit everything");
    return decision;
  });
}

/** Ample enough to admit everything, and small enough that keys stay in use: what is unused costs nothing anywhere. */
function limitFor(keys) {
  return keys === 1 ? { requests: 100_000_000, window: 86_400 } : { requests: 10_000, window: 86_400 };
}

function contender(keys, isAsync, decide) {
  let lookups;
  return {
    isAsync,
    /** One decision for each key, with strings that nobody else holds. */
    async fill() {
      for (let number = 0; number < keys; number++) {
        const answer = decide(address(number));
        if (isAsync) await answer;
      }
    },
    prepare() {
      lookups = keys === 1 ? [address(0)] : shuffledAddresses(keys);
    },
    op: (turn) => decide(lookups[turn % lookups.length]),
    keep: decide,
  };
}

/** The address of a client as a flat string of its own, as a socket gives it. */
function address(number) {
  const spread = Math.imul(number, 0x9e3779b1) >>> 0;
  return Buffer.from(
    `${spread >>> 24}.${(spread >>> 16) & 255}.${(spread >>> 8) & 255}.${spread & 255}`,
    "latin1",
  ).toString("latin1");
}

/** A million lookups in no order, each with a string of its own: nothing has its hash yet. */
function shuffledAddresses(keys) {
  let state = 0x2545f491;
  return Array.from({ length: LOOKUPS }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return address((state >>> 0) % keys);
  });
}
