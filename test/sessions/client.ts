import { EventHub, type SecurityEventName } from "../../src/core/events.js";
import type { RequestView } from "../../src/core/request-view.js";
import { SessionConfig, type SessionOptions } from "../../src/session/config.js";
import { SessionManager } from "../../src/session/manager.js";
import type { Session } from "../../src/session/session.js";
import type { SessionStore } from "../../src/session/store.js";
import { TestClock } from "../clock.js";

/** A request of which only what sessions and CSRF look at is set. */
export function fakeRequest(
  headers: Readonly<Record<string, string | undefined>>,
  more: Partial<Pick<RequestView, "method" | "isSecure" | "clientIp" | "host">> = {},
): RequestView {
  const method = more.method ?? "GET";
  const clientIp = more.clientIp ?? "192.0.2.1";
  return {
    method,
    request: { method, url: "/", headers, clientIp },
    requestId: "request-1",
    rawPath: "/",
    peerAddress: clientIp,
    clientIp,
    isSecure: more.isSecure ?? false,
    host: more.host ?? "app.example",
    header: (name) => headers[name],
    headerCount: (name) => (headers[name] === undefined ? 0 : 1),
  };
}

export const TEST_SECRET = "a secret of 32 bytes, for tests.";

/** A manager with a clock, and the names of the events that it emitted. */
export class FakeServer {
  readonly clock: TestClock;
  readonly manager: SessionManager;
  readonly events: string[] = [];

  constructor(options: Partial<SessionOptions> = {}, clock = new TestClock()) {
    this.clock = clock;
    const hub = new EventHub();
    const names: SecurityEventName[] = [
      "session.created",
      "session.regenerated",
      "session.destroyed",
      "store.error",
      "store.recovered",
    ];
    for (const name of names) hub.on(name, () => this.events.push(name));
    hub.on("session.rejected", ({ reason }) => this.events.push(`session.rejected ${reason}`));
    hub.on("config.warning", ({ code }) => this.events.push(`config.warning ${code}`));
    this.manager = new SessionManager(new SessionConfig({ secret: TEST_SECRET, ...options }), { clock, events: hub });
  }

  /** The events since this was asked last. */
  takeEvents(): string[] {
    return this.events.splice(0);
  }
}

/** A browser with one cookie, that sends one request at a time or several at once. */
export class FakeClient {
  /** The cookie's value; `undefined` when it has none. */
  cookie: string | undefined;
  /** The last `Set-Cookie` value, `undefined` when the last response had none. */
  setCookie: string | undefined;

  constructor(
    readonly server: FakeServer,
    readonly cookieName = "session_id",
  ) {}

  /** Sends a request and keeps the cookie that the response sets. */
  async request<Result>(handler: (session: Session) => Result | Promise<Result>): Promise<Result> {
    const { manager } = this.server;
    const header = this.cookie === undefined ? undefined : `${this.cookieName}=${this.cookie}`;
    const session = await manager.open(fakeRequest({ cookie: header }));
    const result = await handler(session);
    this.receive(await manager.commit(session));
    return result;
  }

  /** Takes a response's `Set-Cookie`. */
  receive(setCookie: string | undefined): void {
    this.setCookie = setCookie;
    if (setCookie === undefined) return;
    const value = setCookie.slice(setCookie.indexOf("=") + 1, setCookie.indexOf(";"));
    this.cookie = setCookie.includes("Max-Age=0;") ? undefined : value;
  }
}

/** A store whose every answer comes later. */
export function laterStore(store: SessionStore): SessionStore {
  const { list } = store;
  const later = <Value>(value: Value) => new Promise<Value>((resolve) => setImmediate(resolve, value));
  return {
    load: async (id) => later(await store.load(id)),
    save: async (id, record, version) => later(await store.save(id, record, version)),
    touch: async (id, times) => later(await store.touch(id, times)),
    delete: async (id) => later(await store.delete(id)),
    ...(list && { list: async (userId: string) => later(await list.call(store, userId)) }),
  };
}
