import { Agent, get } from "node:http";

/** What is asked of the fleet. */
export type Kind = "limits" | "sessions" | "tokens" | "revoked";

/** One answer; status 0 where there was none. */
export interface Answer {
  readonly kind: Kind;
  readonly server: number;
  /** Of a session: which. */
  readonly subject: number;
  readonly status: number;
  /** When it was asked, and how long the answer took, in milliseconds. */
  readonly atMs: number;
  readonly tookMs: number;
}

/** Milliseconds between two requests of a kind to a server. */
const PAUSE_MS = 50;
/** A request that takes longer hangs, in milliseconds. */
const HANG_MS = 5000;

const agent = new Agent({ keepAlive: true });

/** Asks once; resolves with the status, or 0. */
export function ask(url: string, headers: Record<string, string>): Promise<{ status: number; cookie: string }> {
  return new Promise((resolve) => {
    const request = get(url, { agent, headers, timeout: HANG_MS }, (response) => {
      const cookie = (response.headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "";
      response.resume().on("end", () => resolve({ status: response.statusCode ?? 0, cookie }));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve({ status: 0, cookie: "" }));
  });
}

/** What a fleet is asked with. */
export interface Credentials {
  readonly cookies: readonly string[];
  readonly token: string;
  /** A token that was revoked, where there is one. */
  readonly revokedToken?: string | undefined;
}

/** A steady stream of requests of each kind to each server. */
export class Traffic {
  readonly answers: Answer[] = [];
  readonly #credentials: Credentials;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #count = 0;
  #dueMs = performance.now() + PAUSE_MS;
  /** How late a timer of this process came, at most: says whether the machine is too busy to judge by. */
  latestTimerMs = 0;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#timers.push(
      setInterval(() => {
        const now = performance.now();
        this.latestTimerMs = Math.max(this.latestTimerMs, now - this.#dueMs);
        this.#dueMs = now + PAUSE_MS;
      }, PAUSE_MS),
    );
  }

  /** Asks another server too, from now on. */
  add(address: string, server: number): void {
    const kinds: readonly Kind[] = ["limits", "sessions", "tokens", ...(this.#revoked() ? ["revoked" as const] : [])];
    for (const kind of kinds) {
      this.#timers.push(
        setInterval(() => {
          const one = this.#ask(address, server, kind).finally(() => this.#underWay.delete(one));
          this.#underWay.add(one);
        }, PAUSE_MS),
      );
    }
  }

  /** Ends it, and waits for what was asked. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#underWay);
  }

  #revoked(): boolean {
    return this.#credentials.revokedToken !== undefined;
  }

  async #ask(address: string, server: number, kind: Kind): Promise<void> {
    const count = this.#count++;
    const { cookies, token, revokedToken = "" } = this.#credentials;
    const subject = count % Math.max(1, cookies.length);
    const [path, headers] = {
      // A key of its own each time: only the store can be in the way.
      limits: ["/limited", { "x-key": `steady ${count}` }] as const,
      sessions: ["/session", { cookie: cookies[subject] ?? "" }] as const,
      tokens: ["/token", { authorization: `Bearer ${token}` }] as const,
      revoked: ["/token", { authorization: `Bearer ${revokedToken}` }] as const,
    }[kind];
    const atMs = performance.now();
    const { status } = await ask(address + path, headers);
    this.answers.push({ kind, server, subject, status, atMs, tookMs: performance.now() - atMs });
  }
}
