import type { Answer } from "./load.js";

/** What the clients got in one phase. An answer belongs to the phase in which it came. */
export class Phase {
  readonly name: string;
  readonly beganAtMs: number;
  endedAtMs = 0;
  /** 2xx. */
  admitted = 0;
  /** 429. */
  refused = 0;
  /** 503. */
  unavailable = 0;
  /** Any other 5xx, and broken connections. */
  failed = 0;
  /** No answer within the patience of the client. */
  hung = 0;
  /** Anything that no server should say, such as 404, and answers without security headers. */
  unexpected = 0;
  lostSessions = 0;
  slowestMs = 0;
  readonly servedBy = new Set<string>();
  /** The most that could be taken from the limit in this phase. */
  limit = 0;

  constructor(name: string, beganAtMs: number) {
    this.name = name;
    this.beganAtMs = beganAtMs;
  }

  /** Requests that took from the limit: a session that cannot be read is found out after that. */
  get taken(): number {
    return this.admitted + this.unavailable;
  }

  get seconds(): number {
    return (this.endedAtMs - this.beganAtMs) / 1000;
  }

  add(answer: Answer): void {
    const { status } = answer;
    if (answer.hung) this.hung++;
    else if (status >= 200 && status < 300) this.admitted++;
    else if (status === 429) this.refused++;
    else if (status === 503) this.unavailable++;
    else if (status === 0 || status >= 500) this.failed++;
    else this.unexpected++;
    if (answer.lostSession) this.lostSessions++;
    if (answer.servedBy !== undefined) this.servedBy.add(answer.servedBy);
    // The proxy's own answers are none of a server; they are counted as failed.
    if ([200, 429, 503].includes(status) && !answer.hasSecurityHeaders) this.unexpected++;
    this.slowestMs = Math.max(this.slowestMs, answer.milliseconds);
  }
}
