import type { IncomingMessage } from "node:http";
import {
  Jwt,
  type JwtClaims,
  type RateLimitState,
  type SecuredRequest,
  Security,
  type SecurityEvents,
  type Session,
  type TokenRejection,
} from "cello";
import { cello as celloExpress, isSecured } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { type CelloVariables, cello as celloHono } from "cello/hono";
import { type JwsHeader, signCompact, verifyCompact } from "cello/jws";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { describe, expectTypeOf, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
const security = new Security({ jwt: { secret }, session: { secret } });

/** Checked by the compiler and never run: what stands in it may be wrong on purpose. */
function neverRun(_code: () => unknown): void {}

describe("the Fastify plugin", () => {
  it("types requests and route options", async () => {
    const server = fastify();
    await server.register(celloFastify, { security });
    server.get("/", { auth: "optional", scopes: [], csrf: false }, async (request) => {
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(request.token).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.session).toEqualTypeOf<Session>();
      expectTypeOf(request.cspNonce).toEqualTypeOf<string>();
      expectTypeOf(request.clientIp).toEqualTypeOf<string>();
      expectTypeOf(request.rateLimit).toEqualTypeOf<RateLimitState | undefined>();
    });
    neverRun(() => {
      // @ts-expect-error: the policy is required
      server.register(celloFastify, {});
      // @ts-expect-error: a policy, and not its configuration
      server.register(celloFastify, { security: { jwt: { secret } } });
      // @ts-expect-error: no such value
      server.get("/x", { auth: "none" }, async () => "x");
    });
    await server.close();
  });
});

describe("the Express middleware", () => {
  it("types requests", () => {
    const app = express();
    app.use(celloExpress(security, { auth: "optional" }));
    app.get("/", (request, response) => {
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(request.token).toEqualTypeOf<string | undefined>();
      expectTypeOf(request.session).toEqualTypeOf<Session>();
      expectTypeOf(request.cspNonce).toEqualTypeOf<string>();
      expectTypeOf(request.clientIp).toEqualTypeOf<string>();
      expectTypeOf(request.rateLimit).toEqualTypeOf<RateLimitState | undefined>();
      response.end();
    });
    neverRun(() => {
      // @ts-expect-error: a policy, and not its configuration
      celloExpress({ jwt: { secret } });
      // @ts-expect-error: no such field
      celloExpress(security, { scope: ["a"] });
    });
  });

  it("tells TypeScript what a request of node:http has", () => {
    const handle = (request: IncomingMessage) => {
      // @ts-expect-error: not known yet
      request.claims;
      if (!isSecured(request)) return undefined;
      expectTypeOf(request.claims).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(request.session).toEqualTypeOf<Session>();
      return request.claims?.sub;
    };
    expectTypeOf(handle).returns.toEqualTypeOf<string | undefined>();
  });
});

describe("the Hono middleware", () => {
  it("types the variables of the context", () => {
    const app = new Hono<{ Variables: CelloVariables }>();
    app.use(celloHono(security));
    app.get("/", (context) => {
      expectTypeOf(context.get("claims")).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(context.get("session")).toEqualTypeOf<Session>();
      expectTypeOf(context.get("cspNonce")).toEqualTypeOf<string>();
      expectTypeOf(context.get("clientIp")).toEqualTypeOf<string>();
      expectTypeOf(context.get("rateLimit")).toEqualTypeOf<RateLimitState | undefined>();
      return context.text("x");
    });
    // Without naming the variables too, where the middleware stands on the same line of calls.
    new Hono().use(celloHono(security)).get("/", (context) => {
      expectTypeOf(context.get("claims")).toEqualTypeOf<JwtClaims | undefined>();
      return context.text("x");
    });
    neverRun(() => {
      // @ts-expect-error: no such field
      celloHono(security, { role: ["a"] });
    });
  });
});

describe("secure", () => {
  it("types the second argument, and hands on what the host gives", () => {
    const handler = secure(security, (request, secured, environment: { KEY: string }, context: number) => {
      expectTypeOf(request).toEqualTypeOf<Request>();
      expectTypeOf(secured).toEqualTypeOf<SecuredRequest>();
      expectTypeOf(secured.claims).toEqualTypeOf<JwtClaims | undefined>();
      expectTypeOf(secured.session).toEqualTypeOf<Session>();
      expectTypeOf(secured.rateLimit).toEqualTypeOf<RateLimitState | undefined>();
      return new Response(environment.KEY + context);
    });
    expectTypeOf(handler).toEqualTypeOf<
      (request: Request, environment: { KEY: string }, context: number) => Promise<Response>
    >();
    neverRun(() => {
      // @ts-expect-error: a handler answers with a Response
      secure(security, () => "x");
      // @ts-expect-error: no such field
      secure(security, () => new Response(), { onerror: () => new Response() });
    });
  });
});

describe("a Security", () => {
  it("types its options and its parts", () => {
    expectTypeOf(security.jwt).toEqualTypeOf<Jwt<object> | undefined>();
    security.on("token.rejected", (event) => {
      expectTypeOf(event).toEqualTypeOf<SecurityEvents["token.rejected"]>();
      expectTypeOf(event.reason).toEqualTypeOf<TokenRejection>();
    });
    neverRun(() => {
      // @ts-expect-error: no such field
      new Security({ headers: {} });
      // @ts-expect-error: null is not "not given"
      new Security({ session: null });
      // @ts-expect-error: frozen
      security.jwt = undefined;
    });
  });
});

describe("a Jwt", () => {
  it("types claims by its parameter", () => {
    const jwt = new Jwt<{ sub: string; level: number }>({ secret });
    const claims = jwt.verify(jwt.sign({ sub: "u1", level: 3 }));
    expectTypeOf(claims).toEqualTypeOf<{ sub: string; level: number }>();
    expectTypeOf(new Jwt({ secret }).verify).returns.toEqualTypeOf<JwtClaims>();
    expectTypeOf(jwt.verifyAsync).returns.resolves.toEqualTypeOf<{ sub: string; level: number }>();
    neverRun(() => {
      // @ts-expect-error: a claim is missing
      jwt.sign({ sub: "u1" });
      // @ts-expect-error: a claim of another type
      jwt.sign({ sub: "u1", level: "3" });
      // @ts-expect-error: what was not verified has no claims of the application's
      jwt.decode("x").level;
    });
  });
});

describe("cello/jws", () => {
  it("types bytes and headers", () => {
    const token = signCompact(new TextEncoder().encode("{}"), secret, { alg: "HS256" });
    const verified = verifyCompact(token, secret, { algorithms: ["HS256"] });
    expectTypeOf(token).toEqualTypeOf<string>();
    expectTypeOf(verified.payload).toMatchTypeOf<Uint8Array>();
    expectTypeOf(verified.header).toMatchTypeOf<JwsHeader>();
    neverRun(() => {
      // @ts-expect-error: bytes, and not text
      signCompact("{}", secret, { alg: "HS256" });
      // @ts-expect-error: the algorithms must be named
      verifyCompact(token, secret);
    });
  });
});
