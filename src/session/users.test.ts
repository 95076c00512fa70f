import { describe, expect, it } from "vitest";
import { TestClock } from "../../test/clock.js";
import { FakeClient, FakeServer, laterStore } from "../../test/sessions/client.js";
import { ConfigError, StoreUnavailableError } from "../core/errors.js";
import type { SessionOptions } from "./config.js";
import { MemorySessionStore } from "./memory-store.js";
import type { SessionStore } from "./store.js";
import type { UserSessions } from "./users.js";
import { userIdOf } from "./users.js";

interface Surroundings {
  readonly clock: TestClock;
  readonly store: MemorySessionStore;
  readonly server: FakeServer;
  readonly users: UserSessions;
}

function surroundings(options: Partial<SessionOptions> = {}, wrap = (store: SessionStore) => store): Surroundings {
  const clock = new TestClock();
  const store = new MemorySessionStore({ clock });
  const server = new FakeServer({ store: wrap(store), ...options }, clock);
  const { users } = server.manager;
  if (users === undefined) throw new Error("there is a store");
  return { clock, store, server, users };
}

/** A browser that is logged in. */
async function logIn(server: FakeServer, userId: unknown): Promise<FakeClient> {
  const client = new FakeClient(server);
  await client.request(async (session) => {
    await session.regenerate();
    session.set("userId", userId);
  });
  return client;
}

const userOf = (client: FakeClient) => client.request((session) => session.get("userId"));
const idOf = (client: FakeClient) => client.request((session) => session.id);

describe.each([
  ["at once", (store: SessionStore) => store],
  ["later", laterStore],
] as const)("the sessions of users in a store that answers %s", (_when, wrap) => {
  it("are listed by user, the last used first, with ids that are not those of cookies", async () => {
    const { server, clock, users } = surroundings({ idleTimeout: 600, maxAge: 3600 }, wrap);
    const start = clock.nowMs;
    const phone = await logIn(server, "u1");
    clock.pass(1);
    const laptop = await logIn(server, "u1");
    await logIn(server, "u2");
    clock.pass(100);
    await userOf(phone);
    const listed = await users.list("u1");
    expect(listed).toEqual([
      { id: expect.any(String), createdAt: start, lastUsedAt: start + 101_000, expiresAt: start + 3_600_000 },
      { id: expect.any(String), createdAt: start + 1000, lastUsedAt: start + 1000, expiresAt: start + 3_601_000 },
    ]);
    for (const id of [await idOf(phone), await idOf(laptop)]) {
      expect(listed.map((summary) => summary.id)).not.toContain(id);
    }
    expect(await users.list("nobody")).toEqual([]);
  });

  it("are ended one by one", async () => {
    const { server, users } = surroundings({}, wrap);
    const phone = await logIn(server, "u1");
    const [first] = await users.list("u1");
    const laptop = await logIn(server, "u1");
    expect(await users.revoke(first?.id ?? "")).toBe(true);
    expect(await users.revoke(first?.id ?? "")).toBe(false);
    expect(await userOf(phone)).toBeUndefined();
    expect(await userOf(laptop)).toBe("u1");
    expect(await users.list("u1")).toHaveLength(1);
  });

  it("are ended all, or all but one, which is named by either of its ids", async () => {
    const { server, users } = surroundings({}, wrap);
    const clients = [await logIn(server, "u1"), await logIn(server, "u1"), await logIn(server, "u1")];
    const other = await logIn(server, "u2");
    const [kept] = clients;
    if (kept === undefined) throw new Error("there are three");
    expect(await users.revokeAll("u1", { except: await idOf(kept) })).toBe(2);
    expect(await Promise.all(clients.map(userOf))).toEqual(["u1", undefined, undefined]);
    const [left] = await users.list("u1");
    await logIn(server, "u1");
    expect(await users.revokeAll("u1", { except: left?.id })).toBe(1);
    expect(await userOf(kept)).toBe("u1");
    expect(await users.revokeAll("u1")).toBe(1);
    expect(await userOf(kept)).toBeUndefined();
    expect(await users.revokeAll("u1")).toBe(0);
    expect(await userOf(other)).toBe("u2");
  });

  it.each([
    ["while the same request gives it a new id", true, "u1"],
    ["that another request moves while this one has it open", false, "u1"],
    ["that another request moves and signs in while this one has it open", false, undefined],
  ])("are ended all but one %s", async (_what, isSameRequest, userBefore) => {
    const { server, users } = surroundings({}, wrap);
    const client = new FakeClient(server);
    await client.request((session) => session.set(userBefore === undefined ? "cart" : "userId", userBefore ?? 1));
    const other = await logIn(server, "u1");
    await client.request(async (session) => {
      const { id } = session;
      if (isSameRequest) await session.regenerate();
      else {
        await client.request(async (overtaking) => {
          await overtaking.regenerate();
          overtaking.set("userId", "u1");
        });
      }
      expect(await users.revokeAll("u1", { except: isSameRequest ? session.id : id })).toBe(1);
    });
    expect([await userOf(client), await userOf(other)]).toEqual(["u1", undefined]);
  });

  it("do not come back by a request that had them open", async () => {
    const { server, users } = surroundings({}, wrap);
    for (const change of ["set", "regenerate", "nothing"] as const) {
      const client = await logIn(server, "u1");
      await client.request(async (session) => {
        expect(session.get("userId")).toBe("u1");
        expect(await users.revokeAll("u1")).toBe(1);
        if (change === "set") session.set("more", 1);
        if (change === "regenerate") await session.regenerate();
      });
      expect(await users.list("u1")).toEqual([]);
      expect(await userOf(client)).toBeUndefined();
    }
  });

  it("leave the list at logout, when they are regenerated, and when the user changes", async () => {
    const { server, users } = surroundings({}, wrap);
    const client = await logIn(server, "u1");
    const [before] = await users.list("u1");
    await client.request((session) => session.regenerate());
    const [after, ...others] = await users.list("u1");
    expect(others).toEqual([]);
    expect(after?.id).not.toBe(before?.id);
    await client.request((session) => session.set("userId", "u2"));
    expect(await users.list("u1")).toEqual([]);
    expect(await users.list("u2")).toHaveLength(1);
    await client.request((session) => void session.delete("userId"));
    expect(await users.list("u2")).toEqual([]);
    await client.request((session) => session.set("userId", "u2"));
    await client.request((session) => session.destroy());
    expect(await users.list("u2")).toEqual([]);
  });

  it("leave the list when they are over", async () => {
    const { server, clock, users } = surroundings({ idleTimeout: 60, maxAge: 300 }, wrap);
    const client = await logIn(server, "u1");
    await logIn(server, "u1");
    for (let second = 0; second < 290; second += 50) {
      clock.pass(50);
      if (second < 240) expect(await userOf(client)).toBe("u1");
      expect(await users.list("u1")).toHaveLength(second === 0 ? 2 : second < 250 ? 1 : 0);
    }
  });
});

