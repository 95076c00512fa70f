import { describe, expect, it, vi } from "vitest";
import { EventHub, type SecurityEvents } from "../core/events.js";
import type { RequestView } from "../core/request-view.js";
import type { JwtOptions } from "./config.js";
import { Jwt } from "./jwt.js";
import { MemoryRevocationList } from "./revocation.js";
import { type AcceptedToken, TokenAuthenticator } from "./step.js";

const NOW = 1_700_000_000;

function exchangeOf(headers: Readonly<Record<string, string>>): RequestView {
  return {
    method: "GET",
    request: { method: "GET", url: "/a?b", headers: {}, clientIp: "192.0.2.1" },
    requestId: "r1",
    rawPath: "/a",
    peerAddress: "192.0.2.1",
    clientIp: "192.0.2.1",
    isSecure: true,
    host: "app.example",
    header: (name) => headers[name],
    headerCount: () => 1,
  };
}

function setUp(options: JwtOptions = {}) {
  let seconds = NOW;
  const clock = { wallMs: () => seconds * 1000, monotonicMs: () => seconds * 1000 };
  const jwt = new Jwt({ secret: "s".repeat(32), expiration: 60, ...options }, { clock });
  const events = new EventHub();
  const rejected: SecurityEvents["token.rejected"][] = [];
  events.on("token.rejected", (event) => rejected.push(event));
  const authenticator = new TokenAuthenticator(jwt, events);
  const verifications = vi.spyOn(JSON, "parse");
  return {
    jwt,
    authenticator,
    rejected,
    wait(by: number) {
      seconds += by;
    },
    authenticate: (token: string) => authenticator.authenticate(exchangeOf({ authorization: `Bearer ${token}` })),
    /** How many tokens are verified, not remembered, while something runs. */
    verified(run: () => void): number {
      verifications.mockClear();
      run();
      return verifications.mock.calls.length;
    },
  };
}

function accepted(answer: unknown): AcceptedToken {
  expect(answer).toMatchObject({ token: expect.any(String) });
  return isVerified(answer) ? answer : expect.unreachable();
}

function isVerified(answer: unknown): answer is AcceptedToken {
  return typeof answer === "object" && answer !== null && "claims" in answer;
}

