/** Contenders that do the same work, in one setting. */
export interface MicroCase {
  readonly name: string;
  readonly title: string;
  /** The file in contenders/. */
  readonly group: "limiters" | "tokens" | "cookies" | "heads";
  readonly contenders: readonly string[];
  readonly params: Readonly<Record<string, unknown>>;
  /** Nanoseconds per operation, or bytes per key. */
  readonly mode: "time" | "bytes";
}

const LIMITERS = [
  "cello token bucket",
  "cello sliding window",
  "rate-limiter-flexible",
  "express-rate-limit",
  "@fastify/rate-limit",
];

function limiterCases(): MicroCase[] {
  const group = "limiters";
  const times = [1, 100_000, 1_000_000].map((keys): MicroCase => {
    const title = `Limiter, ${keys.toLocaleString("en")} keys: a decision`;
    return { name: `limiter-${keys}`, title, group, contenders: LIMITERS, params: { keys }, mode: "time" };
  });
  const bytes = [100_000, 1_000_000].map((keys): MicroCase => {
    const title = `Limiter, ${keys.toLocaleString("en")} keys: memory per key`;
    return { name: `limiter-bytes-${keys}`, title, group, contenders: LIMITERS, params: { keys }, mode: "bytes" };
  });
  return [...times, ...bytes];
}

function tokenCases(): MicroCase[] {
  const contenders = ["cello", "fast-jwt", "jose", "jsonwebtoken"];
  return ["HS256", "RS256", "ES256"].flatMap((algorithm) =>
    [false, true].map((isRepeated): MicroCase => {
      const kind = isRepeated ? "repeated" : "new";
      const title = `${algorithm}: a token ${isRepeated ? "seen before" : "not seen before"}`;
      const name = `${algorithm.toLowerCase()}-${kind}`;
      return { name, title, group: "tokens", contenders, params: { algorithm, isRepeated }, mode: "time" };
    }),
  );
}

const COOKIES = [
  "cello, sealed",
  "@fastify/secure-session, sealed",
  "iron-session, sealed",
  "cookie-session, only signed",
];

const OTHERS: readonly MicroCase[] = [
  {
    name: "cookie",
    title: "Session cookie: open and seal",
    group: "cookies",
    contenders: [...COOKIES, "cello, session of a request, remembered"],
    params: {},
    mode: "time",
  },
  {
    name: "cookie-open",
    title: "Session cookie, not remembered: open",
    group: "cookies",
    contenders: COOKIES,
    params: { part: "open" },
    mode: "time",
  },
  {
    name: "cookie-seal",
    title: "Session cookie: seal",
    group: "cookies",
    contenders: COOKIES,
    params: { part: "seal" },
    mode: "time",
  },
  {
    name: "head",
    title: "Response head with security headers",
    group: "heads",
    contenders: ["cello", "helmet", "node:http, nothing"],
    params: { hasNonce: false },
    mode: "time",
  },
  {
    name: "head-nonce",
    title: "Response head with security headers and a CSP nonce",
    group: "heads",
    contenders: ["cello", "helmet", "node:http, nothing"],
    params: { hasNonce: true },
    mode: "time",
  },
];

/**
 * The cases that were asked for, by name, or all.
 *
 * @throws Error naming a case that does not exist
 */
export function selectCases(names: readonly string[] | undefined): readonly MicroCase[] {
  const all = [...limiterCases(), ...tokenCases(), ...OTHERS];
  if (names === undefined) return all;
  return names.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no case "${name}"; there are ${all.map((one) => one.name).join(", ")}`);
    return found;
  });
}
