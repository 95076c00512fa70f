import { createServer, type Server } from "node:http";
import { MemorySessionStore, Security, type SessionStore } from "cello";
import { cello } from "cello/express";
import express, { type Express } from "express";
import { afterEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";

/** What code for Express' sessions takes a session for. */
type OldSession = Record<string, unknown> & {
  views?: number;
  cart?: string[];
  user?: unknown;
  cookie: { maxAge: number; secure?: boolean };
};

function laterStore(): SessionStore {
  const store = new MemorySessionStore();
  const later = <Value>(value: Value) => new Promise<Value>((resolve) => setImmediate(resolve, value));
  return {
    load: (id) => later(store.load(id)),
    save: (...given) => later(store.save(...given)),
    touch: (...given) => later(store.touch(...given)),
    delete: (id) => later(store.delete(id)),
  };
}

const kinds: Record<string, () => SessionStore | undefined> = {
  sealed: () => undefined,
  "in memory": () => new MemorySessionStore(),
  "in a store that answers later": laterStore,
};

describe.each(Object.entries(kinds))("properties of an Express session (%s)", (_kind, makeStore) => {
  let server: Server;
  let cookie = "";

  const start = async (handlers: Record<string, (session: OldSession) => unknown>) => {
    const app: Express = express();
    app.use(cello(new Security({ session: { secret, store: makeStore() } })));
    for (const [path, handler] of Object.entries(handlers)) {
      app.get(`/${path}`, (request, response) => {
        // What code in JavaScript, or with the types of express-session, does without a word from the compiler.
        const session: OldSession = Object(request.session);
        response.json({ answer: handler(session) ?? null });
      });
    }
    app.use(((error, _request, response, _next) => {
      response.status(500).json({ name: error.name, message: error.message });
    }) satisfies express.ErrorRequestHandler);
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cookie = "";
  };
  const get = async (path: string) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const response = await fetch(`http://127.0.0.1:${address.port}/${path}`, { headers: { cookie } });
    const setCookie = response.headers.get("set-cookie");
    if (setCookie !== null) cookie = setCookie.split(";")[0] ?? "";
    const body: { answer?: unknown; name?: string; message?: string } = Object(await response.json());
    return body;
  };
  const answer = async (path: string) => (await get(path)).answer;

  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it("are kept", async () => {
    await start({
      in: (session) => {
        session.user = "u1";
        Object.assign(session, { role: "admin", tags: ["a"] });
      },
      who: (session) => [session.user, session.role, session.tags, "user" in session, "nobody" in session],
    });
    await get("in");
    expect(await answer("who")).toEqual(["u1", "admin", ["a"], true, false]);
  });

  it("count", async () => {
    await start({
      count: (session) => {
        session.views = (session.views ?? 0) + 1;
        session.views++;
        return session.views;
      },
    });
    expect([await answer("count"), await answer("count")]).toEqual([2, 4]);
  });

  it("can be deleted, and set to undefined", async () => {
    await start({
      in: (session) => {
        session.user = "u1";
        session.role = "admin";
        session.theme = "dark";
      },
      out: (session) => {
        delete session.user;
        session.role = undefined;
        return Object.keys(session);
      },
      keys: (session) => [Object.keys(session), JSON.stringify(session), { ...session }],
    });
    await get("in");
    expect(await answer("out")).toEqual(["theme"]);
    expect(await answer("keys")).toEqual([["theme"], '{"theme":"dark"}', { theme: "dark" }]);
  });

  it("hold objects that can be changed in place", async () => {
    await start({
      first: (session) => {
        session.cart = ["apple"];
        session.cart.push("pear");
      },
      second: (session) => {
        session.cart?.push("plum");
        return session.cart;
      },
      read: (session) => session.cart,
    });
    await get("first");
    expect(await answer("second")).toEqual(["apple", "pear", "plum"]);
    expect(await answer("read")).toEqual(["apple", "pear", "plum"]);
  });

  it("are the values of get and set", async () => {
    await start({
      both: (session) => {
        const { set, get } = session;
        if (typeof set !== "function" || typeof get !== "function") throw new Error("no methods");
        session.cart = ["apple"];
        session.cart.push("pear");
        const seen = get.call(session, "cart");
        set.call(session, "cart", ["plum"]);
        return [seen, session.cart];
      },
      read: (session) => session.cart,
    });
    expect(await answer("both")).toEqual([["apple", "pear"], ["plum"]]);
    expect(await answer("read")).toEqual(["plum"]);
  });

  it("are text when they were dates, as JSON has it", async () => {
    await start({
      in: (session) => {
        session.at = new Date(0);
        session.note = { read: undefined, by: "u1" };
      },
      read: (session) => [session.at, session.note],
    });
    await get("in");
    expect(await answer("read")).toEqual(["1970-01-01T00:00:00.000Z", { by: "u1" }]);
  });

  it.each<[string, (session: OldSession) => unknown, RegExp]>([
    ["a member", (session) => Object.assign(session, { get: 1 }), /session\.get: "get" is a member.*session\.set\(/],
    ["the prototype", (session) => Reflect.set(session, "__proto__", {}), /is a member/],
    ["a getter", (session) => Object.defineProperty(session, "user", { get: () => 1 }), /session\.set\(/],
    ["what JSON cannot carry", (session) => Object.assign(session, { map: new Map() }), /is an instance of Map/],
    ["a lifetime", (session) => Object.assign(session.cookie, { maxAge: 1 }), /session\.cookie\.maxAge.*SessionConfig/],
    ["a flag", (session) => Reflect.set(session.cookie, "secure", true), /session\.cookie\.secure.*SessionConfig/],
    ["anything when frozen", (session) => Object.freeze(session), /preventExtensions/],
  ])("throw where they cannot be kept: %s", async (_what, handler, message) => {
    await start({ wrong: handler });
    expect(await get("wrong")).toMatchObject({ name: "TypeError", message: expect.stringMatching(message) });
  });

  it("throw when an object that they hold was filled with what JSON cannot carry", async () => {
    await start({
      wrong: (session) => {
        const held: Record<string, unknown> = {};
        session.held = held;
        held.map = new Map();
      },
    });
    expect(await get("wrong")).toMatchObject({
      name: "TypeError",
      message: expect.stringMatching(/"held"\.map is an instance of Map/),
    });
  });

  it("tell how long the cookie lasts", async () => {
    await start({ read: (session) => session.cookie.maxAge > 86_000_000 });
    expect(await answer("read")).toBe(true);
  });

  it("send no cookie when nothing was changed", async () => {
    await start({
      in: (session) => {
        session.cart = ["apple"];
      },
      read: (session) => session.cart,
      same: (session) => {
        session.cart = ["apple"];
      },
    });
    await get("in");
    const before = cookie;
    await get("read");
    await get("same");
    expect(cookie).toBe(before);
  });

  it("replace request.session for nobody: an assignment to it throws", async () => {
    const app = express();
    app.use(cello(new Security({ session: { secret, store: makeStore() } })));
    app.get("/", (request, response) => {
      try {
        Reflect.apply(Function("request", "request.session = null"), undefined, [request]);
        response.json({ answer: "assigned" });
      } catch (error) {
        response.json({ answer: error instanceof Error ? error.message : "" });
      }
    });
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    expect(await answer("")).toMatch(/request\.session.*destroy/);
  });
});
