import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { App, RateLimitConfig } from "cello";
import { RedisStore } from "cello/redis";
import { afterAll, describe, expect, it, vi } from "vitest";
import { expectSurvival } from "../hostile/survival.js";
import { type CutableProxy, cutableProxy, freePort, type RedisServer, startRedis } from "./server.js";
import { TurnClock, until } from "./turns.js";

expectSurvival();

const secret = "a secret of more than thirty-two bytes, for tests";
/** Thrice the default: on a machine that runs other tests too, a healthy Redis may need longer than 50 ms. */
const DEADLINE_MS = 150;
/** Client, server and whatever else runs on this machine share its cores, and some of the time shown is theirs. */
const SLACK_MS = 200;
/** A dead Redis is found within one deadline, and within four by a process that is busy. */
const FOUND_MS = 4 * DEADLINE_MS + SLACK_MS;
const PROCESSES = 4;
const LIMIT = 40;
const CLIENTS = 6;
/** How long a client does something else between two requests. */
const PAUSE_MS = 40;

/** How Redis goes away and comes back. */
interface Outage {
  readonly begin: (redis: RedisServer, proxy: CutableProxy) => Promise<void> | void;
  readonly end: (redis: RedisServer, proxy: CutableProxy) => Promise<void> | void;
  /** Whether what it kept is gone. */
  readonly isEmptyAfter: boolean;
}

const outages: Readonly<Record<string, Outage>> = {
  "killed and started again, empty": {
    begin: (redis) => redis.kill("SIGKILL"),
    end: (redis) => redis.restart(),
    isEmptyAfter: true,
  },
  paused: {
    begin: (redis) => redis.kill("SIGSTOP"),
    end: (redis) => redis.kill("SIGCONT"),
    isEmptyAfter: false,
  },
  "cut off": {
    begin: (_redis, proxy) => proxy.cut(),
    end: (_redis, proxy) => proxy.heal(),
    isEmptyAfter: false,
  },
};

interface Answer {
  readonly path: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly atMs: number;
  readonly doneMs: number;
  /** By the clock that goes while this process comes to its turns. */
  readonly tookMs: number;
}

const printed = vi.spyOn(console, "error");
const agent = new Agent({ keepAlive: true });
const turns = new TurnClock();
afterAll(() => {
  agent.destroy();
  turns.stop();
});

function ask(url: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const atMs = performance.now();
  const startMs = turns.nowMs();
  return new Promise((resolve, reject) => {
    get(`${url}${path}`, { agent, headers, timeout: 5000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text) => {
        body += text;
      });
      response.on("end", () => {
        const tookMs = turns.nowMs() - startMs;
        const doneMs = performance.now();
        resolve({ path, status: response.statusCode ?? 0, headers: response.headers, body, atMs, doneMs, tookMs });
      });
    })
      .on("timeout", () => reject(new Error(`${path} hangs`)))
      .on("error", reject);
  });
}

interface Load {
  readonly answers: Answer[];
  stop(): Promise<void>;
}

/** A store that notes how long its calls took. */
class TimedStore extends RedisStore {
  readonly slowest = { tookMs: 0 };

  override consume(...args: Parameters<RedisStore["consume"]>) {
    return this.#time(super.consume(...args));
  }
  override load(id: string) {
    return this.#time(super.load(id));
  }

  #time<Value>(answer: Value): Value {
    if (!(answer instanceof Promise)) return answer;
    const start = turns.nowMs();
    const note = () => {
      this.slowest.tookMs = Math.max(this.slowest.tookMs, turns.nowMs() - start);
    };
    answer.then(note, note);
    return answer;
  }
}

