import { type Clock, MemorySessionStore, RateLimitConfig, type SessionOptions, type SessionStore } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { hosts, type RunningHost } from "./hosts.js";

const secret = "a secret of more than thirty-two bytes, for tests";

/** Time that passes when the test says so. */
class TestTime implements Clock {
  #ms = Date.UTC(2026, 0, 1, 12);

  wallMs(): number {
    return this.#ms;
  }
  monotonicMs(): number {
    return this.#ms;
  }
  pass(seconds: number): void {
    this.#ms += seconds * 1000;
  }
}

/** A store that counts what it is told, and answers at once or later. */
class WatchedStore implements SessionStore {
  readonly isSynchronous: boolean;
  readonly #store: MemorySessionStore;
  touches = 0;
  isTouchBroken = false;

  constructor(clock: Clock, isSynchronous: boolean) {
    this.isSynchronous = isSynchronous;
    this.#store = new MemorySessionStore({ clock });
  }

  load(id: string) {
    return this.#answer(this.#store.load(id));
  }
  save(...given: Parameters<MemorySessionStore["save"]>) {
    return this.#answer(this.#store.save(...given));
  }
  touch(...given: Parameters<MemorySessionStore["touch"]>) {
    this.touches += 1;
    if (this.isTouchBroken) throw new Error("connection refused");
    return this.#answer(this.#store.touch(...given));
  }
  delete(id: string) {
    return this.#answer(this.#store.delete(id));
  }

  #answer<Value>(answer: Value): Value | Promise<Value> {
    return this.isSynchronous ? answer : new Promise((resolve) => setImmediate(resolve, answer));
  }
}

const kinds: Record<string, (clock: Clock) => WatchedStore | MemorySessionStore | undefined> = {
  sealed: () => undefined,
  "kept in memory": (clock) => new MemorySessionStore({ clock }),
  "in a store that answers at once": (clock) => new WatchedStore(clock, true),
  "in a store that answers later": (clock) => new WatchedStore(clock, false),
};

describe.each(Object.entries(hosts))("sessions on %s", (_host, start) => {
  describe.each(Object.entries(kinds))("%s", (_kind, makeStore) => {
    let host: RunningHost;
    let time: TestTime;
    let cookie: string;
    let store: WatchedStore | MemorySessionStore | undefined;

    const signIn = async (options: Partial<SessionOptions>, limits?: RateLimitConfig) => {
      time = new TestTime();
      store = makeStore(time);
      host = await start({ session: { secret, store, ...options }, clock: time, rateLimit: limits });
      const response = await fetch(`${host.url}/login`, { method: "POST" });
      cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    };
    /** Sends the cookie, and takes over the one that the answer sets, as a browser does. */
    const visit = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(host.url + path, { headers: { cookie, ...headers } });
      const setCookie = response.headers.get("set-cookie");
      if (setCookie !== null) cookie = setCookie.split(";")[0] ?? "";
      return response;
    };
    const whoAmI = async () => {
      const answer: { userId?: string } = Object(await (await visit("/me")).json());
      return answer.userId;
    };

    afterEach(() => host.close());

    it("live on while requests come that never look at them", async () => {
      await signIn({ idleTimeout: 10 });
      for (let request = 0; request < 12; request++) {
        time.pass(4);
        expect((await visit("/own")).status).toBe(200);
      }
      expect(await whoAmI()).toBe("u1");
    });

    it("are over when no request came for so long, and stay over", async () => {
      await signIn({ idleTimeout: 10 });
      time.pass(11);
      expect((await visit("/own")).headers.get("set-cookie")).toBeNull();
      expect(await whoAmI()).toBeUndefined();
    });

    it("are not kept alive by requests that are refused", async () => {
      const limit = RateLimitConfig.tokenBucket({ requests: 2, window: 1000 });
      await signIn({ idleTimeout: 10 }, limit);
      await visit("/own");
      for (const seconds of [4, 4, 4]) {
        time.pass(seconds);
        const refused = await visit("/own");
        expect(refused.status).toBe(429);
        expect(refused.headers.get("set-cookie")).toBeNull();
      }
      time.pass(1000);
      expect(await whoAmI()).toBeUndefined();
    });

    it("are written down at most once in a tenth of the idle time", async () => {
      await signIn({ idleTimeout: 100 });
      const cookies = new Set([cookie]);
      for (let request = 0; request < 50; request++) {
        time.pass(1);
        await visit("/own");
        cookies.add(cookie);
      }
      const writes = store instanceof WatchedStore ? store.touches : cookies.size - 1;
      if (store instanceof MemorySessionStore) expect(writes).toBe(0);
      else expect(writes).toBe(5);
    });

    it("do not fail a request that never looks at them because its use could not be written down", async () => {
      await signIn({ idleTimeout: 10 });
      if (store instanceof WatchedStore) store.isTouchBroken = true;
      time.pass(4);
      expect((await visit("/own")).status).toBe(200);
    });

    it("make the answer private to those who are asked for them, and no other", async () => {
      await signIn({});
      const read = await visit("/me");
      expect(read.headers.get("cache-control")).toBe("private");
      const stranger = await fetch(`${host.url}/me`);
      expect(stranger.headers.get("cache-control")).toBe("private");
      expect((await visit("/own")).headers.get("cache-control")).toBeNull();
      const out = await visit("/logout");
      expect(out.headers.get("cache-control")).toBe("no-store");
    });

    it("leave a Cache-Control of the handler's own alone", async () => {
      await signIn({});
      const response = await visit("/cached");
      expect(response.headers.get("cache-control")).toBe("public, max-age=60");
      expect(await response.json()).toEqual({ userId: "u1" });
    });

    it("set no cookie on an answer for shared caches only because a request came", async () => {
      await signIn({ idleTimeout: 100 });
      time.pass(50);
      const shared = await visit("/shared");
      expect(shared.headers.get("cache-control")).toBe("public, max-age=60");
      expect(shared.headers.get("set-cookie")).toBeNull();
    });
  });
});

describe.each(Object.entries(hosts))("the session cookie on %s", (_host, start) => {
  let host: RunningHost;

  afterEach(() => host.close());

  it("follows the request where secure is auto", async () => {
    host = await start({ session: { secret, secure: "auto" }, trustProxy: "loopback" });
    const setCookie = async (path: string, headers: Record<string, string>) => {
      const method = path === "/login" ? "POST" : "GET";
      return (await fetch(host.url + path, { method, headers })).headers.get("set-cookie") ?? "";
    };
    const overTls = { "x-forwarded-proto": "https" };
    const secure = await setCookie("/login", overTls);
    expect(secure).toMatch(/; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
    const plain = await setCookie("/login", {});
    expect(plain).toMatch(/; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = secure.split(";")[0] ?? "";
    expect(await setCookie("/logout", { cookie, ...overTls })).toMatch(/^session_id=; Max-Age=0;.*; Secure;/);
    expect(await setCookie("/logout", { cookie })).not.toMatch(/Secure/);
  });

  it("is read in quotes too", async () => {
    host = await start({ session: { secret } });
    const login = await fetch(`${host.url}/login`, { method: "POST" });
    const value = (login.headers.get("set-cookie") ?? "").split(";")[0]?.split("=")[1];
    const answer = await fetch(`${host.url}/me`, { headers: { cookie: `a=1; session_id="${value}"` } });
    expect(await answer.json()).toMatchObject({ userId: "u1" });
  });
});
