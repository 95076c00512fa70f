import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import fastify, { type FastifyReply } from "fastify";
import { describe, expect, it } from "vitest";
import { App, type AppOptions } from "../../app/app.js";
import { RateLimitConfig } from "../../limits/config.js";
import { watchReplies } from "./reply-watch.js";

const SECRET = "a secret of forty bytes, for these tests";

/** An app whose `/me` needs a token, and which refuses the second request. */
function lockedApp(options: AppOptions = {}): App {
  const app = new App(options);
  app.enableJwt({ secret: SECRET });
  app.enableSecurityHeaders();
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 1, window: 600 }));
  return app;
}

async function serve<Result>(app: App, use: (url: string) => Promise<Result>): Promise<Result> {
  await app.listen({ port: 0, host: "127.0.0.1" });
  try {
    const address: AddressInfo | string | null = app.fastify.server.address();
    if (address === null || typeof address === "string") throw new Error("not listening on a port");
    return await use(`http://127.0.0.1:${address.port}/me`);
  } finally {
    await app.close();
  }
}

const handler = () => ({ ok: true });

describe("refusals, and who looks at them", () => {
  it.each(["onSend", "onResponse"] as const)("are seen by a hook for %s with their fields", async (name) => {
    const seen: unknown[] = [];
    const look = (reply: FastifyReply) => seen.push([reply.statusCode, reply.getHeader("content-type")]);
    const app = lockedApp();
    if (name === "onSend") app.addHook("onSend", async (_request, reply) => void look(reply));
    else app.addHook("onResponse", async (_request, reply) => void look(reply));
    app.get("/me", handler);
    await serve(app, async (url) => expect((await fetch(url)).status).toBe(401));
    expect(seen).toEqual([[401, "application/problem+json"]]);
  });

  it("are seen by the hook of a plugin for its own routes", async () => {
    const app = lockedApp();
    app.register(async (instance) => {
      instance.addHook("onSend", async (_request, reply) => void reply.header("x-plugin", "1"));
      instance.get("/me", handler);
    });
    const answer = await serve(app, (url) => fetch(url));
    expect([answer.status, answer.headers.get("x-plugin")]).toEqual([401, "1"]);
  });

  it("are seen by the hook of a route", async () => {
    const app = lockedApp();
    app.get("/me", { onSend: async (_request, reply) => void reply.header("x-route", "1") }, handler);
    const answer = await serve(app, (url) => fetch(url));
    expect([answer.status, answer.headers.get("x-route")]).toEqual([401, "1"]);
  });

  it("are logged with the fields that a serializer asks for", async () => {
    const lines: string[] = [];
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    // What Fastify's types give a serializer is a part of the reply.
    type Logged = Partial<FastifyReply> & Pick<FastifyReply, "statusCode">;
    const res = (reply: Logged) => ({ statusCode: reply.statusCode, fields: { ...reply.getHeaders?.() } });
    const app = lockedApp({ logger: { level: "info", stream, serializers: { res } } });
    app.get("/me", handler);
    await serve(app, (url) => fetch(url));
    const completed = lines.find((line) => line.includes("request completed"));
    expect(completed).toContain('"content-type":"application/problem+json"');
    expect(completed).toContain('"statusCode":401');
  });

  it("have the same fields and body whether or not somebody looks", async () => {
    const answers: unknown[] = [];
    for (const isWatched of [false, true]) {
      const app = lockedApp();
      if (isWatched) app.addHook("onSend", async () => undefined);
      app.get("/me", handler);
      app.post("/me", handler);
      await serve(app, async (url) => {
        for (const init of [{}, { method: "HEAD" }, { method: "POST", body: "x".repeat(100_000) }, {}]) {
          const answer = await fetch(url, init);
          const fields = Object.fromEntries(
            [...answer.headers].filter(([name]) => !["date", "ratelimit"].includes(name)),
          );
          answers.push([isWatched, answer.status, fields, await answer.text()]);
        }
      });
    }
    const withoutMark = answers.map((answer) => JSON.stringify(answer).replace(/^\[(true|false),/, "["));
    expect(withoutMark.slice(4)).toEqual(withoutMark.slice(0, 4));
    expect(withoutMark[0]).toContain("[401,");
    expect(withoutMark[1]).toContain("[429,");
  });
});

describe("watchReplies", () => {
  it("takes a logger instance for a log, whatever stands in `logger`", () => {
    expect(watchReplies(fastify(), { logger: false, loggerInstance: {} })()).toBe(true);
    expect(watchReplies(fastify(), { logger: false })()).toBe(false);
  });
});
