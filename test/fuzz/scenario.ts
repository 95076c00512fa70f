import type { Random } from "./random.js";

/** What one request of a scenario asks for. */
export interface FuzzRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly path: string;
  /** The body; `undefined` for none. */
  readonly body?: string | undefined;
  /** Sent with the head's `Expect: 100-continue`. */
  readonly expectsContinue?: boolean | undefined;
}

/** How a connection ends. */
type Ending = "answered" | "half-closed" | "reset" | "half a head" | "half a body" | "never answered";

/** One connection: what it sends, in how many pieces, and how it ends. */
export interface FuzzConnection {
  /** Whom the limits count it for. */
  readonly client: string;
  /** Milliseconds from the beginning of the scenario. */
  readonly afterMs: number;
  readonly requests: readonly FuzzRequest[];
  /** Whether all are sent ahead of the answers, or each waits for the one before. */
  readonly isPipelined: boolean;
  /** Into so many pieces, some milliseconds apart. */
  readonly pieces: number;
  readonly ending: Ending;
  /** Milliseconds from the last byte to the reset, for endings that are one. */
  readonly lingerMs: number;
}

/** What the stores do meanwhile. */
export interface StoreMood {
  /** Milliseconds until they answer. */
  readonly stallMs: number;
  /** Every so many questions one is not answered; 0: never. */
  readonly failEvery: number;
}

/** Everything that happens to a host at once; plain data, made of the seed alone. */
export interface Scenario {
  readonly seed: number;
  readonly mood: StoreMood;
  readonly connections: readonly FuzzConnection[];
}

const CLIENTS = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
const JSON_BODY = '{"user":"u1"}';
const UPLOADS = [1, 100, 5000, 70_000] as const;

/** A scenario of 1 to 12 connections. */
export function createScenario(seed: number, random: Random): Scenario {
  const mood = {
    stallMs: random.chance(0.5) ? 0 : random.whole(1, 25),
    failEvery: random.chance(0.8) ? 0 : random.whole(2, 9),
  };
  const count = random.whole(1, 12);
  return { seed, mood, connections: Array.from({ length: count }, () => createConnection(random)) };
}

function createConnection(random: Random): FuzzConnection {
  const ending = random.pick<Ending>([
    "answered",
    "answered",
    "answered",
    "half-closed",
    "reset",
    "reset",
    "half a head",
    "half a body",
    "never answered",
  ]);
  // Floods of what takes a moment are what a reset finds in the middle.
  const isFlood = random.chance(0.25);
  const flooding = isFlood ? createRequest(random) : undefined;
  const count = isFlood ? random.whole(10, 40) : random.whole(1, 5);
  return {
    client: random.pick(CLIENTS),
    afterMs: random.whole(0, 15),
    requests: Array.from({ length: count }, () => flooding ?? createRequest(random)),
    isPipelined: isFlood || random.chance(0.5),
    pieces: random.chance(0.7) ? 1 : random.whole(2, 6),
    ending,
    lingerMs: random.chance(0.4) ? 0 : random.whole(1, 30),
  };
}

function createRequest(random: Random): FuzzRequest {
  const kind = random.pick([
    () => get("/quick"),
    () => get("/page"),
    () => get("/session"),
    () => get(`/slow?ms=${random.whole(1, 20)}`),
    () => get("/stream"),
    () => get("/hints"),
    () => get("/empty"),
    () => get("/destroyed"),
    () => get("/fails"),
    () => get("/unknown"),
    () => ({ method: "HEAD" as const, path: random.pick(["/quick", "/page", "/session"]) }),
    () => post("/login", JSON_BODY),
    () => post("/login", JSON_BODY),
    () => ({ ...post("/login", JSON_BODY), expectsContinue: true }),
    () => post("/upload", "x".repeat(random.pick(UPLOADS))),
    () => post("/unread", "x".repeat(random.pick(UPLOADS))),
  ]);
  return kind();
}

function get(path: string): FuzzRequest {
  return { method: "GET", path };
}

function post(path: string, body: string): FuzzRequest {
  return { method: "POST", path, body };
}
