import { describe, expect, it } from "vitest";
import { FakeClient, FakeServer, fakeRequest } from "../../test/sessions/client.js";
import type { Session } from "./session.js";

/** A server with sealed sessions, and a client that has signed in. */
async function signedIn(options: ConstructorParameters<typeof FakeServer>[0] = {}) {
  const server = new FakeServer({ maxAge: 1000, ...options });
  const client = new FakeClient(server);
  await client.request((session) => session.set("userId", "u1"));
  return { server, client, clock: server.clock };
}

/** A request that has come and is not answered yet. */
class SlowRequest {
  readonly #server: FakeServer;
  readonly session: Session;

  constructor(server: FakeServer, cookie: string | undefined) {
    const opened = server.manager.open(fakeRequest({ cookie: `session_id=${cookie}` }));
    if (opened instanceof Promise) throw new Error("sealed sessions are opened at once");
    this.#server = server;
    this.session = opened;
  }

  /** The cookie that its answer sets. */
  async answer() {
    return this.#server.manager.commit(this.session);
  }
}

describe("the late answer of a request with a sealed session", () => {
  it.each([
    ["rolling", { rolling: true }],
    ["idleTimeout", { idleTimeout: 900 }],
  ])("does not renew it (%s) after a faster request has signed out", async (_name, options) => {
    const { server, client, clock } = await signedIn(options);
    clock.pass(200);
    const slow = new SlowRequest(server, client.cookie);
    expect(slow.session.get("userId")).toBe("u1");
    clock.pass(1);
    await client.request((session) => session.destroy());
    expect(client.cookie).toBeUndefined();
    expect(await slow.answer()).toBeUndefined();
  });

  it("does not renew it after a faster request has signed in afresh", async () => {
    const { server, client, clock } = await signedIn({ rolling: true });
    clock.pass(200);
    const slow = new SlowRequest(server, client.cookie);
    expect(slow.session.get("userId")).toBe("u1");
    await client.request((session) => session.regenerate());
    expect(await slow.answer()).toBeUndefined();
  });

  it("does not renew it when the request came just before its browser knew of the end", async () => {
    const { server, client, clock } = await signedIn({ rolling: true });
    clock.pass(200);
    const { cookie } = client;
    await client.request((session) => session.destroy());
    clock.pass(4);
    const overlapping = new SlowRequest(server, cookie);
    overlapping.session.get("userId");
    expect(await overlapping.answer()).toBeUndefined();
  });

  it("does not save what it changed over the end", async () => {
    const { server, client, clock } = await signedIn();
    for (const end of ["destroy", "regenerate"] as const) {
      await client.request((session) => session.set("userId", "u1"));
      const slow = new SlowRequest(server, client.cookie);
      slow.session.set("cart", 1);
      clock.pass(30);
      await client.request((session) => session[end]());
      expect(await slow.answer()).toBeUndefined();
    }
  });

  it("does not take a session that was signed out along under a new id", async () => {
    const { server, client } = await signedIn();
    const slow = new SlowRequest(server, client.cookie);
    await slow.session.regenerate();
    slow.session.set("theme", "dark");
    await client.request((session) => session.destroy());
    client.receive(await slow.answer());
    expect(await client.request((session) => session.all())).toEqual({ theme: "dark" });
  });

  it("sets no cookie for a session of which nothing is left", async () => {
    const { server, client } = await signedIn();
    const slow = new SlowRequest(server, client.cookie);
    await slow.session.regenerate();
    await client.request((session) => session.destroy());
    expect(await slow.answer()).toBeUndefined();
  });

  it("does not renew it when another process may have ended it meanwhile", async () => {
    const { server, client, clock } = await signedIn({ rolling: true });
    clock.pass(200);
    const slow = new SlowRequest(server, client.cookie);
    slow.session.get("userId");
    clock.pass(6);
    expect(await slow.answer()).toBeUndefined();
    await client.request((session) => session.get("userId"));
    expect(client.setCookie).toBeDefined();
  });

  it("keeps what it changed, however long it took", async () => {
    const { server, client, clock } = await signedIn();
    const slow = new SlowRequest(server, client.cookie);
    slow.session.set("cart", 1);
    clock.pass(100);
    client.receive(await slow.answer());
    expect(await client.request((session) => session.get("cart"))).toBe(1);
  });

  it("keeps what is changed with a cookie that came back after its end, as when the answer never arrived", async () => {
    const { server, client, clock } = await signedIn();
    const { cookie } = client;
    await client.request((session) => session.regenerate());
    clock.pass(1);
    const again = new SlowRequest(server, cookie);
    again.session.set("cart", 1);
    client.receive(await again.answer());
    expect(await client.request((session) => session.get("cart"))).toBe(1);
  });
});

describe("what a process remembers of ended sessions", () => {
  it("is bounded, and the oldest is forgotten first", async () => {
    const { server, client } = await signedIn();
    const first = new SlowRequest(server, client.cookie);
    first.session.set("cart", 1);
    await client.request((session) => session.destroy());
    for (let count = 0; count < 10_000; count++) {
      const other = new FakeClient(server);
      await other.request((session) => session.set("a", 1));
      await other.request((session) => session.destroy());
    }
    expect(await first.answer()).toBeDefined();
  });
});
