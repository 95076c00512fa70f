import { App, type SaveOutcome, type SessionOptions, type SessionRecord } from "cello";
import { RedisStore, type RedisStoreOptions } from "cello/redis";

/** Counts how often a save met the save of somebody else. */
class CountingStore extends RedisStore {
  conflicts = 0;

  override async save(id: string, record: SessionRecord, expectedVersion: number): Promise<SaveOutcome> {
    const outcome = await super.save(id, record, expectedVersion);
    if (outcome === "conflict") this.conflicts++;
    return outcome;
  }
}

/** An application with sessions in Redis, and what its browsers do. */
export interface SessionApp {
  readonly app: App;
  readonly store: CountingStore;
  /** @returns the cookie, and the session's id */
  logIn(userId: string): Promise<{ readonly cookie: string; readonly id: string }>;
  /** @returns whether the write was acknowledged */
  set(cookie: string, key: string): Promise<boolean>;
  /** All values of the session; an empty one when it is over. */
  read(cookie: string): Promise<Readonly<Record<string, unknown>>>;
  logOut(cookie: string): Promise<void>;
}

/** One process of a fleet. The deadline is generous: the tests are about what is kept, on machines that are busy. */
export function openSessionApp(redis: RedisStoreOptions, options: Partial<SessionOptions> = {}): SessionApp {
  const store = new CountingStore({ deadline: 10_000, ...redis });
  const app = new App();
  app.enableSession({ secret: "a secret of more than thirty-two bytes, for tests", store, ...options });
  app.post<{ Params: { user: string } }>("/login/:user", async (request) => {
    await request.session.regenerate();
    request.session.set("userId", request.params.user);
    return request.session.id;
  });
  app.post<{ Params: { key: string } }>("/set/:key", (request) => {
    if (request.session.get("userId") === undefined) throw new Error("nobody is logged in");
    request.session.set(request.params.key, 1);
    return "kept";
  });
  app.get("/", (request) => request.session.all());
  app.post("/logout", async (request) => {
    await request.session.destroy();
    return "bye";
  });
  const send = (method: "GET" | "POST", url: string, cookie = "") =>
    app.inject({ method, url, headers: { cookie: `session_id=${cookie}` } });
  return {
    app,
    store,
    async logIn(userId) {
      const response = await send("POST", `/login/${userId}`);
      const cookie = response.cookies.find(({ name }) => name === "session_id");
      if (cookie === undefined) throw new Error(`the login was answered with ${response.statusCode}`);
      return { cookie: cookie.value, id: response.body };
    },
    async set(cookie, key) {
      const { statusCode } = await send("POST", `/set/${key}`, cookie);
      return statusCode === 200;
    },
    async read(cookie) {
      const response = await send("GET", "/", cookie);
      if (response.statusCode !== 200) throw new Error(`the session was answered with ${response.statusCode}`);
      return response.json<Record<string, unknown>>();
    },
    async logOut(cookie) {
      await send("POST", "/logout", cookie);
    },
  };
}
