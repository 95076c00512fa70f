import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { App } from "../../src/app/app.js";
import { RateLimitConfig } from "../../src/limits/config.js";
import type { RateLimitDecision, RateLimitStore } from "../../src/limits/store.js";

const SECRET = "a secret of forty bytes, for these tests";
const REFUSED = { isAllowed: false, limit: 1, remaining: 0, resetMs: 1000, retryAfterMs: 1000, wasReduced: false };

const apps: App[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

async function listening(app: App): Promise<string> {
  apps.push(app);
  app.get("/", () => ({ ok: true }));
  return await app.listen({ port: 0, host: "127.0.0.1" });
}

describe("refusals that others answer first or look at", () => {
  it("does nothing with a refusal that comes after a time-out has answered", async () => {
    let decide: (decision: RateLimitDecision) => void = () => {};
    const decision = new Promise<RateLimitDecision>((resolve) => (decide = resolve));
    const store: RateLimitStore = { consume: () => decision, peek: () => REFUSED, reset: () => {} };
    const app = new App({ handlerTimeout: 20 });
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 1, window: 60, store }));
    const url = await listening(app);
    expect((await fetch(url)).status).toBe(503);
    // An exception here would be an unhandled rejection, which fails the test run.
    decide(REFUSED);
    await decision;
    await new Promise((resolve) => setImmediate(resolve));
  });

  it("is seen by hooks that a plugin adds to routes", async () => {
    const app = new App();
    const seen: unknown[] = [];
    app.enableJwt({ secret: SECRET });
    app.addHook("onRoute", (route) => {
      route.onSend = async (_request, reply) => {
        seen.push(reply.getHeader("content-type"));
      };
    });
    expect((await fetch(await listening(app))).status).toBe(401);
    expect(seen).toEqual(["application/problem+json"]);
  });

  it("is seen by hooks that monitoring adds to every new instance", async () => {
    let seen = 0;
    const listener = (message: unknown) => {
      const fastify: unknown = typeof message === "object" && message !== null && Reflect.get(message, "fastify");
      if (!hasAddHook(fastify)) throw new TypeError("not an instance of Fastify");
      fastify.addHook("onSend", async () => {
        seen++;
      });
    };
    subscribe("fastify.initialization", listener);
    const app = new App();
    unsubscribe("fastify.initialization", listener);
    app.enableJwt({ secret: SECRET });
    await fetch(await listening(app));
    expect(seen).toBe(1);
  });

  it("shows all fields to who has put a writeHead of their own into Node", async () => {
    const original = ServerResponse.prototype.writeHead;
    const seen: string[] = [];
    const patched: typeof original = function (this: ServerResponse, ...rest: unknown[]) {
      // Fields are set one by one for a writeHead that is not Node's own: it may know no lists.
      seen.push(...Object.values(rest.at(-1) ?? {}).map(String), ...this.getHeaderNames());
      return Reflect.apply(original, this, rest);
    };
    ServerResponse.prototype.writeHead = patched;
    try {
      const app = new App();
      app.enableSecurityHeaders();
      await fetch(await listening(app));
    } finally {
      ServerResponse.prototype.writeHead = original;
    }
    expect(seen).toContain("x-frame-options");
  });
});

function hasAddHook(value: unknown): value is App["fastify"] {
  return typeof value === "object" && value !== null && "addHook" in value;
}