function createApp(store: RedisStore, told: string[], logged: string[]): App {
  const stream = { write: (line: string) => void logged.push(line) };
  const app = new App({ logger: { level: "info", stream } });
  const key = ({ headers }: { readonly headers: object }) => String(Reflect.get(headers, "x-key"));
  const limit = (name: string, onStoreError: "local" | "allow" | "deny") => ({
    rateLimit: RateLimitConfig.tokenBucket({ name, requests: LIMIT, window: 1000, key, store, onStoreError }),
  });
  app.enableSession({ secret, store });
  app.get("/limited", limit("limited", "local"), () => "ok");
  app.get("/open", limit("open", "allow"), () => "ok");
  app.get("/closed", limit("closed", "deny"), () => "ok");
  app.get("/me", (request) => ({ user: request.session.get("userId") ?? null }));
  app.get("/login", (request) => {
    request.session.set("userId", "u1");
    return "in";
  });
  app.on("store.error", (event) => told.push(`${event.store} error`));
  app.on("store.recovered", (event) => told.push(`${event.store} recovered`));
  return app;
}

const cases = Object.entries(outages).flatMap(([name, outage]) => [
  [name, "strict", outage, undefined] as const,
  [name, "leased", outage, "auto"] as const,
]);

// All outages at once: each has a Redis and an application of its own, and they spend their time waiting.
describe.concurrent.each(cases)("when Redis is %s, with %s limits", (_name, _kind, outage, lease) => {
  /** An application, the other processes of its fleet, and their way to Redis. */
  async function start() {
    const told: string[] = [];
    const logged: string[] = [];
    const redis = await startRedis();
    const proxy = await cutableProxy(redis.port);
    const address = `redis://127.0.0.1:${proxy.port}`;
    const others = Array.from(
      { length: PROCESSES - 1 },
      () => new RedisStore({ url: address, lease, deadline: DEADLINE_MS }),
    );
    for (const other of others) await other.open();
    const store = new TimedStore({ url: address, lease, deadline: DEADLINE_MS });
    const app = createApp(store, told, logged);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const cookie = String((await ask(url, "/login")).headers["set-cookie"]).split(";")[0] ?? "";
    const stop = async () => {
      await app.close();
      for (const other of others) await other.close();
      await proxy.close();
      await redis.stop();
    };
    return { told, logged, redis, proxy, store, url, cookie, stop };
  }

  /** Requests until `stop`, each client one after the other. */
  function load(url: string, cookie: string): Load {
    const answers: Answer[] = [];
    let isOver = false;
    const client = async (number: number) => {
      for (let count = 0; !isOver; count++) {
        const isLimited = number % 2 === 0;
        // Each request with a key of its own, so that only the store can be in the way.
        const headers = isLimited ? { "x-key": `${number}-${count}` } : { cookie };
        answers.push(await ask(url, isLimited ? "/limited" : "/me", headers));
        await wait(PAUSE_MS);
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
    return {
      answers,
      async stop() {
        isOver = true;
        await Promise.all(clients);
      },
    };
  }

  it("answers in time, guards what it can, and is as before within two seconds of its return", async ({
    onTestFinished,
  }) => {
    const { told, logged, redis, proxy, store, url, cookie, stop } = await start();
    let running: Load | undefined;
    onTestFinished(async () => {
      await running?.stop();
      await stop();
    });
    expect(store.processes).toBe(PROCESSES);
    running = load(url, cookie);
    const { answers } = running;
    await until(() => answers.length > CLIENTS * 5, 5000);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const beginMs = performance.now();
    await outage.begin(redis, proxy);
    // Until the first deadline has passed: then nobody waits any more.
    await until(() => told.length === 2, FOUND_MS);
    const downMs = performance.now();
    const burst = await Promise.all(Array.from({ length: LIMIT }, () => ask(url, "/limited", { "x-key": "burst" })));
    const open = await ask(url, "/open", { "x-key": "a" });
    const closed = await ask(url, "/closed", { "x-key": "a" });
    const me = await ask(url, "/me", { cookie });
    const isDuring = ({ atMs }: Answer) => atMs > downMs;
    await Promise.all([wait(1300), until(() => answers.filter(isDuring).length > CLIENTS * 10, 5000)]);
    const endMs = performance.now();
    await outage.end(redis, proxy);
    const normalAfterMs = await until(() => told.length >= 4, 10_000);
    const normalMs = performance.now();
    const isAfter = ({ atMs }: Answer) => atMs > normalMs;
    await until(() => answers.filter(isAfter).length > CLIENTS * 5, 5000);
    await running.stop();

    expect(burst.filter(({ status }) => status === 200).length).toBe(LIMIT / PROCESSES);
    expect(burst.filter(({ status }) => status === 429).length).toBe(LIMIT - LIMIT / PROCESSES);
    expect(open.status).toBe(200);
    expect([closed.status, closed.headers["retry-after"]]).toEqual([503, "1"]);
    expect([me.status, me.headers["retry-after"], me.headers["set-cookie"]]).toEqual([503, "1", undefined]);

    expect(normalAfterMs).toBeLessThan(2000);
    expect(told.toSorted()).toEqual(["rate-limit error", "rate-limit recovered", "session error", "session recovered"]);
    const lines = logged.filter((line) => line.includes('"store.'));
    expect(lines.length).toBe(4);

    const during = answers.filter((answer) => isDuring(answer) && answer.doneMs < endMs);
    expect(during.length).toBeGreaterThan(CLIENTS * 10);
    for (const { path, status } of during) expect([path, status]).toEqual([path, path === "/me" ? 503 : 200]);
    const after = answers.filter(isAfter);
    expect(new Set(after.map(({ status }) => status))).toEqual(new Set([200]));
    for (const { path, status, body, atMs } of answers) {
      if (path === "/me" && status === 200 && !(outage.isEmptyAfter && atMs > beginMs))
        expect(body).toBe('{"user":"u1"}');
    }
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
    const slowest = Math.max(...answers.map(({ tookMs }) => tookMs));
    console.info(
      `slowest call ${store.slowest.tookMs.toFixed(0)} ms, slowest of ${answers.length} requests ${slowest.toFixed(0)} ms, normal after ${normalAfterMs.toFixed(0)} ms`,
    );
    expect(store.slowest.tookMs).toBeLessThan(FOUND_MS);
    expect(slowest).toBeLessThan(FOUND_MS);
    expect(printed).not.toHaveBeenCalled();

    // Redis counts again, the whole quota. Another key for each attempt: a share may be all that one got.
    let attempt = 0;
    const admitted = async () => {
      const key = `again-${attempt++}`;
      let count = 0;
      while (count <= LIMIT && (await ask(url, "/limited", { "x-key": key })).status === 200) count++;
      return count;
    };
    await vi.waitFor(async () => expect(await admitted()).toBe(LIMIT), { timeout: 5000, interval: 100 });
  });
});

describe.concurrent("without Redis", () => {
  it("an application starts, says so, and uses it when it comes", async () => {
    const port = await freePort();
    const told: string[] = [];
    const app = createApp(new RedisStore({ url: `redis://127.0.0.1:${port}`, deadline: DEADLINE_MS }), told, []);
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    expect((await ask(url, "/limited", { "x-key": "a" })).status).toBe(200);
    expect((await ask(url, "/login")).status).toBe(503);
    expect(told).toEqual(["rate-limit error", "session error"]);
    const redis = await startRedis({ port });
    const startMs = performance.now();
    await vi.waitFor(async () => expect((await ask(url, "/login")).status).toBe(200), { timeout: 5000, interval: 10 });
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect((await ask(url, "/limited", { "x-key": "a" })).headers.ratelimit).toContain(`r=${LIMIT - 1}`);
    expect(told.slice(2).toSorted()).toEqual(["rate-limit recovered", "session recovered"]);
    await app.close();
    await redis.stop();
  });
});

describe.concurrent("a store that several use", () => {
  it("is connected before the first request, and may be closed by all of them", async () => {
    const redis = await startRedis();
    const told: string[] = [];
    const store = new RedisStore({ url: redis.url, deadline: DEADLINE_MS });
    const apps = [createApp(store, told, []), createApp(store, told, [])];
    for (const app of apps) {
      const answers = await Promise.all([app.inject("/limited"), app.inject("/login")]);
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    }
    for (const app of apps) await app.close();
    await store.close();
    expect(told).toEqual([]);
    await expect(store.load("x")).rejects.toThrow("the store is closed");
    expect(await redis.command("CLIENT", "LIST")).not.toContain("ioredis");
    await redis.stop();
  });
});
