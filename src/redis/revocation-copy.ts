import { systemClock } from "../core/clock.js";
import { MemoryRevocationList } from "../jwt/revocation.js";
import { GRACE_MS } from "./revocation-scripts.js";

/** Entries that were learned so lately may be known to this process alone, in milliseconds, */
export const RECENT_MS = 60_000;
/** and so many of them are told: less than what the log of changes holds. */
const MOST_RECENT = 5_000;

/** One thing that was revoked, as it stands in the shared list. */
export interface RevocationEntry {
  /** `t` for a token, `s` for a subject. */
  readonly kind: "t" | "s";
  readonly name: string;
  /** For a subject: tokens issued until then are refused, in milliseconds since 1970. For a token 0. */
  readonly untilMs: number;
  /** Until when it is remembered, in milliseconds since 1970; `Infinity` for ever. */
  readonly expiresMs: number;
}

/** What one process knows of the shared list, and what it learned last. */
export class RevocationCopy {
  readonly list: MemoryRevocationList;
  /** What was learned, and when, on the monotonic clock. */
  #recent: { readonly entry: RevocationEntry; readonly atMs: number }[] = [];

  constructor(maxEntries: number) {
    this.list = new MemoryRevocationList({ maxEntries });
  }

  add({ kind, name, untilMs, expiresMs }: RevocationEntry): void {
    if (kind === "s") this.list.revokeAll(name, untilMs, (expiresMs - untilMs) / 1000);
    else this.list.revoke(name, expiresMs / 1000);
  }

  /** Knows one more, which others may not know. */
  learn(entry: RevocationEntry): void {
    this.add(entry);
    this.#recent.push({ entry, atMs: systemClock.monotonicMs() });
    if (this.#recent.length >= 2 * MOST_RECENT) this.#recent = this.#recent.slice(-MOST_RECENT);
  }

  /** What was learned in the last minute before a moment, and since. */
  recent(beforeMs: number): readonly RevocationEntry[] {
    const recent = this.#recent.filter(({ atMs }) => atMs >= beforeMs - RECENT_MS).slice(-MOST_RECENT);
    return recent.map(({ entry }) => entry);
  }

  *entries(): Generator<RevocationEntry> {
    const now = systemClock.wallMs();
    for (const [name, seconds] of this.list.tokens) {
      if (seconds * 1000 + GRACE_MS > now) yield { kind: "t", name, untilMs: 0, expiresMs: seconds * 1000 };
    }
    const lifetimeMs = this.list.subjectLifetime * 1000;
    for (const [name, untilMs] of this.list.subjects) {
      if (untilMs + lifetimeMs + GRACE_MS > now) yield { kind: "s", name, untilMs, expiresMs: untilMs + lifetimeMs };
    }
  }
}
