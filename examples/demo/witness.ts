import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { DemoApp } from "./demo-app.js";

/** One request of an attack as it reached the server, and the answer as it left. */
export interface Testimony {
  readonly method: string;
  readonly path: string;
  /** Request header fields that matter here; cookies without their values. */
  readonly received: Readonly<Record<string, string>>;
  readonly status: number;
  /** Response header fields as they went over the wire. */
  readonly sent: Readonly<Record<string, string>>;
  /** Security events of this request: for the operator's eyes, clients are not told. */
  readonly events: readonly string[];
}

/** What was seen of one attack. */
export interface AttackRecord {
  /** Number of requests. */
  count: number;
  /** How often each security event came. */
  readonly events: Record<string, number>;
  /** The first few requests. */
  readonly testimonies: Testimony[];
}

const MAX_ATTACKS = 64;
const MAX_TESTIMONIES = 8;
const MAX_OPEN_REQUESTS = 1000;
const ATTACK_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RECEIVED = ["host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "content-type"] as const;

/**
 * Remembers the requests of attacks, which carry `?attack=<id>`. A page cannot see what happens to a
 * form of another site or in a frame, so it asks this witness.
 */
export class Witness {
  /** By request id, until the response is sent. */
  readonly #events = new Map<string, string[]>();
  readonly #attacks = new Map<string, AttackRecord>();

  constructor(app: DemoApp) {
    app.on("token.rejected", (event) => this.#note(event.requestId, `token.rejected: ${event.reason}`));
    app.on("csrf.rejected", (event) => this.#note(event.requestId, `csrf.rejected: ${event.secFetchSite ?? "origin"}`));
    app.on("session.rejected", (event) => this.#note(event.requestId, `session.rejected: ${event.reason}`));
    app.on("ratelimit.exceeded", (event) => this.#note(event.requestId, `ratelimit.exceeded: ${event.name}`));
    app.addHook("onResponse", async (request, reply) => {
      const events = this.#events.get(request.id) ?? [];
      this.#events.delete(request.id);
      const url = new URL(request.url, "http://localhost");
      const attack = url.searchParams.get("attack") ?? "";
      if (!ATTACK_ID.test(attack)) return;
      this.#testify(attack, {
        method: request.method,
        path: url.pathname,
        received: receivedHeaders(request.headers),
        status: reply.statusCode,
        sent: sentHeaders(reply.raw),
        events,
      });
    });
  }

  /** What was seen of an attack; `undefined` when nothing. */
  recall(attack: string): AttackRecord | undefined {
    return this.#attacks.get(attack);
  }

  #note(requestId: string, event: string): void {
    const events = this.#events.get(requestId) ?? [];
    events.push(event);
    this.#events.set(requestId, events);
    forgetOldest(this.#events, MAX_OPEN_REQUESTS);
  }

  #testify(attack: string, testimony: Testimony): void {
    const record = this.#attacks.get(attack) ?? { count: 0, events: {}, testimonies: [] };
    record.count += 1;
    for (const event of testimony.events) record.events[event] = (record.events[event] ?? 0) + 1;
    if (record.testimonies.length < MAX_TESTIMONIES) record.testimonies.push(testimony);
    this.#attacks.set(attack, record);
    forgetOldest(this.#attacks, MAX_ATTACKS);
  }
}

/** Anybody can send requests that look like an attack: memory stays bounded. */
function forgetOldest(map: Map<string, unknown>, limit: number): void {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}

function receivedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const received: Record<string, string> = {};
  for (const name of RECEIVED) {
    const value = headers[name];
    if (value !== undefined) received[name] = String(value);
  }
  if (headers.cookie !== undefined) received.cookie = maskCookies(headers.cookie);
  return received;
}

/** A script that could read these records must learn no more of a cookie than its name and length. */
function maskCookies(header: string): string {
  return header.replace(/=([^;]*)/g, (_match, value: string) => `=(${value.length} characters)`);
}

/** The head as Node wrote it: the only place that has every field of every layer. */
function sentHeaders(response: ServerResponse): Record<string, string> {
  const head: unknown = Reflect.get(response, "_header");
  const sent: Record<string, string> = {};
  if (typeof head !== "string") return sent;
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon === -1) continue;
    const name = line.slice(0, colon).toLowerCase();
    sent[name] = name === "set-cookie" ? maskCookies(line.slice(colon + 1).trim()) : line.slice(colon + 1).trim();
  }
  return sent;
}
