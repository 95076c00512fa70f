import { randomUUID } from "node:crypto";
import { App, RateLimitConfig } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectSurvival } from "../hostile/survival.js";
import { cutableProxy, type RedisServer, startRedis } from "./server.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
const CLIENTS = 6;
const ROUNDS = 2;

let redis: RedisServer;
const cleanUps: (() => unknown)[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
afterAll(() => redis.stop());

/** Computes, and lets nothing else happen meanwhile. */
function compute(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** An app that uses Redis for everything, and works hard for every request. */
async function busyApp(url: string, workMs: () => number) {
  const app = new App();
  const told: unknown[] = [];
  const store = new RedisStore({ url });
  app.enableSession({ secret, store });
  app.enableJwt({ secret, store });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100_000, window: 60, store }));
  app.on("store.error", (event) => told.push(event));
  app.get("/login", { auth: false }, (request) => {
    request.session.set("userId", "u");
    return "in";
  });
  app.get("/work", async (request) => {
    compute(workMs());
    const isFirst = await app.jwt.useOnce({ jti: randomUUID(), exp: Date.now() / 1000 + 60 });
    compute(workMs());
    return { user: request.session.get("userId"), isFirst };
  });
  const address = await app.listen({ port: 0, host: "127.0.0.1" });
  cleanUps.push(() => app.close());
  const login = await fetch(`${address}/login`);
  const cookie = (login.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const headers = { cookie, authorization: `Bearer ${app.jwt.sign({ sub: "u" })}`, connection: "keep-alive" };
  const work = async () => {
    const answer = await fetch(`${address}/work`, { headers });
    return { status: answer.status, body: await answer.text() };
  };
  return { work, told };
}

describe("a process that is busy, beside a Redis that is well", () => {
  it.each([
    ["30 to 80 ms a request", () => 30 + Math.random() * 50],
    ["150 ms a request", () => 150],
  ])(
    "loses no session, no token and no count (%s)",
    async (_name, workMs) => {
      const { work, told } = await busyApp(redis.url, workMs);
      const client = async () => {
        const answers = [];
        for (let round = 0; round < ROUNDS; round++) answers.push(await work());
        return answers;
      };
      const answers = (await Promise.all(Array.from({ length: CLIENTS }, client))).flat();
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      for (const { body } of answers) expect(JSON.parse(body)).toEqual({ user: "u", isFirst: true });
      expect(told).toEqual([]);
    },
    60_000,
  );

  it("finds a Redis that is dead in a bounded number of its turns, and says that it was busy", async () => {
    const proxy = await cutableProxy(redis.port);
    cleanUps.push(() => proxy.close());
    const { work, told } = await busyApp(`redis://127.0.0.1:${proxy.port}`, () => 80);
    expect((await work()).status).toBe(200);
    proxy.cut();
    const startMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 4 }, work));
    expect(performance.now() - startMs).toBeLessThan(3000);
    for (const { status } of answers) expect(status).toBe(503);
    expect(told).toContainEqual(expect.objectContaining({ store: "session", cause: expect.stringMatching(/./) }));
  }, 30_000);
});
