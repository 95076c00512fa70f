import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import fc, { runs } from "../../test/fast-check.js";
import { FakeClient, FakeServer, fakeRequest, laterStore } from "../../test/sessions/client.js";
import { StoreUnavailableError } from "../core/errors.js";
import { MemorySessionStore } from "./memory-store.js";
import type { Session } from "./session.js";
import type { SaveOutcome, SessionRecord, SessionStore, SessionTimes } from "./store.js";

/** A store that writes down what it is asked, and can be told to fail. */
class WatchedStore implements SessionStore {
  readonly isSynchronous = true;
  readonly calls: string[] = [];
  readonly ids = new Set<string>();
  isDown = false;
  readonly #store: MemorySessionStore;

  constructor(clock: TestClock) {
    this.#store = new MemorySessionStore({ clock });
  }

  get size(): number {
    return this.#store.size;
  }

  load(id: string): SessionRecord | undefined {
    this.#note("load", id);
    return this.#store.load(id);
  }

  save(id: string, record: SessionRecord, version: number): SaveOutcome {
    this.#note("save", id);
    return this.#store.save(id, record, version);
  }

  touch(id: string, times: SessionTimes): boolean {
    this.#note("touch", id);
    return this.#store.touch(id, times);
  }

  delete(id: string): void {
    this.#note("delete", id);
    this.#store.delete(id);
  }

  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  #note(call: string, id: string): void {
    if (this.isDown) throw new Error("connection refused");
    this.calls.push(call);
    this.ids.add(id);
  }
}

function watched(options: { isLater?: boolean; idleTimeout?: number; rolling?: boolean } = {}) {
  const clock = new TestClock();
  const store = new WatchedStore(clock);
  const { isLater, ...others } = options;
  const server = new FakeServer({ store: isLater === true ? laterStore(store) : store, ...others }, clock);
  return { clock, store, server, client: new FakeClient(server) };
}

async function openSame(client: FakeClient): Promise<Session> {
  return client.server.manager.open(fakeRequest({ cookie: `session_id=${client.cookie}` }));
}

const write = fc.record({
  kind: fc.constantFrom("set" as const, "set" as const, "delete" as const, "clear" as const),
  key: fc.constantFrom("a", "b", "c"),
});
const requests = fc.array(fc.array(write, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 6 });

