import { MessageChannel } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

/** What a test of an application does, with timers that only it moves on. */
describe("under the fake timers of a test runner", () => {
  beforeEach(() => {
    vi.resetModules();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  describe.each([
    ["set up before the package is loaded", true],
    ["set up after the package is loaded", false],
  ])("%s", (_title, isBefore) => {
    async function load() {
      if (isBefore) vi.useFakeTimers();
      const [{ App, RateLimitConfig, Security }, { secure }] = await Promise.all([
        import("cello"),
        import("cello/fetch"),
      ]);
      if (!isBefore) vi.useFakeTimers();
      return { App, RateLimitConfig, Security, secure };
    }
    const secret = "a secret of more than thirty-two bytes, for tests";

    it("an App starts, and its time is that of the test", async () => {
      const { App, RateLimitConfig } = await load();
      const app = new App();
      app.enableSecurityHeaders().enableJwt({ secret, expiration: 60, exclude: ["/open"] });
      app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 2, window: 2 }));
      app.get("/open", () => "open");
      app.get("/me", ({ claims }) => claims.sub);
      const statusOf = async (url: string, headers = {}) => (await app.inject({ url, headers })).statusCode;
      expect([await statusOf("/open"), await statusOf("/open"), await statusOf("/open")]).toEqual([200, 200, 429]);
      await vi.advanceTimersByTimeAsync(2000);
      const authorization = `Bearer ${app.jwt.sign({ sub: "u1" })}`;
      expect(await statusOf("/me", { authorization })).toBe(200);
      await vi.advanceTimersByTimeAsync(61_000);
      expect(await statusOf("/me", { authorization })).toBe(401);
      await app.close();
    });

    it("an adaptive limit gives the places of each turn of the event loop back", async () => {
      const { RateLimitConfig, Security, secure } = await load();
      const limit = { baseRequests: 1000, minRequests: 1000, window: 60 };
      const rateLimit = RateLimitConfig.adaptive({ ...limit, maxConcurrency: 3 });
      const security = new Security({ rateLimit });
      const handler = secure(security, () => new Response("done"));
      for (let turn = 0; turn < 10; turn++) {
        expect((await handler(new Request("http://localhost/"))).status).toBe(200);
        await nextTurn();
      }
      expect(security.rateLimits.load.limits[0]?.concurrency?.inProgress).toBe(0);
      await security.close();
    });
  });
});

/** A message between threads arrives in a later turn of the event loop, whatever was done to timers. */
function nextTurn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port2.once("message", () => {
      port1.close();
      resolve();
    });
    port1.postMessage(undefined);
  });
}