describe("TokenAuthenticator", () => {
  it("gives claims, token, scopes and roles", () => {
    const { jwt, authenticate } = setUp();
    const token = jwt.sign({ sub: "u", scope: "a b", scp: ["c"], scopes: "d", roles: ["r"] });
    const answer = accepted(authenticate(token));
    expect(answer.claims.sub).toBe("u");
    expect(answer.token).toBe(token);
    expect([...answer.scopes]).toEqual(["a", "b", "c", "d"]);
    expect([...answer.roles]).toEqual(["r"]);
    expect([...accepted(authenticate(jwt.sign({ roles: "r s" }))).roles]).toEqual(["r s"]);
    expect(accepted(authenticate(jwt.sign({ scope: 7, roles: { a: 1 } }))).scopes.size).toBe(0);
  });

  it("gives undefined without a token, and tells nobody", () => {
    const { authenticator, rejected } = setUp();
    expect(authenticator.authenticate(exchangeOf({}))).toBeUndefined();
    expect(rejected).toEqual([]);
  });

  it("tells listeners why a token was refused, without the token", () => {
    const { authenticate, rejected } = setUp();
    expect(authenticate("a.b.c")).toBe("malformed");
    expect(rejected).toEqual([
      { requestId: "r1", clientIp: "192.0.2.1", method: "GET", path: "/a", reason: "malformed" },
    ]);
  });

  it.each([10, 0])("freezes the claims deeply (cacheSize %i)", (cacheSize) => {
    const { jwt, authenticate } = setUp({ cacheSize });
    const { claims } = accepted(authenticate(jwt.sign({ sub: "u", address: { city: "x" } })));
    expect(Object.isFrozen(claims) && Object.isFrozen(claims.address)).toBe(true);
  });

  it("verifies a token once, and shares what it said", () => {
    const { jwt, authenticate, verified } = setUp();
    const token = jwt.sign({ sub: "u" });
    const first = accepted(authenticate(token));
    expect(verified(() => expect(accepted(authenticate(token)).claims).toBe(first.claims))).toBe(0);
  });

  it("remembers nothing when cacheSize is 0", () => {
    const { jwt, authenticate, verified } = setUp({ cacheSize: 0 });
    const token = jwt.sign({ sub: "u" });
    authenticate(token);
    expect(verified(() => authenticate(token))).toBeGreaterThan(0);
  });

  it("checks expiry again on every hit", () => {
    const { jwt, authenticate, wait, rejected } = setUp();
    const token = jwt.sign({ sub: "u" });
    accepted(authenticate(token));
    wait(59);
    accepted(authenticate(token));
    wait(1);
    expect(authenticate(token)).toBe("expired");
    expect(authenticate(token)).toBe("expired");
    expect(rejected).toHaveLength(2);
  });

  it("checks not-before again on every hit: a clock that is set back counts", () => {
    const { jwt, authenticate, wait } = setUp();
    const token = jwt.sign({ nbf: NOW });
    accepted(authenticate(token));
    wait(-5);
    expect(authenticate(token)).toBe("not_yet_valid");
  });

  it("checks revocation again on every hit", () => {
    const { jwt, authenticate } = setUp();
    const token = jwt.sign({ sub: "u", jti: "1" });
    const other = jwt.sign({ sub: "v", jti: "2" });
    accepted(authenticate(token));
    accepted(authenticate(other));
    jwt.revoke("1");
    jwt.revokeAll("v");
    expect([authenticate(token), authenticate(other)]).toEqual(["revoked", "revoked"]);
    expect([authenticate(token), authenticate(other)]).toEqual(["revoked", "revoked"]);
  });

  it("is bounded, and forgets the token whose use is oldest", () => {
    const { jwt, authenticate, verified } = setUp({ cacheSize: 2 });
    const [a = "", b = "", c = ""] = ["a", "b", "c"].map((sub) => jwt.sign({ sub }));
    for (const token of [a, b, a, c]) authenticate(token);
    expect(verified(() => authenticate(a))).toBe(0);
    expect(verified(() => authenticate(c))).toBe(0);
    expect(verified(() => authenticate(b))).toBeGreaterThan(0);
  });

  it("never remembers a refused token", () => {
    const { jwt, authenticate, wait } = setUp();
    const early = jwt.sign({ sub: "u", nbf: NOW + 5 });
    expect(authenticate(early)).toBe("not_yet_valid");
    wait(5);
    accepted(authenticate(early));
    const good = jwt.sign({ sub: "w" });
    const forged = `${good.slice(0, -4)}AAAA`;
    expect(authenticate(forged)).toBe("signature");
    accepted(authenticate(good));
    expect(authenticate(forged)).toBe("signature");
    expect(authenticate(`${good}=`)).toBe("signature");
  });

  it("keeps a repeated token through floods of forged tokens and of tokens that come once", () => {
    const { jwt, authenticate, verified } = setUp({ cacheSize: 4 });
    const token = jwt.sign({ sub: "u" });
    authenticate(token);
    authenticate(token);
    for (let index = 0; index < 100; index++) {
      const other = jwt.sign({ sub: `v${index}` });
      expect(authenticate(`${other.slice(0, -43)}${token.slice(-43)}`)).toBe("signature");
      expect(verified(() => authenticate(token))).toBe(0);
    }
    for (let index = 0; index < 10; index++) authenticate(jwt.sign({ sub: `w${index}` }));
    accepted(authenticate(token));
    expect(verified(() => authenticate(token))).toBe(0);
  });

  it("asks the revocation list for every request, of new and of remembered tokens", () => {
    const isRevoked = vi.fn(() => false);
    const revocations = { isRevoked, revoke: vi.fn(), revokeAll: vi.fn(), revokedUntilMs: () => undefined };
    const clock = { wallMs: () => NOW * 1000, monotonicMs: () => NOW * 1000 };
    const jwt = new Jwt({ secret: "s".repeat(32) }, { clock, revocations });
    const authenticator = new TokenAuthenticator(jwt, new EventHub());
    const view = exchangeOf({ authorization: `Bearer ${jwt.sign({ sub: "u" })}` });
    for (let count = 1; count <= 4; count++) {
      accepted(authenticator.authenticate(view));
      expect(isRevoked).toHaveBeenCalledTimes(count);
    }
    isRevoked.mockReturnValue(true);
    expect(authenticator.authenticate(view)).toBe("revoked");
  });

  it("passes no token while the shared list may be out of date, and remembers what it knows", () => {
    const list = Object.assign(new MemoryRevocationList(), { isCurrent: true });
    const clock = { wallMs: () => NOW * 1000, monotonicMs: () => NOW * 1000 };
    const jwt = new Jwt({ secret: "s".repeat(32) }, { clock, revocations: list });
    const authenticator = new TokenAuthenticator(jwt, new EventHub());
    const view = exchangeOf({ authorization: `Bearer ${jwt.sign({ sub: "u" })}` });
    accepted(authenticator.authenticate(view));
    const known = accepted(authenticator.authenticate(view));
    list.isCurrent = false;
    expect(authenticator.authenticate(view)).toBe("revocations_unavailable");
    expect(authenticator.authenticate(exchangeOf({ authorization: "Bearer x.y.z" }))).toBe("revocations_unavailable");
    expect(authenticator.authenticate(exchangeOf({}))).toBe(undefined);
    list.isCurrent = true;
    expect(accepted(authenticator.authenticate(view)).claims).toBe(known.claims);
  });

  it("reads scopes and roles once for all requests with a token", () => {
    const { jwt, authenticate } = setUp();
    const token = jwt.sign({ scope: "a", roles: ["r"] });
    const [first, second] = [accepted(authenticate(token)), accepted(authenticate(token))];
    expect(second.scopes).toBe(first.scopes);
    expect(second.roles).toBe(first.roles);
  });

  it("answers alike, whatever the cause", () => {
    const { authenticator } = setUp();
    expect(authenticator.refusalOf("signature")).toMatchObject({
      status: 401,
      headers: expect.arrayContaining(["WWW-Authenticate", 'Bearer error="invalid_token"']),
    });
    expect(authenticator.missing).toMatchObject({
      status: 401,
      headers: expect.arrayContaining(["WWW-Authenticate", "Bearer"]),
    });
    expect(authenticator.refusalOf("revocations_unavailable")).toMatchObject({
      status: 503,
      headers: expect.arrayContaining(["Retry-After", "1"]),
    });
    expect(authenticator.refusalOf("keys_unavailable")).toMatchObject({
      status: 503,
      headers: expect.arrayContaining(["Retry-After", "1"]),
    });
  });

  it("names the needed scopes with a 403", () => {
    const { authenticator } = setUp();
    expect(authenticator.insufficientScope(["a", "b"], ["admin"])).toMatchObject({
      status: 403,
      headers: expect.arrayContaining(["WWW-Authenticate", 'Bearer error="insufficient_scope", scope="a b"']),
    });
    expect(authenticator.insufficientScope([], ["admin"]).headers).toContain('Bearer error="insufficient_scope"');
    expect(authenticator.insufficientScope([], ["admin"]).body).not.toContain("admin");
  });

  it("challenges with the configured scheme", () => {
    expect(setUp({ headerPrefix: "Token" }).authenticator.refusalOf("signature").headers).toContain(
      'Token error="invalid_token"',
    );
    expect(setUp({ headerPrefix: "" }).authenticator.missing.headers).toContain("Bearer");
  });
});