describe("requests at the same time", () => {
  it("are merged per key, the last writer of a key wins", async () => {
    await fc.assert(
      fc.asyncProperty(requests, async (plans) => {
        const { client } = watched();
        await client.request((session) => session.set("a", "first"));
        const sessions = await Promise.all(plans.map(() => openSame(client)));
        const oracle = new Map<string, unknown>([["a", "first"]]);
        for (const [index, plan] of plans.entries()) {
          const session = sessions[index];
          if (session === undefined) continue;
          // What this request sees is the state that it opened; what it wrote is applied at its commit.
          const writes = new Map<string, unknown>();
          const view = new Map<string, unknown>([["a", "first"]]);
          let isCleared = false;
          for (const step of plan) {
            if (step.kind === "set") {
              session.set(step.key, `${index} ${step.key}`);
              writes.set(step.key, `${index} ${step.key}`);
              view.set(step.key, `${index} ${step.key}`);
            } else if (step.kind === "delete") {
              session.delete(step.key);
              if (view.delete(step.key)) writes.set(step.key, undefined);
            } else {
              session.clear();
              if (view.size > 0) {
                isCleared = true;
                writes.clear();
                view.clear();
              }
            }
          }
          client.server.manager.commit(session);
          if (isCleared) oracle.clear();
          for (const [key, value] of writes) {
            if (value === undefined) oracle.delete(key);
            else oracle.set(key, value);
          }
        }
        await client.request((session) => expect(new Map(Object.entries(session.all()))).toEqual(oracle));
      }),
      runs(500),
    );
  });

  it("lose nothing when forty of them write other keys to a store that answers later", async () => {
    const { client } = watched({ isLater: true });
    await client.request((session) => session.set("start", true));
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const session = await openSame(client);
        session.set(`key-${index}`, index);
        session.flash(`flash-${index}`, index);
        await client.server.manager.commit(session);
      }),
    );
    await client.request((session) => {
      expect(Object.keys(session.all()).length).toBe(41);
      for (let index = 0; index < 40; index++) expect(session.flash(`flash-${index}`)).toBe(index);
    });
  });

  it.each([false, true])("never bring a destroyed session back (asynchronous: %s)", async (isLater) => {
    const { client, store, server } = watched({ isLater });
    await client.request((session) => session.set("userId", "u1"));
    const { cookie } = client;
    const [slow, reader] = [await openSame(client), await openSame(client)];
    await client.request((session) => session.destroy());
    slow.set("late", 1);
    expect(await server.manager.commit(slow)).toBeUndefined();
    reader.get("userId");
    expect(await server.manager.commit(reader)).toBeUndefined();
    expect(store.size).toBe(0);
    client.cookie = cookie;
    await client.request((session) => expect(session.isNew).toBe(true));
  });

  it.each([false, true])("do not take a destroyed session along into a new id (asynchronous: %s)", async (isLater) => {
    const { client, server } = watched({ isLater });
    await client.request((session) => session.set("userId", "u1"));
    const slow = await openSame(client);
    await client.request((session) => session.destroy());
    await slow.regenerate();
    slow.set("own", 1);
    client.receive(await server.manager.commit(slow));
    await client.request((session) => expect(session.all()).toEqual({ own: 1 }));
  });

  it.each([false, true])("take along into a new id what another has saved (asynchronous: %s)", async (isLater) => {
    const { client, server, store } = watched({ isLater });
    await client.request((session) => session.set("cart", 1));
    const login = await openSame(client);
    await client.request((session) => session.set("cart", 2));
    login.set("userId", "u1");
    await login.regenerate();
    client.receive(await server.manager.commit(login));
    await client.request((session) => expect(session.all()).toEqual({ cart: 2, userId: "u1" }));
    expect(store.size).toBe(1);
  });

  it("do not renew a cookie whose session has moved to another id", async () => {
    const { client, server, clock } = watched({ rolling: true });
    await client.request((session) => session.set("a", 1));
    clock.pass(20_000);
    const slow = await openSame(client);
    slow.get("a");
    const writing = await openSame(client);
    writing.set("a", 2);
    await client.request((session) => session.regenerate());
    expect(await server.manager.commit(slow)).toBeUndefined();
    expect(await server.manager.commit(writing)).toBeUndefined();
  });
});

describe("a session in a store", () => {
  it("is known to the store by the hash of its id only", async () => {
    const { client, store } = watched();
    const id = await client.request((session) => {
      session.set("a", 1);
      return session.id;
    });
    await client.request((session) => {
      expect(session.id).toBe(id);
      session.set("a", 2);
    });
    expect([...store.ids].length).toBe(1);
    const inCookie = Buffer.from(client.cookie ?? "", "base64url").toString("latin1");
    expect(inCookie).toContain(Buffer.from(id, "base64url").toString("latin1"));
    for (const storeId of store.ids) expect(storeId).not.toBe(id);
  });

  it("does not ask the store about cookies that it did not make, nor without one", async () => {
    const { client, store, server } = watched();
    await client.request((session) => session.get("a"));
    client.cookie = "x".repeat(100);
    await client.request((session) => session.get("a"));
    expect(store.takeCalls()).toEqual([]);
    expect(server.takeEvents()).toEqual(["session.rejected malformed"]);
  });

  it("never adopts an id that the store does not know", async () => {
    const { client, store, server } = watched();
    const planted = await client.request((session) => {
      session.set("a", 1);
      return session.id;
    });
    for (const id of store.ids) store.delete(id);
    await client.request((session) => {
      expect(session.isNew).toBe(true);
      expect(session.id).not.toBe(planted);
      session.set("userId", "u1");
    });
    expect(client.setCookie).toBeDefined();
    expect(server.takeEvents()).toEqual(["session.created", "session.rejected unknown", "session.created"]);
  });

  it("is useless under its old id once regenerated", async () => {
    const { client, store } = watched();
    await client.request((session) => session.set("a", 1));
    const old = client.cookie;
    await client.request((session) => session.regenerate());
    expect(client.cookie).not.toBe(old);
    expect(store.size).toBe(1);
    client.cookie = old;
    await client.request((session) => expect(session.all()).toEqual({}));
  });

  it("asks the store once for a request that reads, twice for one that writes", async () => {
    const { client, store } = watched();
    await client.request((session) => session.set("a", 1));
    expect(store.takeCalls()).toEqual(["save"]);
    await client.request((session) => session.get("a"));
    expect(store.takeCalls()).toEqual(["load"]);
    await client.request((session) => session.set("a", 2));
    expect(store.takeCalls()).toEqual(["load", "save"]);
    expect(client.setCookie).toBeUndefined();
  });
});

