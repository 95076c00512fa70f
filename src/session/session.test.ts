import { describe, expect, expectTypeOf, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import { FakeClient, FakeServer, fakeRequest, laterStore } from "../../test/sessions/client.js";
import { SessionTooLargeError } from "../core/errors.js";
import { MemorySessionStore } from "./memory-store.js";
import type { Session } from "./session.js";

const kinds = [
  { kind: "a sealed cookie", many: 500, server: () => new FakeServer() },
  {
    kind: "a store in memory",
    many: 500,
    server: () => {
      const server = new FakeServer();
      return new FakeServer({ store: new MemorySessionStore({ clock: server.clock }) }, server.clock);
    },
  },
  {
    kind: "an asynchronous store",
    many: 40,
    server: () => {
      const server = new FakeServer();
      return new FakeServer({ store: laterStore(new MemorySessionStore({ clock: server.clock })) }, server.clock);
    },
  },
];

const key = fc.constantFrom("a", "b", "__proto__", "constructor", "toString", "");
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: fc.constant("set" as const), key, value: fc.jsonValue({ maxDepth: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ name: fc.constant("get" as const), key }) },
  fc.record({ name: fc.constant("delete" as const), key }),
  fc.record({ name: fc.constant("flash" as const), key, value: fc.jsonValue({ maxDepth: 1 }) }),
  { weight: 2, arbitrary: fc.record({ name: fc.constant("read" as const), key }) },
  fc.record({ name: fc.constantFrom("clear" as const, "regenerate" as const, "destroy" as const, "next" as const) }),
  { weight: 3, arbitrary: fc.record({ name: fc.constant("next" as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

interface Oracle {
  data: Map<string, unknown>;
  flashes: Map<string, unknown>;
}

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** @returns whether the request is over */
async function apply(session: Session, step: Command, oracle: Oracle): Promise<boolean> {
  if (step.name === "set") {
    session.set(step.key, step.value);
    oracle.data.set(step.key, asJson(step.value));
  } else if (step.name === "get") {
    expect(session.get(step.key)).toStrictEqual(oracle.data.get(step.key));
    expect(session.has(step.key)).toBe(oracle.data.has(step.key));
  } else if (step.name === "delete") {
    expect(session.delete(step.key)).toBe(oracle.data.delete(step.key));
  } else if (step.name === "flash") {
    session.flash(step.key, step.value);
    oracle.flashes.set(step.key, asJson(step.value));
  } else if (step.name === "read") {
    expect(session.flash(step.key)).toStrictEqual(oracle.flashes.get(step.key));
    oracle.flashes.delete(step.key);
  } else if (step.name === "clear") {
    session.clear();
    oracle.data.clear();
    oracle.flashes.clear();
  } else if (step.name === "regenerate") {
    const before = session.id;
    await session.regenerate();
    expect(session.id).not.toBe(before);
  } else if (step.name === "destroy") {
    await session.destroy();
    oracle.data.clear();
    oracle.flashes.clear();
  }
  expect(new Map(Object.entries(session.all()))).toStrictEqual(oracle.data);
  return step.name === "next" || step.name === "destroy";
}

describe.each(kinds)("a session in $kind", ({ many, server }) => {
  it("behaves as a map that is carried from request to request", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
        const client = new FakeClient(server());
        const oracle: Oracle = { data: new Map(), flashes: new Map() };
        let at = 0;
        while (at < commands.length) {
          await client.request(async (session) => {
            for (; at < commands.length; at++) {
              const step = commands[at];
              if (step !== undefined && (await apply(session, step, oracle))) {
                at++;
                return;
              }
            }
          });
        }
        await client.request((session) => {
          expect(new Map(Object.entries(session.all()))).toStrictEqual(oracle.data);
          for (const name of ["a", "b", "__proto__", "constructor", "toString", ""]) {
            expect(session.flash(name)).toStrictEqual(oracle.flashes.get(name));
          }
        });
      }),
      runs(many),
    );
  });

  it("sets no cookie when it is only read, and none when it ends up empty", async () => {
    const client = new FakeClient(server());
    await client.request((session) => {
      expect(session.get("a")).toBeUndefined();
      expect(session.flash("a")).toBeUndefined();
      expect(session.isNew).toBe(true);
      expect(session.id).toMatch(/^[\w-]{22,43}$/);
    });
    expect(client.setCookie).toBeUndefined();
    await client.request((session) => {
      session.set("a", 1);
      session.delete("a");
    });
    expect(client.setCookie).toBeUndefined();
    await client.request((session) => session.regenerate());
    expect(client.setCookie).toBeUndefined();
    await client.request((session) => session.destroy());
    expect(client.setCookie).toBeUndefined();
    expect(client.server.events).toEqual([]);
  });

  it("writes nothing when a request only reads it", async () => {
    const client = new FakeClient(server());
    await client.request((session) => session.set("a", 1));
    expect(client.setCookie).toMatch(/^session_id=[\w-]+; Max-Age=86400; Path=\/; HttpOnly; SameSite=Lax$/);
    await client.request((session) => {
      expect(session.get("a")).toBe(1);
      expect(session.isNew).toBe(false);
      expect(session.delete("b")).toBe(false);
    });
    expect(client.setCookie).toBeUndefined();
  });

  it("gives frozen values, so that a change that would be lost throws", async () => {
    const client = new FakeClient(server());
    const check = (session: Session): void => {
      const cart = session.get("cart");
      expect(() => Reflect.apply(Array.prototype.push, cart, [1])).toThrow(TypeError);
      expect(Object.isFrozen(session.all())).toBe(true);
      for (const value of Object.values(session.all())) expect(Object.isFrozen(value)).toBe(true);
      expect(Reflect.set(Object(Reflect.get(Object(cart), "0")), "count", 5)).toBe(false);
    };
    await client.request((session) => {
      session.set("cart", [{ count: 1 }]);
      check(session);
    });
    await client.request(check);
    await client.request((session) => expect(session.get("cart")).toEqual([{ count: 1 }]));
  });

  it("is forgotten by destroy, and takes no more values", async () => {
    const client = new FakeClient(server());
    await client.request((session) => session.set("a", 1));
    await client.request(async (session) => {
      await session.destroy();
      expect(session.get("a")).toBeUndefined();
      expect(session.flash("a")).toBeUndefined();
      expect(() => session.set("a", 2)).toThrow("session.set: the session was destroyed in this request");
      expect(() => session.regenerate()).toThrow("destroyed");
      await session.destroy();
    });
    expect(client.setCookie).toMatch(/^session_id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=\//);
    expect(client.server.takeEvents()).toEqual(["session.created", "session.destroyed"]);
  });

  it("refuses changes when the response is on its way", async () => {
    const { manager } = server();
    const session = await manager.open(fakeRequest({}));
    session.set("a", 1);
    session.flash("b", 1);
    await manager.commit(session);
    const late = /already on its way/;
    expect(() => session.set("a", 2)).toThrow(late);
    expect(() => session.delete("a")).toThrow(late);
    expect(() => session.clear()).toThrow(late);
    expect(() => session.flash("b")).toThrow(late);
    expect(() => session.flash("b", 1)).toThrow(late);
    expect(() => session.regenerate()).toThrow(late);
    expect(() => session.destroy()).toThrow(late);
    expect(session.get("a")).toBe(1);
    expect(await manager.commit(session)).toBeUndefined();
  });

  it("keeps the former value when a new one is refused", async () => {
    const client = new FakeClient(server());
    await client.request((session) => session.set("a", 1));
    await client.request((session) => {
      expect(() => session.set("a", new Date())).toThrow(/^session value "a" is a Date/);
      expect(() => session.set("a", undefined)).toThrow(TypeError);
      expect(() => session.flash("f", () => 1)).toThrow(TypeError);
      expect(session.get("a")).toBe(1);
    });
    expect(client.setCookie).toBeUndefined();
  });

  it("has a creation time that regenerate renews", async () => {
    const client = new FakeClient(server());
    const { clock } = client.server;
    const began = clock.nowMs;
    await client.request((session) => session.set("a", 1));
    clock.pass(100);
    await client.request(async (session) => {
      expect(session.createdAt.getTime()).toBe(began);
      await session.regenerate();
    });
    expect(client.setCookie).toContain("Max-Age=86400;");
    await client.request((session) => expect(session.createdAt.getTime()).toBe(began + 100_000));
    expect(client.server.takeEvents()).toEqual(["session.created", "session.regenerated"]);
  });
});

describe("a session in a sealed cookie", () => {
  it("refuses the value that would make the cookie pass 4096 bytes, at once and without harm", async () => {
    const client = new FakeClient(new FakeServer());
    await client.request((session) => {
      session.set("big", "small");
      session.set("other", 1);
      expect(() => session.set("big", "x".repeat(4000))).toThrow(SessionTooLargeError);
      expect(() => session.flash("big", "é".repeat(2000))).toThrow(/give SessionConfig a store/);
      expect(session.get("big")).toBe("small");
      expect(session.flash("big")).toBeUndefined();
      session.set("another", 2);
    });
    await client.request((session) => expect(session.all()).toEqual({ big: "small", other: 1, another: 2 }));
  });

  it("fills 4096 bytes and not one more", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("x", "é", "😀", '"'), fc.nat(30), async (letter, more) => {
        const client = new FakeClient(new FakeServer());
        await client.request((session) => {
          session.set("pad", "y".repeat(more));
          let size = 0;
          try {
            for (;;) session.set("big", letter.repeat(++size));
          } catch (error) {
            expect(error).toBeInstanceOf(SessionTooLargeError);
          }
          expect(session.get("big")).toBe(letter.repeat(size - 1));
        });
        expect(client.setCookie?.length).toBeLessThanOrEqual(4096);
        expect(client.setCookie?.length).toBeGreaterThan(4096 - 12);
      }),
      runs(4),
    );
  });
});

describe("the types of a session", () => {
  it("know keys and values, and are open without a parameter", () => {
    type Typed = Session<{ userId: string; visits: number }>;
    expectTypeOf<ReturnType<Typed["get"]>>().toEqualTypeOf<string | number | undefined>();
    expectTypeOf<Parameters<Typed["has"]>>().toEqualTypeOf<["userId" | "visits"]>();
    expectTypeOf<Parameters<Session["set"]>>().toEqualTypeOf<[string, unknown]>();
    expectTypeOf<ReturnType<Typed["all"]>>().toEqualTypeOf<Readonly<Partial<{ userId: string; visits: number }>>>();
    const use = (session: Typed) => {
      expectTypeOf(session.get("userId")).toEqualTypeOf<string | undefined>();
      session.set("visits", 1);
      // @ts-expect-error a number is no userId
      session.set("userId", 1);
      // @ts-expect-error there is no such key
      session.get("user");
    };
    expect(use).toBeTypeOf("function");
  });
});
