import { describe, expect, it } from "vitest";
import { FakeClient, FakeServer, laterStore } from "../../test/sessions/client.js";
import { MemorySessionStore } from "./memory-store.js";
import type { Session } from "./session.js";
import type { SessionStore } from "./store.js";

const kinds: Record<string, (clock: FakeServer["clock"]) => SessionStore | undefined> = {
  sealed: () => undefined,
  "in memory": (clock) => new MemorySessionStore({ clock }),
  "in a store that answers later": (clock) => laterStore(new MemorySessionStore({ clock })),
};

const methods = ["regenerate", "destroy", "save", "reload"] as const;

function start(make: (clock: FakeServer["clock"]) => SessionStore | undefined) {
  const { clock } = new FakeServer();
  return new FakeClient(new FakeServer({ store: make(clock) }, clock));
}

/** Calls a method with a callback; what it was called with, once for each time. */
async function callsOf(session: Session, method: (typeof methods)[number]) {
  const calls: unknown[][] = [];
  const promise = session[method]((...given: unknown[]) => calls.push(given));
  const before = calls.length;
  const failure = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  await new Promise((resolve) => setImmediate(resolve));
  return { before, calls, failure };
}

describe.each(Object.entries(kinds))("a session (%s)", (kind, make) => {
  it.each(methods)("calls back from %s, once, later and without an error, and gives a promise too", async (method) => {
    const client = start(make);
    await client.request((session) => session.set("userId", "u1"));
    const outcome = await client.request((session) => callsOf(session, method));
    expect(outcome).toEqual({ before: 0, calls: [[]], failure: undefined });
  });

  it.each(["regenerate", "save", "reload"] as const)("gives the error of %s first", async (method) => {
    const client = start(make);
    const outcome = await client.request(async (session) => {
      await session.destroy();
      return callsOf(session, method);
    });
    expect(outcome.before).toBe(0);
    expect(outcome.calls).toEqual([[expect.objectContaining({ message: expect.stringContaining(method) })]]);
    expect(outcome.failure).toBe(outcome.calls[0]?.[0]);
  });

  it.each(methods)("refuses what %s cannot call back", async (method) => {
    await start(make).request((session) => {
      expect(() => Reflect.apply(session[method], session, ["now"])).toThrow(TypeError);
      expect(() => Reflect.apply(session[method], session, [() => {}, 1])).toThrow(TypeError);
    });
  });

  it("keeps the data under the new id that regenerate gives, with a callback too", async () => {
    const client = start(make);
    await client.request((session) => session.set("cart", 1));
    const ids = await client.request(async (session) => {
      const { id } = session;
      await session.regenerate(() => {});
      session.set("userId", "u1");
      return [id, session.id];
    });
    expect(ids[0]).not.toBe(ids[1]);
    expect(await client.request((session) => session.all())).toEqual({ cart: 1, userId: "u1" });
  });

  it("tells how long its cookie lasts by the clock that sessions are counted by", async () => {
    const client = start(make);
    await client.request((session) => session.set("cart", 1));
    client.server.clock.pass(60);
    const { maxAge, originalMaxAge } = await client.request((session) => session.cookie);
    expect([maxAge, originalMaxAge]).toEqual([86_340_000, 86_400_000]);
  });

  it("is saved before the response when save is called, and what is changed after it as well", async () => {
    const client = start(make);
    await client.request(async (session) => {
      session.set("first", 1);
      const saving = session.save();
      session.set("meanwhile", 2);
      await saving;
      session.set("last", 3);
    });
    expect(await client.request((session) => session.all())).toEqual({ first: 1, meanwhile: 2, last: 3 });
    await client.request(async (session) => {
      session.set("first", 4);
      await session.save();
      session.clear();
      await session.save();
      session.set("only", 5);
    });
    expect(await client.request((session) => session.all())).toEqual({ only: 5 });
  });

  it("keeps the cookie of a session that was saved and not changed any more", async () => {
    const client = start(make);
    await client.request(async (session) => {
      session.set("userId", "u1");
      await session.regenerate();
      await session.save();
    });
    expect(client.setCookie).toBeDefined();
    expect(await client.request((session) => session.get("userId"))).toBe("u1");
  });

  it.skipIf(kind === "sealed").each(["save", "regenerate"] as const)(
    "leaves what was only read as a property to others who change it before %s",
    async (method) => {
      const client = start(make);
      const cartOf = (session: object): string[] => Reflect.get(session, "cart");
      await client.request((session) => session.set("cart", ["apple"]));
      await client.request(async (session) => {
        expect(cartOf(session)).toEqual(["apple"]);
        await client.request((other) => cartOf(other).push("pear"));
        session.set("seen", 1);
        await session[method]();
      });
      expect(await client.request((session) => session.all())).toEqual({ cart: ["apple", "pear"], seen: 1 });
      await client.request(async (session) => {
        cartOf(session).push("plum");
        await session[method]();
        cartOf(session).push("fig");
      });
      expect(await client.request((session) => session.get("cart"))).toEqual(["apple", "pear", "plum", "fig"]);
    },
  );

  it("forgets its changes when it is loaded again", async () => {
    const client = start(make);
    await client.request((session) => session.set("cart", 1));
    await client.request(async (session) => {
      session.set("cart", 2);
      session.flash("note", "x");
      await session.reload();
      expect(session.all()).toEqual({ cart: 1 });
    });
    expect(await client.request((session) => session.all())).toEqual({ cart: 1 });
  });

  it("writes nothing when a value is set that is there already", async () => {
    const client = start(make);
    await client.request((session) => {
      session.set("user", { id: 1, roles: ["a"] });
      session.flash("note", "x");
    });
    const { cookie } = client;
    await client.request((session) => {
      session.set("user", { id: 1, roles: ["a"] });
      session.flash("note", "x");
    });
    expect(client.setCookie).toBeUndefined();
    await client.request((session) => session.set("user", { id: 1, roles: ["a", "b"] }));
    expect(client.cookie === cookie).toBe(kind !== "sealed");
    expect(await client.request((session) => session.get("user"))).toEqual({ id: 1, roles: ["a", "b"] });
  });

  it("keeps keys and values that look like something else", async () => {
    const client = start(make);
    const odd = { __proto__: null, '["__proto__"]': 1, "\ud800": "\udfff", "": "\u0000" };
    await client.request((session) => {
      session.set("__proto__", { admin: true });
      session.set("\ud800", odd);
      session.set("constructor", "x");
    });
    const all = await client.request((session) => [session.get("__proto__"), session.get("\ud800"), session.all()]);
    expect(all[0]).toEqual({ admin: true });
    expect(all[1]).toEqual({ ...odd });
    expect(Object.keys(all[2] ?? {})).toEqual(["__proto__", "\ud800", "constructor"]);
    expect(Object.getPrototypeOf(all[2])).toBe(Object.prototype);
  });
});

describe("a session whose store fails", () => {
  it.each(["regenerate", "destroy", "save"] as const)("gives the error of %s to the callback", async (method) => {
    const { clock } = new FakeServer();
    const store = laterStore(new MemorySessionStore({ clock }));
    const client = new FakeClient(new FakeServer({ store }, clock));
    await client.request((session) => session.set("userId", "u1"));
    const fail = async () => {
      throw new Error("connection refused");
    };
    store.save = fail;
    store.delete = fail;
    await expect(
      client.request(async (session) => {
        session.set("cart", 1);
        const outcome = await callsOf(session, method);
        expect(outcome.calls).toEqual([[expect.objectContaining({ code: "CELLO_STORE_UNAVAILABLE" })]]);
        expect(outcome.failure).toBe(outcome.calls[0]?.[0]);
      }),
    ).rejects.toMatchObject({ code: "CELLO_STORE_UNAVAILABLE" });
  });
});
