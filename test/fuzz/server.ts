/** The process of one host: starts it, and tells its parent how it is. */
import { setTimeout as delay } from "node:timers/promises";
import type { RateLimitStore } from "cello";
import { type FuzzHost, type FuzzPolicy, hosts } from "./hosts.js";
import type { StoreMood } from "./scenario.js";
import { type CelloSources, loadSources } from "./sources.js";
import { Moody, moodyLimits, moodySessions } from "./stores.js";

/** What the parent asks. */
export type Question =
  | { readonly kind: "mood"; readonly mood: StoreMood }
  | { readonly kind: "state" }
  | { readonly kind: "memory" };

/** How the host is. */
export interface HostState {
  /** Places that are taken, by limit. */
  readonly places: number;
  readonly inFlight: number;
  readonly waiting: number;
  /** What reached nobody since the last question: each would have ended the process of an application. */
  readonly crashes: readonly string[];
}

/** Two servers of the host: with limits that count in memory, and in a store. */
export interface Ports {
  readonly memory: number;
  readonly store: number;
}

/** What the child says. */
export type Message =
  | { readonly kind: "listening"; readonly ports: Ports }
  | { readonly kind: "mood" }
  | ({ readonly kind: "state" } & HostState)
  | { readonly kind: "memory"; readonly heapMiB: number };

const crashes: string[] = [];
const note = (what: string) => (error: unknown) => {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  crashes.push(`${what}: ${text}`);
};
process.on("uncaughtException", note("an uncaught exception"));
process.on("unhandledRejection", note("an unhandled rejection"));
process.on("warning", (warning) => {
  if (warning.name === "MaxListenersExceededWarning") note("a leak of listeners")(warning);
});

const [, , name = "app"] = process.argv;
const moody = new Moody();
const sources = await loadSources();
const inMemory = await startHost(sources, undefined);
const inStore = await startHost(sources, moodyLimits(new sources.core.MemoryRateLimitStore(), moody));
tell({ kind: "listening", ports: { memory: inMemory.port, store: inStore.port } });
process.on("message", (question: Question) => {
  void answer(question).then(tell);
});
process.on("disconnect", () => process.exit());
// A parent that went while this started is not told of any more.
if (process.connected !== true) process.exit();

async function startHost(cello: CelloSources, store: RateLimitStore | undefined): Promise<FuzzHost> {
  const start = hosts[name];
  if (start === undefined) throw new Error(`no host is named ${name}; there are ${Object.keys(hosts).join(", ")}`);
  return start(cello, createPolicy(cello, store));
}

function createPolicy({ core }: CelloSources, store: RateLimitStore | undefined): FuzzPolicy {
  const { MemorySessionStore, RateLimitConfig, SessionConfig } = core;
  return {
    session: new SessionConfig({
      secret: "a secret of more than thirty-two bytes, for fuzzing",
      store: moodySessions(new MemorySessionStore({ maxSessions: 500 }), moody),
    }),
    rateLimit: RateLimitConfig.adaptive({
      baseRequests: 1_000_000,
      minRequests: 1_000_000,
      window: 1,
      maxConcurrency: 20,
      key: ({ headers }) => String(headers["x-client"]),
      store,
    }),
  };
}

async function answer(question: Question): Promise<Message> {
  if (question.kind === "mood") {
    moody.mood = question.mood;
    return { kind: "mood" };
  }
  if (question.kind === "state") {
    const sum = (read: (host: FuzzHost) => number) => read(inMemory) + read(inStore);
    return {
      kind: "state",
      places: sum(placesOf),
      inFlight: sum(({ security }) => security.rateLimits.load.inFlight),
      // Older states of the sources do not count these.
      waiting: sum(({ security }) => Number(Reflect.get(security.load, "waiting") ?? 0)),
      crashes: crashes.splice(0),
    };
  }
  for (let round = 0; round < 3; round++) {
    await delay(50);
    globalThis.gc?.();
  }
  return { kind: "memory", heapMiB: process.memoryUsage().heapUsed / 2 ** 20 };
}

function placesOf({ security }: FuzzHost): number {
  return security.rateLimits.load.limits.reduce((sum, { concurrency }) => sum + (concurrency?.inProgress ?? 0), 0);
}

function tell(message: Message): void {
  process.send?.(message);
}
