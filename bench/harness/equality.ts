import { SECURITY_HEADERS } from "../servers/contract.mjs";
import { type Answer, get } from "./client.js";
import type { ServerProcess } from "./server-process.js";
import type { TokenMaker } from "./tokens.js";
import type { Workload } from "./workloads.js";

/** Collects what a server does otherwise than it must. */
class Findings {
  readonly #found: string[] = [];

  expect(isTrue: boolean, claim: string): void {
    if (!isTrue) this.#found.push(claim);
  }

  /** @throws Error with everything that was found */
  raise(server: string, workload: string): void {
    if (this.#found.length === 0) return;
    throw new Error(`${server} does not do the work of "${workload}":\n  - ${this.#found.join("\n  - ")}`);
  }
}

/** The cookies of an answer, as a client sends them back: of two with one name, the later. */
export function cookiesOf(answer: Answer): string {
  const jar = new Map<string, string>();
  for (const cookie of answer.cookies) {
    const [pair = ""] = cookie.split(";", 1);
    jar.set(pair.slice(0, pair.indexOf("=")), pair);
  }
  return [...jar.values()].join("; ");
}

/**
 * Checks that a server does the work that its workload times: claims from the token, the value from
 * the session, the header fields, a limit that counts. A peer that skips work is not a peer.
 *
 * @throws Error listing everything that is otherwise
 */
export async function checkAnswers(server: ServerProcess, workload: Workload, tokens: TokenMaker): Promise<void> {
  const { features } = workload;
  const findings = new Findings();
  const { port } = server;
  const good = await visitor(port, workload, tokens, 1);
  const answer = await get(port, "/me", good);
  expectServed(findings, answer, "user-1", "u1");
  if (features.headers) expectSecurityHeaders(findings, answer, "a served request");
  if (features.jwt) await checkTokens(findings, port, good, tokens, features.headers);
  if (features.session) await checkSession(findings, port, workload, tokens, good);
  if (features.limit) await checkCounting(findings, port, good);
  if (workload.path === "/write") await checkWriting(findings, port, good);
  findings.raise(server.name, workload.name);
}

/**
 * Checks that a server refuses the flood of its workload, with the security headers.
 *
 * @throws Error listing everything that is otherwise
 */
export async function checkRefusal(server: ServerProcess, workload: Workload, request: Headers): Promise<void> {
  const findings = new Findings();
  let answer = await get(server.port, workload.path, request);
  for (let count = 0; count < 10; count++) answer = await get(server.port, workload.path, request);
  const { expectedStatus } = workload;
  findings.expect(answer.status === expectedStatus, `answers ${answer.status} instead of ${expectedStatus}`);
  if (expectedStatus === 429) findings.expect(answer.headers.has("retry-after"), "a 429 has no Retry-After");
  if (workload.features.headers) expectSecurityHeaders(findings, answer, `a ${expectedStatus}`);
  findings.raise(server.name, workload.name);
}

type Headers = Readonly<Record<string, string | undefined>>;

/** Headers of a user with a session and a token of their own. */
export async function visitor(
  port: number,
  { features }: Workload,
  tokens: TokenMaker,
  number: number,
): Promise<Record<"Authorization" | "Cookie", string | undefined>> {
  const login = features.session ? await get(port, `/login?user=u${number}`, {}) : undefined;
  return {
    Authorization: features.jwt ? `Bearer ${tokens.make(`user-${number}`)}` : undefined,
    Cookie: login && cookiesOf(login),
  };
}

function expectServed(findings: Findings, answer: Answer, sub: string, userId: string): void {
  findings.expect(answer.status === 200, `answers ${answer.status} instead of 200: ${answer.body}`);
  findings.expect(
    answer.headers.get("content-type")?.startsWith("application/json") === true,
    `answers ${answer.headers.get("content-type")} instead of JSON`,
  );
  const expected = JSON.stringify({ sub, userId });
  findings.expect(answer.body === expected, `answers ${answer.body} instead of ${expected}`);
}

function expectSecurityHeaders(findings: Findings, answer: Answer, where: string): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
    const got = answer.headers.get(name.toLowerCase());
    findings.expect(got === value, `${where} has ${name}: ${got} instead of ${value}`);
  }
  findings.expect(!answer.headers.has("x-powered-by"), `${where} has X-Powered-By`);
}

async function checkTokens(findings: Findings, port: number, good: Headers, tokens: TokenMaker, hasHeaders: boolean) {
  const send = (token: string | undefined) => get(port, "/me", { ...good, Authorization: token && `Bearer ${token}` });
  expectServed(findings, await send(tokens.make("user-9")), "user-9", "u1");
  const refused = {
    "no token": undefined,
    "a forged token": tokens.forge("user-1"),
    "an expired token": tokens.make("user-1", { exp: Math.floor(Date.now() / 1000) - 10 }),
  };
  for (const [what, token] of Object.entries(refused)) {
    const answer = await send(token);
    findings.expect(answer.status === 401, `answers ${answer.status} to ${what}`);
    if (hasHeaders) expectSecurityHeaders(findings, answer, "a 401");
  }
}

async function checkSession(
  findings: Findings,
  port: number,
  workload: Workload,
  tokens: TokenMaker,
  good: Headers,
): Promise<void> {
  const other = await visitor(port, workload, tokens, 2);
  expectServed(findings, await get(port, "/me", other), "user-2", "u2");
  const tampered = (good.Cookie ?? "").replace(/=(.{12})./, (_, start) => `=${start}~`);
  for (const cookie of [undefined, tampered]) {
    const answer = await get(port, "/me", { ...good, Cookie: cookie });
    const what = cookie === undefined ? "without a cookie" : "with a tampered cookie";
    findings.expect(!answer.body.includes('"u1"'), `knows the session ${what}`);
  }
}

async function checkWriting(findings: Findings, port: number, good: Headers): Promise<void> {
  let cookie = good.Cookie;
  for (let count = 0; count < 2; count++) {
    const written = await get(port, "/write", { ...good, Cookie: cookie });
    expectServed(findings, written, "user-1", "u1");
    if (written.cookies.length > 0) cookie = cookiesOf(written);
  }
  const { body } = await get(port, "/count", { ...good, Cookie: cookie });
  findings.expect(body === '{"n":2}', `the session has ${body} after two writes`);
}

async function checkCounting(findings: Findings, port: number, good: Headers): Promise<void> {
  const before = remaining(await get(port, "/me", good));
  const count = 20;
  let after = before;
  for (let index = 0; index < count; index++) after = remaining(await get(port, "/me", good));
  const spent = before - after;
  // A bucket refills a little meanwhile.
  findings.expect(spent > count / 2 && spent <= count, `the limit counted ${spent} of ${count} requests`);
}

/** What is left of the quota, in any of the styles of the rate limit fields. */
function remaining({ headers }: Answer): number {
  const structured = /\b(?:r|remaining)=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  return Number(structured ?? headers.get("ratelimit-remaining") ?? headers.get("x-ratelimit-remaining") ?? Number.NaN);
}
