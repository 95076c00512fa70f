import { describe, expect, it, vi } from "vitest";
import { TestClock } from "../../test/clock.js";
import { FakeClient, FakeServer, fakeRequest, laterStore, TEST_SECRET } from "../../test/sessions/client.js";
import type { SessionOptions } from "./config.js";
import { MemorySessionStore } from "./memory-store.js";

const OTHER_SECRET = "another secret of 32 bytes here.";

const kinds = [
  { kind: "a sealed cookie", storeFor: () => undefined },
  { kind: "a store", storeFor: (clock: TestClock) => new MemorySessionStore({ clock }) },
  { kind: "an asynchronous store", storeFor: (clock: TestClock) => laterStore(new MemorySessionStore({ clock })) },
];

describe.each(kinds)("sessions in $kind", ({ kind, storeFor }) => {
  function start(options: Partial<SessionOptions> = {}) {
    const clock = new TestClock();
    const store = storeFor(clock);
    const server = new FakeServer({ store, ...options }, clock);
    return { clock, store, server, client: new FakeClient(server, options.cookieName) };
  }
  const signIn = (client: FakeClient) => client.request((session) => session.set("userId", "u1"));
  const user = (client: FakeClient) => client.request((session) => session.get("userId"));

  it("end after maxAge however much they are used", async () => {
    const { client, clock, server } = start({ maxAge: 1000 });
    await signIn(client);
    const { cookie } = client;
    clock.pass(500);
    await client.request((session) => session.set("more", 1));
    clock.pass(499);
    expect(await user(client)).toBe("u1");
    server.takeEvents();
    clock.pass(1);
    expect(await user(client)).toBeUndefined();
    client.cookie = cookie;
    expect(await user(client)).toBeUndefined();
    expect(server.takeEvents()).toContain("session.rejected expired");
  });

  it("end when they are unused for idleTimeout, and live on while they are used", async () => {
    const { client, clock, server } = start({ maxAge: 10_000, idleTimeout: 100 });
    await signIn(client);
    for (let use = 0; use < 20; use++) {
      clock.pass(99);
      expect(await user(client)).toBe("u1");
    }
    server.takeEvents();
    clock.pass(100);
    expect(await user(client)).toBeUndefined();
    const isForgotten = kind !== "a sealed cookie";
    expect(server.takeEvents()).toEqual([`session.rejected ${isForgotten ? "unknown" : "idle"}`]);
  });

  it("write down their use at most once per tenth of idleTimeout", async () => {
    const { client, clock } = start({ maxAge: 10_000, idleTimeout: 100 });
    await signIn(client);
    clock.pass(9);
    await user(client);
    expect(client.setCookie).toBeUndefined();
    clock.pass(1);
    await user(client);
    expect(client.setCookie === undefined).toBe(kind !== "a sealed cookie");
  });

  it("count requests that never look at them", async () => {
    const { client, clock } = start({ maxAge: 10_000, idleTimeout: 100, rolling: true });
    await signIn(client);
    for (let request = 0; request < 20; request++) {
      clock.pass(99);
      await client.request(() => {});
    }
    clock.pass(1);
    expect(await user(client)).toBe("u1");
  });

  it("are not renewed by requests that never look at them when only their lifetime counts", async () => {
    const { client, clock } = start({ maxAge: 1000, rolling: true });
    await signIn(client);
    clock.pass(500);
    await client.request(() => {});
    expect(client.setCookie).toBeUndefined();
  });

  it("renew their lifetime on use when rolling, at most once per tenth of it", async () => {
    const { client, clock } = start({ maxAge: 1000, rolling: true });
    await signIn(client);
    clock.pass(99);
    await user(client);
    expect(client.setCookie).toBeUndefined();
    clock.pass(1);
    await user(client);
    expect(client.setCookie).toContain("Max-Age=1000;");
    for (let use = 0; use < 10; use++) {
      clock.pass(900);
      expect(await user(client)).toBe("u1");
    }
    clock.pass(1000);
    expect(await user(client)).toBeUndefined();
  });

  it("renew the cookie of a rolling session also when every request writes", async () => {
    const { client, clock } = start({ maxAge: 1000, rolling: true });
    await signIn(client);
    let sentAt = clock.nowMs;
    for (let use = 0; use < 60; use++) {
      clock.pass(50);
      await client.request((session) => session.set("count", use));
      if (client.setCookie !== undefined) sentAt = clock.nowMs;
      expect(clock.nowMs - sentAt).toBeLessThan(150_000);
    }
    expect(await user(client)).toBe("u1");
  });

  it("say how long the cookie still lives when they are not rolling", async () => {
    const { client, clock } = start({ maxAge: 1000 });
    await signIn(client);
    expect(client.setCookie).toContain("Max-Age=1000;");
    clock.pass(300);
    await client.request(async (session) => {
      session.set("more", 1);
    });
    if (kind === "a sealed cookie") expect(client.setCookie).toContain("Max-Age=700;");
    else expect(client.setCookie).toBeUndefined();
    await client.request((session) => session.regenerate());
    expect(client.setCookie).toContain("Max-Age=1000;");
  });

  it("hold to a maxAge that was shortened since", async () => {
    const { client, clock, store } = start({ maxAge: 1000 });
    await signIn(client);
    const later = new FakeClient(new FakeServer({ store, maxAge: 100 }, clock));
    later.cookie = client.cookie;
    clock.pass(99);
    expect(await user(later)).toBe("u1");
    clock.pass(1);
    expect(await user(later)).toBeUndefined();
  });

  it("survive a rotation of secrets, and end when the old one is dropped", async () => {
    const { client, clock, store } = start();
    await signIn(client);
    const rotated = new FakeClient(new FakeServer({ store, secret: [OTHER_SECRET, TEST_SECRET] }, clock));
    rotated.cookie = client.cookie;
    expect(await user(rotated)).toBe("u1");
    await rotated.request((session) => session.regenerate());
    const dropped = new FakeClient(new FakeServer({ store, secret: OTHER_SECRET }, clock));
    dropped.cookie = rotated.cookie;
    expect(await user(dropped)).toBe("u1");
    dropped.cookie = client.cookie;
    expect(await user(dropped)).toBeUndefined();
    expect(dropped.server.takeEvents()).toContain("session.rejected signature");
  });

  it("refuse a value that was moved to another cookie name", async () => {
    const { client, clock, store } = start();
    await signIn(client);
    const other = new FakeClient(new FakeServer({ store, cookieName: "other" }, clock), "other");
    other.cookie = client.cookie;
    expect(await user(other)).toBeUndefined();
    expect(other.server.takeEvents()).toEqual(["session.rejected signature"]);
  });

  it("use the cookie that verifies when several have the name, and the newest of several", async () => {
    const { client, clock, server } = start();
    await signIn(client);
    const first = client.cookie;
    clock.pass(5);
    const second = new FakeClient(server);
    await second.request((session) => session.set("userId", "u2"));
    server.takeEvents();
    const read = async (cookie: string) => (await server.manager.open(fakeRequest({ cookie }))).get("userId");
    expect(await read(`session_id=junk; session_id=${first}; session_id=`)).toBe("u1");
    expect(await read(`session_id=${first}; session_id=${second.cookie}`)).toBe("u2");
    expect(await read(`session_id=${second.cookie}; x=1; session_id=${first}`)).toBe("u2");
    expect(server.takeEvents()).toEqual([]);
    expect(await read("session_id=junk; session_id=more")).toBeUndefined();
    expect(server.takeEvents()).toEqual(["session.rejected malformed"]);
  });

  it("look at eight cookies of the name and no more", async () => {
    const { client, server } = start();
    await signIn(client);
    const read = async (junk: number) => {
      const cookie = `${"session_id=junk; ".repeat(junk)}session_id=${client.cookie}`;
      return (await server.manager.open(fakeRequest({ cookie }))).get("userId");
    };
    expect(await read(7)).toBe("u1");
    expect(await read(8)).toBeUndefined();
  });

  it("leave a bad cookie alone until there is something to set, and say nothing without a cookie", async () => {
    const { client, server } = start();
    client.cookie = "junk";
    await client.request((session) => session.get("a"));
    expect(client.setCookie).toBeUndefined();
    expect(server.takeEvents()).toEqual(["session.rejected malformed"]);
    await client.request((session) => session.destroy());
    expect(client.setCookie).toContain("Max-Age=0");
    server.takeEvents();
    await user(client);
    expect(server.takeEvents()).toEqual([]);
  });

  it("do not adopt a planted session at login when regenerate is called", async () => {
    const { client: attacker, server } = start();
    const plantedId = await attacker.request((session) => {
      session.set("theme", "dark");
      return session.id;
    });
    const victim = new FakeClient(server);
    victim.cookie = attacker.cookie;
    await victim.request(async (session) => {
      await session.regenerate();
      session.set("userId", "victim");
      expect(session.id).not.toBe(plantedId);
    });
    expect(await user(victim)).toBe("victim");
    expect(await user(attacker)).toBeUndefined();
  });

  it("knows whether a request carries the cookie", () => {
    const { manager } = start().server;
    expect(manager.carriesCookie(fakeRequest({ cookie: "a=1; session_id=junk" }))).toBe(true);
    expect(manager.carriesCookie(fakeRequest({ cookie: "a=1; xsession_id=junk" }))).toBe(false);
    expect(manager.carriesCookie(fakeRequest({}))).toBe(false);
  });

  it("warns once in production of a cookie over HTTPS of which nobody said whether it is secure", async () => {
    const visit = async (server: FakeServer, isSecure: boolean) => {
      const session = await server.manager.open(fakeRequest({}, { isSecure }));
      session.set("a", 1);
      await server.manager.commit(session);
      return server.takeEvents().filter((event) => event.startsWith("config.warning"));
    };
    vi.stubEnv("NODE_ENV", "production");
    const { server } = start();
    const told = [start({ secure: false }), start({ secure: true }), start({ secure: "auto" })];
    vi.unstubAllEnvs();
    expect(await visit(server, false)).toEqual([]);
    expect(await visit(server, true)).toEqual(["config.warning CELLO_INSECURE_COOKIE_OVER_HTTPS"]);
    expect(await visit(server, true)).toEqual([]);
    for (const other of told) expect(await visit(other.server, true)).toEqual([]);
    expect(await visit(start().server, true)).toEqual([]);
  });

  it("warns once of a secure cookie over plain HTTP, unless that is loopback", async () => {
    const { server } = start({ secure: true });
    const visit = async (more: { isSecure?: boolean; clientIp?: string }, isWriting = true) => {
      const session = await server.manager.open(fakeRequest({}, more));
      if (isWriting) session.set("a", 1);
      await server.manager.commit(session);
      return server.takeEvents().filter((event) => event.startsWith("config.warning"));
    };
    expect(await visit({ isSecure: true })).toEqual([]);
    expect(await visit({ clientIp: "127.0.0.1" })).toEqual([]);
    expect(await visit({ clientIp: "::1" })).toEqual([]);
    expect(await visit({}, false)).toEqual([]);
    expect(await visit({})).toEqual(["config.warning CELLO_SECURE_COOKIE_OVER_HTTP"]);
    expect(await visit({})).toEqual([]);
  });

  it("answers at once unless the store is asynchronous", async () => {
    const { client, server } = start();
    await signIn(client);
    const isLater = kind === "an asynchronous store";
    expect(server.manager.isSynchronous).toBe(!isLater);
    const opened = server.manager.open(fakeRequest({ cookie: `session_id=${client.cookie}` }));
    expect(opened instanceof Promise).toBe(isLater);
    const session = await opened;
    session.set("a", 1);
    const committed = server.manager.commit(session);
    expect(committed instanceof Promise).toBe(isLater);
    await committed;
    expect(server.manager.open(fakeRequest({}))).not.toBeInstanceOf(Promise);
  });
});
