import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type Server } from "node:http";
import { App, type JwtOptions } from "cello";
import { signCompact } from "cello/jws";
import { afterEach, describe, expect, it } from "vitest";

const one = generateKeyPairSync("ec", { namedCurve: "P-256" });
const two = generateKeyPairSync("ec", { namedCurve: "P-256" });
const NOW = 1_700_000_000;

const setOf = (...keys: [kid: string, key: KeyObject][]) =>
  JSON.stringify({ keys: keys.map(([kid, key]) => ({ ...key.export({ format: "jwk" }), kid })) });
const tokenOf = (kid: string, key: KeyObject) =>
  signCompact(Buffer.from(JSON.stringify({ sub: "u1", exp: NOW + 1_000_000 })), key, { alg: "ES256", kid });

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(async () => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
}

/** An issuer whose answers can be changed, an App that trusts it, and a clock for both. */
async function setUp(options: Partial<JwtOptions> = {}) {
  const issuer = { status: 200, body: setOf(["one", one.publicKey]), fetches: 0 };
  const issuerUrl = await listen(
    createServer((_request, response) => {
      issuer.fetches++;
      response.writeHead(issuer.status).end(issuer.body);
    }),
  );
  const time = { seconds: NOW };
  const clock = { wallMs: () => time.seconds * 1000, monotonicMs: () => time.seconds * 1000 };
  const app = new App({ clock });
  app.enableJwt({ jwksUri: `${issuerUrl}/jwks`, algorithm: "ES256", ...options });
  app.get("/me", (request) => ({ sub: request.claims.sub }));
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  closing.unshift(() => app.close());
  const me = async (kid: string, key: KeyObject) => {
    const response = await fetch(`${url}/me`, { headers: { authorization: `Bearer ${tokenOf(kid, key)}` } });
    await response.arrayBuffer();
    return [response.status, response.headers.get("retry-after") ?? response.headers.get("www-authenticate")];
  };
  return { issuer, time, me };
}

describe("an App whose issuer", () => {
  it("stumbles at the first fetch serves its users when they come again as they were told", async () => {
    const { issuer, time, me } = await setUp();
    issuer.status = 500;
    expect(await me("one", one.privateKey)).toEqual([503, "1"]);
    issuer.status = 200;
    time.seconds += 1;
    expect(await me("one", one.privateKey)).toEqual([200, null]);
    expect(issuer.fetches).toBe(2);
  });

  it("is down asks for patience with a key that it does not know, and goes on with those that it knows", async () => {
    const { issuer, time, me } = await setUp();
    expect(await me("one", one.privateKey)).toEqual([200, null]);
    issuer.status = 500;
    expect(await me("two", two.privateKey)).toEqual([503, "1"]);
    expect(await me("one", one.privateKey)).toEqual([200, null]);
    expect(await me("one", two.privateKey)).toEqual([401, 'Bearer error="invalid_token"']);
    issuer.status = 200;
    time.seconds += 1;
    expect(await me("two", two.privateKey)).toEqual([401, 'Bearer error="invalid_token"']);
  });

  it("rotates a key in right after the first fetch accepts it at once", async () => {
    const { issuer, me } = await setUp();
    expect(await me("one", one.privateKey)).toEqual([200, null]);
    issuer.body = setOf(["one", one.publicKey], ["two", two.publicKey]);
    expect(await me("two", two.privateKey)).toEqual([200, null]);
    for (let number = 0; number < 30; number++) expect((await me(`no-${number}`, two.privateKey))[0]).toBe(401);
    expect(issuer.fetches).toBe(4);
  });

  it("withdraws all keys refuses its tokens, also those that were remembered", async () => {
    const { issuer, time, me } = await setUp({ jwksMaxAge: 60 });
    for (let round = 0; round < 3; round++) expect(await me("one", one.privateKey)).toEqual([200, null]);
    issuer.body = setOf();
    time.seconds += 60;
    // The fetch goes beside this request, and is awaited by that for a key that is not there.
    await me("one", one.privateKey);
    expect((await me("two", two.privateKey))[0]).toBe(401);
    expect((await me("one", one.privateKey))[0]).toBe(401);
  });

  it("is down for longer than jwksMaxStale lets nobody in by keys of that age", async () => {
    const { issuer, time, me } = await setUp({ jwksMaxStale: 700 });
    for (let round = 0; round < 3; round++) expect(await me("one", one.privateKey)).toEqual([200, null]);
    issuer.status = 500;
    time.seconds += 699;
    expect(await me("one", one.privateKey)).toEqual([200, null]);
    time.seconds += 1;
    expect((await me("one", one.privateKey))[0]).toBe(503);
  });
});