describe("a store that fails", () => {
  it.each([false, true])(
    "fails the request, and tells of each change of state once (asynchronous: %s)",
    async (isLater) => {
      const { client, store, server } = watched({ isLater });
      await client.request((session) => session.set("a", 1));
      server.takeEvents();
      store.isDown = true;
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(client.request((session) => session.get("a"))).rejects.toBeInstanceOf(StoreUnavailableError);
      }
      expect(server.takeEvents()).toEqual(["store.error"]);
      store.isDown = false;
      await client.request((session) => expect(session.get("a")).toBe(1));
      await client.request((session) => expect(session.get("a")).toBe(1));
      expect(server.takeEvents()).toEqual(["store.recovered"]);
    },
  );

  it.each([false, true])(
    "does not let a login go on under an id that may be known (asynchronous: %s)",
    async (isLater) => {
      const { client, store, server } = watched({ isLater });
      await client.request((session) => session.set("a", 1));
      const session = await openSame(client);
      store.isDown = true;
      try {
        // Not awaited, as an application might forget to: the commit fails all the same.
        void session.regenerate();
      } catch (error) {
        expect(error).toBeInstanceOf(StoreUnavailableError);
      }
      await new Promise((resolve) => setImmediate(resolve));
      store.isDown = false;
      await expect(async () => server.manager.commit(session)).rejects.toBeInstanceOf(StoreUnavailableError);
    },
  );

  it("is told from one that answers nonsense or breaks its word", async () => {
    const base = new MemorySessionStore();
    const nonsense: SessionStore = {
      isSynchronous: true,
      load: () => JSON.parse('"text"'),
      save: (id, record, version) => base.save(id, record, version),
      touch: () => true,
      delete: () => Promise.resolve(),
    };
    const client = new FakeClient(new FakeServer({ store: nonsense }));
    await client.request((session) => session.set("a", 1));
    await expect(client.request((session) => session.get("a"))).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(
      new FakeClient(new FakeServer({ store: { ...nonsense, load: (id) => base.load(id) } })).request((session) =>
        session.destroy(),
      ),
    ).resolves.toBeUndefined();
  });

  it("gives up when the record changes at every attempt, and tells it", async () => {
    const clock = new TestClock();
    const store = new MemorySessionStore({ clock });
    let first: string | undefined;
    const restless: SessionStore = {
      isSynchronous: true,
      load: (id) => store.load(id),
      save(id, record, version) {
        first ??= id;
        return id === first && version > 0 ? "conflict" : store.save(id, record, version);
      },
      touch: (id, times) => store.touch(id, times),
      delete: (id) => store.delete(id),
    };
    const client = new FakeClient(new FakeServer({ store: restless }, clock));
    await client.request((session) => session.set("a", 1));
    client.server.takeEvents();
    await expect(client.request((session) => session.set("a", 2))).rejects.toThrow(/64 attempts to save/);
    await expect(client.request((session) => session.regenerate())).rejects.toThrow(/64 attempts to move/);
    expect(client.server.takeEvents()).toEqual(["store.error", "store.error"]);
    expect(store.size).toBe(1);
  });
});