describe("whose session it is", () => {
  it("is told apart where two ids have halves of surrogate pairs", async () => {
    const { server, store, users } = surroundings();
    await logIn(server, "\ud800");
    await logIn(server, "\udfff");
    await logIn(server, "\ufffd");
    for (const userId of ["\ud800", "\udfff", "\ufffd"]) expect(await users.list(userId)).toHaveLength(1);
    expect(await users.revokeAll("\ud800")).toBe(1);
    expect(await users.list("\udfff")).toHaveLength(1);
    // A store that writes bytes sees three users too.
    expect(new Set(["\ud800", "\udfff", "\ufffd"].map((id) => Buffer.from(userIdOf(id) ?? "").toString())).size).toBe(
      3,
    );
    expect(store.size).toBeGreaterThan(1);
  });

  it.each([[undefined], [null], [{}], [["u1"]], [true]])("is nobody's when it is asked by %j", async (userId) => {
    const { users } = surroundings();
    for (const method of [users.list, users.revokeAll]) {
      await expect(Reflect.apply(method, users, [userId])).rejects.toThrow(TypeError);
    }
  });

  it.each([
    ["a string", "u1", "u1"],
    ["a number", 17, "17"],
    ["zero", 0, "0"],
  ])("%s says", async (_kind, value, userId) => {
    const { server, users } = surroundings();
    await logIn(server, value);
    expect(await users.list(userId)).toHaveLength(1);
    expect(await users.list(Number.isNaN(Number(userId)) ? userId : Number(userId))).toHaveLength(1);
  });

  it.each([[""], [null], [true], [{ id: "u1" }], [["u1"]]])("%j does not say", async (value) => {
    const { server, store, users } = surroundings();
    await logIn(server, value);
    expect(store.size).toBe(1);
    for (const userId of ["", "null", "true", "u1", "[object Object]"]) expect(await users.list(userId)).toEqual([]);
  });

  it("stands under another key when the configuration says so", async () => {
    const { server, users } = surroundings({ userKey: "account" });
    const client = new FakeClient(server);
    await client.request((session) => {
      session.set("account", "a1");
      session.set("userId", "u1");
    });
    expect(await users.list("a1")).toHaveLength(1);
    expect(await users.list("u1")).toEqual([]);
  });
});

describe("what cannot be listed", () => {
  it("are sessions in sealed cookies", () => {
    expect(new FakeServer().manager.users).toBeUndefined();
  });

  it("are those of a store without list; they can be revoked all the same", async () => {
    const { server, users } = surroundings({}, (store) => {
      const { list: _list, ...four } = laterStore(store);
      return four;
    });
    const client = await logIn(server, "u1");
    await expect(users.list("u1")).rejects.toThrow(ConfigError);
    await expect(users.revokeAll("u1")).rejects.toThrow(
      /SessionConfig.store: cannot list sessions by user; give a store/,
    );
    expect(await userOf(client)).toBe("u1");
  });

  it("is nothing that is no id", async () => {
    const asked: string[] = [];
    const { users } = surroundings({}, (store) => ({
      ...laterStore(store),
      load: (id) => {
        asked.push(id);
        return undefined;
      },
    }));
    for (const id of ["", "*", "a".repeat(42), "a".repeat(44), `${"a".repeat(42)}}`, `${"a".repeat(43)}\n`]) {
      expect(await users.revoke(id)).toBe(false);
    }
    expect(asked).toEqual([]);
  });

  it("is a store that fails or answers nonsense", async () => {
    for (const list of [() => Promise.reject(new Error("down")), async () => [{ id: 1, record: {} }]]) {
      const { users, server } = surroundings({}, (store) => ({ ...laterStore(store), ...Object({ list }) }));
      await expect(users.revokeAll("u1")).rejects.toThrow(StoreUnavailableError);
      expect(server.takeEvents()).toEqual(["store.error"]);
    }
  });
});
