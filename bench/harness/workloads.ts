import type { Features } from "./server-process.js";
import type { Algorithm } from "./tokens.js";

/** One kind of traffic against every server. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly features: Features;
  readonly algorithm: Algorithm;
  readonly path: "/me" | "/write";
  /** The token of each request: always the same good one, a good one never seen before, a forged one. */
  readonly token: "none" | "repeated" | "new" | "forged";
  readonly connections: number;
  readonly expectedStatus: 200 | 401 | 429;
  /** A closed loop as fast as it goes, or an open loop at half of the rate that Cello's App reaches. */
  readonly pace: "maximum" | "half";
}

const EVERYTHING: Features = { headers: true, limit: true, session: true, jwt: true };
const NOTHING: Features = { headers: false, limit: false, session: false, jwt: false };

const WARM: Omit<Workload, "name" | "title"> = {
  features: EVERYTHING,
  algorithm: "HS256",
  path: "/me",
  token: "repeated",
  connections: 64,
  expectedStatus: 200,
  pace: "maximum",
};

const ALL: readonly Workload[] = [
  { ...WARM, name: "all-warm", title: "Everything on, repeated tokens and sessions" },
  { ...WARM, name: "all-new", title: "Everything on, every token new (HS256)", token: "new" },
  { ...WARM, name: "session-write", title: "Everything on, session written on every request", path: "/write" },
  { ...WARM, name: "one-connection", title: "Everything on, repeated, 1 connection", connections: 1 },
  {
    ...WARM,
    name: "headers",
    title: "Only security headers",
    features: { ...NOTHING, headers: true },
    token: "none",
  },
  { ...WARM, name: "limit", title: "Only rate limit", features: { ...NOTHING, limit: true }, token: "none" },
  { ...WARM, name: "flood-429", title: "Flood refused by the limit (429)", expectedStatus: 429 },
  { ...WARM, name: "flood-401", title: "Flood of forged tokens (401)", token: "forged", expectedStatus: 401 },
  { ...WARM, name: "rs256-warm", title: "Everything on, repeated, RS256", algorithm: "RS256" },
  { ...WARM, name: "rs256-new", title: "Everything on, every token new, RS256", algorithm: "RS256", token: "new" },
  { ...WARM, name: "es256-warm", title: "Everything on, repeated, ES256", algorithm: "ES256" },
  { ...WARM, name: "es256-new", title: "Everything on, every token new, ES256", algorithm: "ES256", token: "new" },
  { ...WARM, name: "latency-half", title: "Everything on, at half of Cello's maximum rate", pace: "half" },
];

/**
 * The workloads that were asked for, or all.
 *
 * @throws Error naming a workload that does not exist
 */
export function selectWorkloads(names: readonly string[] | undefined): readonly Workload[] {
  if (names === undefined) return ALL;
  return names.map((name) => {
    const found = ALL.find((workload) => workload.name === name);
    if (found === undefined) {
      throw new Error(`no workload "${name}"; there are ${ALL.map((workload) => workload.name).join(", ")}`);
    }
    return found;
  });
}
