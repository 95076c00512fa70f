import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { SERVED_BY } from "./policy.js";

/** What a client got for one request. */
export interface Answer {
  readonly path: "/work" | "/visits";
  /** 0 when the connection broke, or the client lost patience. */
  readonly status: number;
  /** No answer came within two seconds. */
  readonly hung: boolean;
  /** `Date.now()` when it was asked and answered. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly milliseconds: number;
  /** The number of the server; `undefined` when the answer is none of a server. */
  readonly servedBy: string | undefined;
  readonly hasSecurityHeaders: boolean;
  /** The visitor had been counted before, and was not known any more. */
  readonly lostSession: boolean;
}

/** How long a client waits for an answer, in milliseconds. */
const PATIENCE_MS = 2000;
/** How long a client does something else between two requests, in milliseconds. */
const PAUSE_MS = 20;
/** Clients of each kind: many times as many requests as the limit admits. */
const CLIENTS = 12;

interface Visitor {
  cookie: string | undefined;
  visits: number;
}

/**
 * Clients that ask, wait for the answer, and ask again: half of them for work, without a cookie, and
 * half of them visitors with a session.
 */
export class Load {
  readonly #port: number;
  readonly #onAnswer: (answer: Answer) => void;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #visitors: Visitor[] = [];
  readonly #clients: Promise<void>[] = [];
  #isOver = false;

  constructor(port: number, onAnswer: (answer: Answer) => void) {
    this.#port = port;
    this.#onAnswer = onAnswer;
  }

  start(): void {
    for (let index = 0; index < CLIENTS; index++) {
      const visitor: Visitor = { cookie: undefined, visits: 0 };
      this.#visitors.push(visitor);
      this.#clients.push(this.#repeat(() => this.#ask("/work")));
      this.#clients.push(this.#repeat(() => this.#visit(visitor)));
    }
  }

  /** From now on nobody expects the service to know what it knew. */
  expectNewSessions(): void {
    for (const visitor of this.#visitors) visitor.visits = 0;
  }

  /** Resolves when every client has its last answer. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #repeat(ask: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await ask();
      await wait(PAUSE_MS);
    }
  }

  async #visit(visitor: Visitor): Promise<void> {
    await this.#ask("/visits", visitor);
  }

  async #ask(path: Answer["path"], visitor?: Visitor): Promise<void> {
    const askedAtMs = Date.now();
    const start = performance.now();
    const headers = visitor?.cookie === undefined ? {} : { cookie: visitor.cookie };
    const { status, hung, headers: fields, body } = await this.#send(path, headers);
    this.#onAnswer({
      path,
      status,
      hung,
      askedAtMs,
      answeredAtMs: Date.now(),
      milliseconds: performance.now() - start,
      servedBy: fields[SERVED_BY]?.toString(),
      hasSecurityHeaders: fields["x-content-type-options"] === "nosniff",
      lostSession: visitor !== undefined && status === 200 && !remember(visitor, fields, body),
    });
  }

  #send(path: string, headers: Record<string, string>): Promise<Reply> {
    return new Promise((resolve) => {
      const request = get({ agent: this.#agent, host: "127.0.0.1", port: this.#port, path, headers });
      const timer = setTimeout(() => {
        resolve({ ...NO_REPLY, hung: true });
        request.destroy();
      }, PATIENCE_MS);
      const settle = (reply: Reply) => {
        clearTimeout(timer);
        resolve(reply);
      };
      request.on("error", () => settle(NO_REPLY));
      request.on("response", (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          body += text;
        });
        response.on("error", () => settle(NO_REPLY));
        response.on("end", () =>
          settle({ status: response.statusCode ?? 0, hung: false, headers: response.headers, body }),
        );
      });
    });
  }
}

interface Reply {
  readonly status: number;
  readonly hung: boolean;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const NO_REPLY: Reply = { status: 0, hung: false, headers: {}, body: "" };

/**
 * Keeps the cookie and the count.
 *
 * @returns whether the count went on from the last
 */
function remember(visitor: Visitor, headers: IncomingHttpHeaders, body: string): boolean {
  const cookie = headers["set-cookie"]?.[0]?.split(";")[0];
  if (cookie !== undefined) visitor.cookie = cookie;
  const read: unknown = JSON.parse(body);
  const visits = typeof read === "object" && read !== null && "visits" in read ? Number(read.visits) : Number.NaN;
  const goesOn = visits > visitor.visits;
  visitor.visits = visits;
  return goesOn;
}
