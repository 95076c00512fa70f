import { connect } from "node:net";
import { text } from "node:stream/consumers";
import {
  type AdaptiveRateLimitOptions,
  App,
  MemoryRateLimitStore,
  MemorySessionStore,
  RateLimitConfig,
  type RateLimitDecision,
  Security,
} from "cello";
import { secure } from "cello/fetch";
import { afterEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
let app: App;
let address = "";
afterEach(() => app.close());

/** Requests that wait in the handler until the test lets them go. */
class Waiting {
  readonly #ends: (() => void)[] = [];
  #entered: (() => void) | undefined;

  /** The handler. */
  readonly wait = async (): Promise<string> => {
    const ended = new Promise<void>((resolve) => this.#ends.push(resolve));
    this.#entered?.();
    await ended;
    return "done";
  };

  /** Sends a request and waits until it is in the handler. */
  async enter(path = "/wait", init: RequestInit = {}): Promise<{ readonly answer: Promise<Response> }> {
    const entered = new Promise<void>((resolve) => {
      this.#entered = resolve;
    });
    const answer = fetch(`${address}${path}`, init);
    answer.catch(() => {});
    await entered;
    return { answer };
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

function adaptive(more: Partial<AdaptiveRateLimitOptions> = {}): RateLimitConfig {
  // However busy the machine is: so wide a window gives no unit back while a test runs, and the limit cannot go down.
  const still = { baseRequests: 1000, minRequests: 1000, window: 2_000_000 };
  return RateLimitConfig.adaptive({ ...still, maxConcurrency: 2, ...more });
}

async function start(limit: RateLimitConfig, prepare: (application: App) => void = () => {}): Promise<Waiting> {
  const waiting = new Waiting();
  app = new App();
  app.enableSecurityHeaders();
  app.enableRateLimit(limit);
  prepare(app);
  for (const path of ["/wait", "/reports", "/pay", "/health", "/up", "/excluded"]) app.get(path, waiting.wait);
  address = await app.listen({ port: 0, host: "127.0.0.1" });
  return waiting;
}

const places = () => app.rateLimit.load.limits[0]?.concurrency;

describe("maxConcurrency", () => {
  it("refuses what finds no place before any work, and uses nothing of its quota", async () => {
    const store = new MemorySessionStore();
    let loads = 0;
    const load = store.load.bind(store);
    Object.assign(store, {
      load: (id: string) => {
        loads++;
        return load(id);
      },
    });
    const waiting = await start(adaptive(), (application) => application.enableSession({ secret, store }));
    const first = await waiting.enter();
    const second = await waiting.enter();
    const refused = await fetch(`${address}/wait`, { headers: { cookie: `__Host-session=${"x".repeat(43)}` } });
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
    expect(refused.headers.get("ratelimit")).toContain("r=998");
    expect(await refused.json()).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
      status: 503,
    });
    expect(loads).toBe(0);
    expect(places()).toMatchObject({ limit: 2, inProgress: 2 });
    waiting.end();
    expect((await first.answer).status).toBe(200);
    expect((await second.answer).status).toBe(200);
    expect(places()).toMatchObject({ inProgress: 0 });
    const third = await waiting.enter();
    waiting.end();
    expect((await third.answer).headers.get("ratelimit")).toContain("r=997");
  });

  it("refuses background requests first and critical ones last", async () => {
    const priority = ({ url }: { readonly url: string }) =>
      url === "/pay" ? ("critical" as const) : url === "/reports" ? ("background" as const) : ("normal" as const);
    const told: unknown[] = [];
    const waiting = await start(adaptive({ maxConcurrency: 4, priority }), (application) =>
      application.on("ratelimit.shed", ({ name, priority: whose, limit, dryRun, path }) =>
        told.push([name, whose, limit, dryRun, path]),
      ),
    );
    await waiting.enter("/reports");
    await waiting.enter("/reports");
    expect((await fetch(`${address}/reports`)).status).toBe(503);
    await waiting.enter();
    await waiting.enter();
    expect((await fetch(`${address}/wait`)).status).toBe(503);
    await waiting.enter("/pay");
    await waiting.enter("/pay");
    expect((await fetch(`${address}/pay`)).status).toBe(503);
    expect(told).toEqual([
      ["default", "background", 4, false, "/reports"],
      ["default", "normal", 4, false, "/wait"],
      ["default", "critical", 4, false, "/pay"],
    ]);
    waiting.end();
  });

  it("never refuses health checks and excluded paths, whatever stands behind the path", async () => {
    const waiting = await start(adaptive({ maxConcurrency: 1, exclude: ["/excluded"] }));
    await waiting.enter();
    await waiting.enter("/health?deep=1");
    await waiting.enter("/excluded");
    expect((await fetch(`${address}/up`)).status).toBe(503);
    for (const trick of ["/health/../wait", "//health", "/health%2f..%2fwait", "/wait?/health", "/wait#/health"]) {
      expect([503, 404]).toContain((await raw(`GET ${trick} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).status);
    }
    waiting.end();
  });

  it("takes a list of health checks of one's own", async () => {
    const waiting = await start(adaptive({ maxConcurrency: 1, healthChecks: ["/up"] }));
    await waiting.enter();
    await waiting.enter("/up");
    expect((await fetch(`${address}/health`)).status).toBe(503);
    waiting.end();
  });

  it("only counts in a dry run", async () => {
    let told = 0;
    const waiting = await start(adaptive({ maxConcurrency: 1, dryRun: true }), (application) =>
      application.on("ratelimit.shed", () => told++),
    );
    await waiting.enter();
    await waiting.enter();
    expect(told).toBe(1);
    waiting.end();
  });

  it("takes a priority function that fails for one that says normal, and warns once", async () => {
    const answers: (() => unknown)[] = [
      () => "normal",
      () => {
        throw new Error("what a request holds");
      },
      () => "urgent",
      () => "critical",
    ];
    const warnings: string[] = [];
    // As JavaScript may answer, which no compiler stops.
    const options = { baseRequests: 10, window: 10, maxConcurrency: 1, priority: () => answers.shift()?.() };
    const limit = Reflect.apply(RateLimitConfig.adaptive, RateLimitConfig, [options]);
    const waiting = await start(limit, (application) =>
      application.on("config.warning", ({ code, message }) => warnings.push(code, message)),
    );
    await waiting.enter();
    expect((await fetch(`${address}/wait`)).status).toBe(503);
    expect((await fetch(`${address}/wait`)).status).toBe(503);
    await waiting.enter();
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toBe("CELLO_RATE_LIMIT_PRIORITY");
    expect(warnings[1]).not.toContain("what a request holds");
    waiting.end();
  });

  it("counts the requests of one turn of the event loop together, though a handler that computes has none in progress", async () => {
    await start(adaptive({ maxConcurrency: 3 }), (application) => application.get("/now", () => "now"));
    const { answers } = await raw(`GET /now HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(5), 5);
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(["200", "200", "200", "503", "503"]);
    expect((await fetch(`${address}/now`)).status).toBe(200);
  });

  it("gives the place of a client back that goes away", async () => {
    const waiting = await start(adaptive({ maxConcurrency: 1 }));
    const controller = new AbortController();
    await waiting.enter("/wait", { signal: controller.signal });
    expect(places()).toMatchObject({ inProgress: 1 });
    controller.abort();
    await until(() => places()?.inProgress === 0);
    await waiting.enter();
    waiting.end();
  });

  it("asks no store about a request that has no place", async () => {
    let asked = 0;
    const memory = new MemoryRateLimitStore();
    const later = async (decide: () => RateLimitDecision | Promise<RateLimitDecision>) => {
      asked++;
      return decide();
    };
    const store = {
      consume: (...args: Parameters<typeof memory.consume>) => later(() => memory.consume(...args)),
      peek: (...args: Parameters<typeof memory.peek>) => memory.peek(...args),
      reset: (...args: Parameters<typeof memory.reset>) => memory.reset(...args),
    };
    const waiting = await start(adaptive({ maxConcurrency: 1, store }));
    await waiting.enter();
    expect(asked).toBe(1);
    expect((await fetch(`${address}/wait`)).status).toBe(503);
    expect(asked).toBe(1);
    waiting.end();
  });

  it("lets a route have places of its own", async () => {
    const waiting = new Waiting();
    const own = adaptive({ name: "reports", maxConcurrency: 1 });
    await start(adaptive({ maxConcurrency: 2 }), (application) =>
      application.get("/own", { rateLimit: own }, waiting.wait),
    );
    await waiting.enter("/own");
    expect((await fetch(`${address}/own`)).status).toBe(503);
    expect(app.rateLimit.load.limits.map(({ concurrency }) => concurrency?.inProgress)).toEqual([1, 1]);
    waiting.end();
  });

  it("bounds a handler of the Fetch standard too", async () => {
    app = new App();
    const security = new Security({ rateLimit: adaptive({ maxConcurrency: 1 }) });
    let end = () => {};
    const waits = new Promise<void>((resolve) => {
      end = resolve;
    });
    const handler = secure(security, async () => {
      await waits;
      return new Response("done");
    });
    const first = handler(new Request("http://x/"));
    expect((await handler(new Request("http://x/"))).status).toBe(503);
    end();
    expect((await first).status).toBe(200);
    await nextTurn();
    const failing = secure(security, () => Promise.reject(new Error("failed")), { onError: () => Response.error() });
    await failing(new Request("http://x/")).catch(() => {});
    await nextTurn();
    expect((await handler(new Request("http://x/"))).status).toBe(200);
    await security.close();
  });
});

/** Sends text over a socket of its own; the answers as text. */
async function raw(
  request: string,
  count = 1,
): Promise<{ readonly status: number; readonly answers: readonly string[] }> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  socket.write(request);
  let received = "";
  if (count === 1) {
    received = await text(socket);
  } else {
    socket.setEncoding("utf8");
    for await (const chunk of socket) {
      received += chunk;
      if (received.split("HTTP/1.1 ").length > count) break;
    }
  }
  const answers = received.split(/(?=HTTP\/1\.1 )/);
  return { status: Number(received.slice(9, 12)), answers };
}

/** What was answered in a turn of the event loop keeps its place to the turn's end. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
