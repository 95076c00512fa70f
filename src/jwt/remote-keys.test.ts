import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import { EventHub } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import { signCompact } from "../jws/index.js";
import type { JwtOptions } from "./config.js";
import { TokenError } from "./errors.js";
import { Jwt } from "./jwt.js";
import { TokenAuthenticator } from "./step.js";

const one = generateKeyPairSync("ec", { namedCurve: "P-256" });
const two = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const NOW = 1_700_000_000;

const jwkOf = (key: KeyObject, kid: string | undefined, more: object = {}) => ({
  ...key.export({ format: "jwk" }),
  ...(kid === undefined ? {} : { kid }),
  ...more,
});
const setOf = (...keys: object[]) => JSON.stringify({ keys });
const tokenOf = (key: KeyObject, kid?: string) =>
  signCompact(Buffer.from(JSON.stringify({ sub: "u", exp: NOW + 1_000_000 })), key, { alg: "ES256", kid });

const servers: Server[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}/jwks` : "";
}

/** An endpoint whose answer can be changed, and a Jwt that uses it. */
async function setUp({ body, ...options }: Partial<JwtOptions> & { body?: string } = {}) {
  const endpoint: { body: string; status: number; headers: Record<string, string>; fetches: number } = {
    body: body ?? setOf(jwkOf(one.publicKey, "one")),
    status: 200,
    headers: {},
    fetches: 0,
  };
  const uri = await serve((_request, response) => {
    endpoint.fetches++;
    response.writeHead(endpoint.status, endpoint.headers).end(endpoint.body);
  });
  return { endpoint, uri, ...jwtFor(uri, options) };
}

function jwtFor(jwksUri: string, options: Partial<JwtOptions> = {}) {
  const time = { seconds: NOW };
  const clock = { wallMs: () => time.seconds * 1000, monotonicMs: () => time.seconds * 1000 };
  const events = new EventHub();
  const told: string[] = [];
  events.on("store.error", ({ store, message }) => told.push(`${store}: ${message}`));
  events.on("config.warning", ({ code }) => told.push(code));
  events.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
  const jwt = new Jwt({ jwksUri, algorithm: "ES256", ...options }, { clock, events });
  return { jwt, time, told, events };
}

async function outcome(jwt: Jwt, token: string): Promise<string> {
  try {
    await jwt.verifyAsync(token);
    return "accepted";
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return error.code;
  }
}

function exchangeOf(token: string): RequestView {
  return {
    method: "GET",
    request: { method: "GET", url: "/", headers: {}, clientIp: "192.0.2.1" },
    requestId: "r1",
    rawPath: "/",
    peerAddress: undefined,
    clientIp: "192.0.2.1",
    isSecure: true,
    host: undefined,
    header: (name) => (name === "authorization" ? `Bearer ${token}` : undefined),
    headerCount: () => 1,
  };
}

describe("keys at a jwksUri", () => {
  it("are fetched at the first token and used for the next", async () => {
    const { jwt, endpoint } = await setUp();
    expect(() => jwt.verify(tokenOf(one.privateKey, "one"))).toThrow(
      expect.objectContaining({ code: "keys_unavailable" }),
    );
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    expect(jwt.verify(tokenOf(one.privateKey, "one"))).toMatchObject({ sub: "u" });
    expect(await outcome(jwt, tokenOf(two.privateKey, "one"))).toBe("signature");
    expect(endpoint.fetches).toBe(1);
  });

  it("are fetched again for an unknown kid, also right after they were fetched", async () => {
    const { jwt, endpoint } = await setUp();
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    endpoint.body = setOf(jwkOf(one.publicKey, "one"), jwkOf(two.publicKey, "two"));
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("accepted");
    expect(endpoint.fetches).toBe(2);
  });

  it("are fetched for invented kids three times, then once in a cool-down, however many ask", async () => {
    const { jwt, endpoint, time } = await setUp({ jwksMaxAge: 3600 });
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    const invent = async (count: number) => {
      for (let number = 0; number < count; number++) {
        expect(await outcome(jwt, tokenOf(two.privateKey, `no-${number}`))).toBe("unknown_key");
      }
    };
    await invent(50);
    expect(endpoint.fetches).toBe(4);
    for (let round = 1; round <= 3; round++) {
      time.seconds += 29;
      await invent(5);
      expect(endpoint.fetches).toBe(3 + round);
      time.seconds += 1;
      await invent(5);
      expect(endpoint.fetches).toBe(4 + round);
    }
    // A quiet time brings the burst back, and no more than that.
    time.seconds += 900;
    await invent(50);
    expect(endpoint.fetches).toBe(10);
  });

  it("are fetched by one request at a time", async () => {
    const { jwt, endpoint } = await setUp();
    const token = tokenOf(one.privateKey, "one");
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(jwt, token)));
    expect(new Set(outcomes)).toEqual(new Set(["accepted"]));
    expect(endpoint.fetches).toBe(1);
  });

  it("stay in use while the endpoint is down; that is told once, and so is its return", async () => {
    const { jwt, endpoint, time, told } = await setUp();
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    endpoint.status = 500;
    for (let number = 0; number < 3; number++) {
      time.seconds += 30;
      // It may have been rotated in: who has it must not drop his login.
      expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("keys_unavailable");
      expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
      expect(await outcome(jwt, tokenOf(two.privateKey, "one"))).toBe("signature");
    }
    expect(endpoint.fetches).toBe(4);
    endpoint.status = 200;
    time.seconds += 30;
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("unknown_key");
    expect(told).toEqual([expect.stringMatching(/^jwks: /), "jwks recovered"]);
  });

  it("are asked for again a second after a failure, then less and less often", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const { jwt, endpoint, time } = await setUp();
    endpoint.status = 500;
    let fetches = 1;
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    for (const wait of [1, 2, 4, 8, 16, 30, 30]) {
      time.seconds += wait - 0.25;
      expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
      expect(endpoint.fetches).toBe(fetches);
      time.seconds += 0.25;
      expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
      expect(endpoint.fetches).toBe(++fetches);
    }
    time.seconds += 30;
    endpoint.status = 200;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    // The next failure begins with a second again.
    endpoint.status = 500;
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("keys_unavailable");
    time.seconds += 1;
    endpoint.body = setOf(jwkOf(two.publicKey, "two"));
    endpoint.status = 200;
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("accepted");
  });

  it("never wait longer than was said, nor less than half of it", async () => {
    for (const random of [0, 0.5, 0.999]) {
      vi.spyOn(Math, "random").mockReturnValue(random);
      const { jwt, endpoint, time } = await setUp();
      endpoint.status = 500;
      await outcome(jwt, tokenOf(one.privateKey, "one"));
      time.seconds += 0.25;
      await outcome(jwt, tokenOf(one.privateKey, "one"));
      expect(endpoint.fetches).toBe(1);
      time.seconds += 0.75;
      await outcome(jwt, tokenOf(one.privateKey, "one"));
      expect(endpoint.fetches).toBe(2);
    }
  });

  it("are gone when the set is well-formed and empty, and that is told", async () => {
    const { jwt, endpoint, time, told } = await setUp();
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    endpoint.body = setOf();
    time.seconds += 600;
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("unknown_key");
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("unknown_key");
    expect(told).toEqual(["CELLO_JWKS_EMPTY"]);
    endpoint.body = setOf(jwkOf(one.publicKey, "one"));
    time.seconds += 30;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
  });

  it.each([
    ["jwksMaxStale", { jwksMaxStale: 700 }, 700],
    ["a day, when nothing is said", {}, 86_400],
  ])("are used while the endpoint fails, until %s", async (_, options, maxStale) => {
    const { jwt, endpoint, time, told } = await setUp(options);
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    endpoint.status = 500;
    time.seconds += maxStale - 0.25;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    // The fetch beside the request.
    await vi.waitFor(() => expect(told).toHaveLength(1));
    time.seconds += 0.25;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
    expect(told).toEqual([
      expect.stringMatching(/^jwks: /),
      "jwks: the keys are older than jwksMaxStale and not used any more",
    ]);
    endpoint.status = 200;
    time.seconds += 2;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    expect(told.at(-1)).toBe("jwks recovered");
  });

  it("that nobody used for longer than jwksMaxStale are fetched before they are used again", async () => {
    const { jwt, endpoint, time } = await setUp();
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    endpoint.body = setOf(jwkOf(two.publicKey, "two"));
    time.seconds += 86_400;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("unknown_key");
  });

  it.each<[string, Record<string, string>, number]>([
    ["the answer says less than jwksMaxAge", { "cache-control": "public, max-age=60" }, 60],
    ["the answer says more", { "cache-control": "max-age=86400" }, 600],
    ["a part of it has passed in caches", { "cache-control": "max-age=300", age: "200" }, 100],
    ["the answer may not be kept", { "cache-control": "no-store" }, 30],
    ["the answer is old at once", { "cache-control": "max-age=0, must-revalidate" }, 30],
    ["the answer says nothing that can be read", { "cache-control": "max-age=soon" }, 600],
  ])("are old by Cache-Control, within bounds: %s", async (_, headers, seconds) => {
    const { jwt, endpoint, time } = await setUp();
    endpoint.headers = headers;
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    time.seconds += seconds - 0.25;
    await outcome(jwt, tokenOf(one.privateKey, "one"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(endpoint.fetches).toBe(1);
    time.seconds += 0.25;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    await vi.waitFor(() => expect(endpoint.fetches).toBe(2));
  });

  it("may share a kid: each is tried", async () => {
    const { jwt } = await setUp({ body: setOf(jwkOf(one.publicKey, "k"), jwkOf(two.publicKey, "k")) });
    expect(await outcome(jwt, tokenOf(one.privateKey, "k"))).toBe("accepted");
    expect(await outcome(jwt, tokenOf(two.privateKey, "k"))).toBe("accepted");
  });

  it("are unavailable when they never were there, and are asked for again", async () => {
    const { jwt, endpoint, time, told } = await setUp();
    endpoint.status = 503;
    for (let number = 0; number < 3; number++) {
      expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
    }
    expect(endpoint.fetches).toBe(1);
    endpoint.status = 200;
    time.seconds += 30;
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("accepted");
    expect(told).toHaveLength(2);
  });

  it("are fetched again beside the request when they are old, so that withdrawn keys go", async () => {
    const { jwt, endpoint, time } = await setUp();
    const token = tokenOf(one.privateKey, "one");
    await outcome(jwt, token);
    endpoint.body = setOf(jwkOf(two.publicKey, "two"));
    time.seconds += 600;
    expect(jwt.verify(token)).toBeDefined();
    expect(await outcome(jwt, tokenOf(two.privateKey, "two"))).toBe("accepted");
    expect(await outcome(jwt, token)).toBe("unknown_key");
    // The last is for the kid that is not there any more.
    expect(endpoint.fetches).toBe(3);
  });

  it.each<[string, { body?: string; status?: number; headers?: Record<string, string> }]>([
    ["a redirect", { status: 302, headers: { location: "/elsewhere" } }],
    ["another success than 200", { status: 206 }],
    ["an answer over 1 MiB", { body: setOf(jwkOf(one.publicKey, "one")) + " ".repeat(1_048_576) }],
    ["an answer that is not JSON", { body: "<html>" }],
    ["an answer that is no JWK Set", { body: "[]" }],
    ["keys that are no list", { body: '{"keys":{}}' }],
    ["a set with an entry that is no key", { body: '{"keys":[null]}' }],
    ["a set that is cut off", { body: setOf(jwkOf(one.publicKey, "one")).slice(0, -1) }],
  ])("are refused: %s", async (_, answer) => {
    const { jwt, endpoint, told } = await setUp();
    Object.assign(endpoint, answer);
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
    expect(endpoint.fetches).toBe(1);
    expect(told).toHaveLength(1);
  });

  it.each<[string, object[]]>([
    ["an empty set", []],
    ["a set without a fit key", [jwkOf(rsa.publicKey, "one"), { kty: "oct", k: "AAAA", kid: "one" }, {}]],
    ["a key for encryption", [jwkOf(one.publicKey, "one", { use: "enc" })]],
    ["a key for another algorithm", [jwkOf(one.publicKey, "one", { alg: "ES384" })]],
    ["a key for other operations", [jwkOf(one.publicKey, "one", { key_ops: ["deriveKey"] })]],
    ["a key whose kid is a number", [jwkOf(one.publicKey, undefined, { kid: 1 })]],
  ])("are not there, and the answer is one: %s", async (_, keys) => {
    const { jwt, endpoint, told } = await setUp({ body: setOf(...keys) });
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("unknown_key");
    expect(told).toEqual(["CELLO_JWKS_EMPTY"]);
    expect(endpoint.fetches).toBe(1);
  });

  it("are found among keys that do not fit, with and without kid", async () => {
    const { jwt } = await setUp({
      body: setOf(jwkOf(rsa.publicKey, "rsa"), { kty: "new" }, jwkOf(one.privateKey, undefined)),
    });
    expect(await outcome(jwt, tokenOf(one.privateKey))).toBe("accepted");
    expect(await outcome(jwt, tokenOf(one.privateKey, "any"))).toBe("accepted");
    expect(() => jwt.sign({})).toThrow(expect.objectContaining({ code: "CELLO_CONFLICT" }));
  });

  it("are given up when the endpoint is slow", async () => {
    const { jwt, told } = jwtFor(
      await serve((_request, response) => {
        response.writeHead(200).write('{"keys":[');
      }),
      { jwksTimeout: 0.05 },
    );
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
    expect(told).toHaveLength(1);
  });

  it("are given up when nobody listens", async () => {
    const { jwt } = jwtFor("http://127.0.0.1:1/jwks");
    expect(await outcome(jwt, tokenOf(one.privateKey, "one"))).toBe("keys_unavailable");
  });
});

describe("TokenAuthenticator with a jwksUri", () => {
  it("waits for keys only when it must, and forgets tokens whose key was withdrawn", async () => {
    const { jwt, events, endpoint, time } = await setUp();
    const authenticator = new TokenAuthenticator(jwt, events);
    const first = exchangeOf(tokenOf(one.privateKey, "one"));
    const waiting = authenticator.authenticate(first);
    expect(waiting).toBeInstanceOf(Promise);
    expect(await waiting).toMatchObject({ claims: { sub: "u" } });
    for (let number = 0; number < 3; number++) {
      expect(authenticator.authenticate(first)).toMatchObject({ claims: { sub: "u" } });
    }
    endpoint.body = setOf(jwkOf(two.publicKey, "two"));
    time.seconds += 30;
    expect(await authenticator.authenticate(exchangeOf(tokenOf(two.privateKey, "two")))).toMatchObject({ claims: {} });
    for (let number = 0; number < 3; number++) expect(await authenticator.authenticate(first)).toBe("unknown_key");
  });

  it("gives keys_unavailable at once while the cool-down lasts", async () => {
    const { jwt, events, endpoint } = await setUp();
    endpoint.status = 500;
    const authenticator = new TokenAuthenticator(jwt, events);
    expect(await authenticator.authenticate(exchangeOf(tokenOf(one.privateKey, "one")))).toBe("keys_unavailable");
    expect(authenticator.authenticate(exchangeOf(tokenOf(one.privateKey, "one")))).toBe("keys_unavailable");
  });
});
