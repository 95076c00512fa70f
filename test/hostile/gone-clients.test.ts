import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { MemoryRateLimitStore, RateLimitConfig, type RateLimitDecision, type RateLimitStore } from "cello";
import { afterEach, describe, expect, it } from "vitest";
import { hosts, type RunningHost } from "./place-hosts.js";
import { expectSurvival } from "./survival.js";

expectSurvival();

let host: RunningHost;
afterEach(() => host.close());

const places = () => host.security.rateLimits.load.limits[0]?.concurrency?.inProgress;
const limit = (more: Partial<Parameters<typeof RateLimitConfig.adaptive>[0]> = {}) =>
  RateLimitConfig.adaptive({ baseRequests: 100_000, minRequests: 100_000, window: 60, maxConcurrency: 20, ...more });

describe.each(Object.entries(hosts))("a client of %s that is gone", (_name, start) => {
  it("leaves no place taken behind it, however many requests it had sent ahead", async () => {
    host = await start(limit(), { logins: 0 });
    for (let round = 0; round < 10; round++) {
      const socket = await dial();
      socket.write(login.repeat(30));
      if (round % 2 === 1) await turns(round);
      socket.resetAndDestroy();
      await once(socket, "close");
    }
    expect(await get("/quick")).toBe(200);
    await until(() => places() === 0);
  });

  it("has its place back though the handler never answers", async () => {
    host = await start(limit(), { logins: 0 });
    const socket = await dial();
    socket.write("GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => places() === 1);
    socket.resetAndDestroy();
    await until(() => places() === 0);
  });

  it("is not let in when it went while a store was asked", async () => {
    const store = new HeldStore();
    const told = { logins: 0 };
    host = await start(limit({ store }), told);
    const socket = await dial();
    socket.write(login.repeat(3));
    await until(() => store.waiting > 0);
    socket.resetAndDestroy();
    await once(socket, "close");
    await until(() => places() === 0);
    store.release();
    await turns(10);
    expect(told.logins).toBe(0);
    expect(places()).toBe(0);
  });
});

const login = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/** Counts in memory, and answers when it is told to. */
class HeldStore implements RateLimitStore {
  readonly #memory = new MemoryRateLimitStore();
  readonly #held: (() => void)[] = [];
  readonly peek = this.#memory.peek.bind(this.#memory);
  readonly reset = this.#memory.reset.bind(this.#memory);

  get waiting(): number {
    return this.#held.length;
  }

  async consume(...args: Parameters<MemoryRateLimitStore["consume"]>): Promise<RateLimitDecision> {
    await new Promise<void>((resolve) => this.#held.push(resolve));
    return this.#memory.consume(...args);
  }

  release(): void {
    for (const release of this.#held.splice(0)) release();
  }
}

async function dial(): Promise<Socket> {
  const socket = connect(host.port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function get(path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${host.port}${path}`, { headers: { connection: "close" } });
  await response.text();
  return response.status;
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
