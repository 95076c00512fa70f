import { createServer, type Server } from "node:http";
import { MemorySessionStore, Security, type SessionStore } from "cello";
import { cello } from "cello/express";
import express from "express";
import passport from "passport";
import { afterEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";

/** A store over a network that can be cut. */
class NetworkStore implements SessionStore {
  readonly #store = new MemorySessionStore();
  isDown = false;

  load(id: string) {
    return this.#ask(() => this.#store.load(id));
  }
  save(...given: Parameters<MemorySessionStore["save"]>) {
    return this.#ask(() => this.#store.save(...given));
  }
  touch(...given: Parameters<MemorySessionStore["touch"]>) {
    return this.#ask(() => this.#store.touch(...given));
  }
  delete(id: string) {
    return this.#ask(() => this.#store.delete(id));
  }
  async #ask<Value>(answer: () => Value): Promise<Value> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.isDown) throw new Error("connection refused");
    return answer();
  }
}

/** Signs in whoever names himself in the query, as `passport-local` does with a form. */
class NameStrategy extends passport.Strategy {
  override readonly name = "name";

  override authenticate(request: express.Request): void {
    const user = request.query.user;
    if (typeof user === "string") this.success({ name: user });
    else this.fail("who are you?");
  }
}

const kinds: Record<string, () => SessionStore | undefined> = {
  sealed: () => undefined,
  "in memory": () => new MemorySessionStore(),
  "in a store that answers later": () => new NetworkStore(),
};

let server: Server;
let cookie: string;

async function start(store: SessionStore | undefined): Promise<void> {
  const authenticator = new passport.Passport();
  authenticator.use(new NameStrategy());
  authenticator.serializeUser((user, done) => done(null, "name" in user ? user.name : undefined));
  authenticator.deserializeUser((name, done) => done(null, { name }));

  const app = express();
  app.use(cello(new Security({ session: { secret, store } })));
  app.use(authenticator.session());
  app.get("/id", (request, response) => {
    request.session.set("cart", ["apple"]);
    response.json({ id: request.session.id });
  });
  app.get("/login", authenticator.authenticate("name", { failureMessage: true }), (request, response) => {
    response.json({ user: request.user, id: request.session.id });
  });
  app.get("/me", (request, response) => {
    response.json({ user: request.user ?? null, cart: request.session.get("cart") ?? null });
  });
  app.get("/rotate", async (request, response) => {
    await request.session.regenerate();
    response.json({});
  });
  app.get("/logout", (request, response, next) => {
    request.logout((error) => {
      if (error) next(error);
      else response.json({ user: request.user ?? null });
    });
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cookie = "";
}

async function get(path: string, sent = cookie) {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const response = await fetch(`http://127.0.0.1:${address.port}${path}`, { headers: { cookie: sent } });
  const setCookie = response.headers.get("set-cookie");
  if (setCookie !== null) cookie = setCookie.split(";")[0] ?? "";
  const text = await response.text();
  const body: { user?: unknown; id?: string; cart?: unknown } = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: response.status, setCookie, body };
}

afterEach(() => new Promise((resolve) => server.close(resolve)));

describe.each(Object.entries(kinds))("Passport on sessions (%s)", (kind, makeStore) => {
  it("signs in under a new id, stays signed in, and signs out", async () => {
    await start(makeStore());
    const { id } = (await get("/id")).body;
    const login = await get("/login?user=ann");
    expect(login).toMatchObject({ status: 200, body: { user: { name: "ann" } } });
    expect(login.body.id).not.toBe(id);
    expect((await get("/me")).body).toEqual({ user: { name: "ann" }, cart: ["apple"] });
    const signedIn = cookie;
    expect(await get("/logout")).toMatchObject({ status: 200, body: { user: null } });
    expect((await get("/me")).body.user).toBeNull();
    if (kind !== "sealed") expect((await get("/me", signedIn)).body.user).toBeNull();
  });

  it("keeps what it says to who failed", async () => {
    await start(makeStore());
    await get("/id");
    const { cookie: before } = { cookie };
    expect((await get("/login")).status).toBe(401);
    expect(cookie).not.toBe(kind === "sealed" ? before : "");
  });
});

describe("Passport and somebody who planted the session", () => {
  it("signs nobody in under the new id that the other got meanwhile", async () => {
    const store = new NetworkStore();
    await start(store);
    await get("/id");
    const planted = cookie;
    const save = store.save.bind(store);
    let taken: string | undefined;
    // The victim has the session open and is about to move it: somebody else is quicker.
    store.save = async (...given) => {
      store.save = save;
      taken = (await get("/rotate", planted)).setCookie?.split(";")[0];
      return save(...given);
    };
    expect(await get("/login?user=ann", planted)).toMatchObject({ status: 503, setCookie: null });
    expect(taken).toBeDefined();
    for (const left of [planted, taken]) expect((await get("/me", left)).body.user).toBeNull();
    expect(await get("/login?user=ann", planted)).toMatchObject({ status: 200, body: { user: { name: "ann" } } });
    expect((await get("/me", taken)).body.user).toBeNull();
  });
});

describe("Passport on a session store that fails", () => {
  it("is told, and nobody is signed in", async () => {
    const store = new NetworkStore();
    await start(store);
    await get("/id");
    const before = cookie;
    store.isDown = true;
    const login = await get("/login?user=ann");
    expect(login).toMatchObject({ status: 503, setCookie: null });
    store.isDown = false;
    expect((await get("/me", before)).body.user).toBeNull();
  });

  it("is told when the store fails between the question and the save", async () => {
    const store = new NetworkStore();
    await start(store);
    const save = store.save.bind(store);
    store.save = async () => {
      throw new Error("connection refused");
    };
    const login = await get("/login?user=ann");
    expect(login).toMatchObject({ status: 503, setCookie: null });
    store.save = save;
    expect((await get("/login?user=ann")).status).toBe(200);
    expect((await get("/me")).body.user).toEqual({ name: "ann" });
  });
});
