import { createServer, type RequestListener, type Server } from "node:http";
import { afterAll, describe, expect, it } from "vitest";
import type { OpenLoopPlan } from "./load-plan.js";
import { runOpenLoop } from "./open-loop.mjs";

const servers: Server[] = [];

afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

function serve(listener: RequestListener): Promise<number> {
  const created = createServer(listener);
  servers.push(created);
  return new Promise((resolve) => {
    created.listen(0, "127.0.0.1", () => {
      const address = created.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

function plan(port: number, changes: Partial<OpenLoopPlan> = {}): OpenLoopPlan {
  return {
    port,
    seed: 3,
    groups: [{ name: "all", addresses: ["127.0.0.1"], phases: [{ seconds: 0.5, rate: 200 }] }],
    measureFromSeconds: 0,
    goodWithinMs: 60_000,
    giveUpMs: 60_000,
    sliceSeconds: 0.25,
    maxConnections: 100,
    ...changes,
  };
}

// Each has a server of its own, and offers little.
describe.concurrent("runOpenLoop", () => {
  it("leaves out of the counts what ends after the measured time, but not out of the slices", async () => {
    const port = await serve((_request, response) => void setTimeout(() => response.end("ok"), 600));
    const { counts, slices } = await runOpenLoop(plan(port, { measureToSeconds: 0.5 }));
    expect(counts).toEqual({ offered: 0, good: 0, late: 0, refused: 0, failed: 0 });
    const offered = slices.reduce((sum, slice) => sum + slice.offered, 0);
    expect(offered).toBeGreaterThan(50);
    expect(slices.map(({ good }) => good)).toEqual([0, offered]);
  });

  it("counts each answer once, by what it says", async () => {
    const script = [200, 429, 503, 500, 204];
    const sent = new Map<number, number>();
    let next = 0;
    const port = await serve((_request, response) => {
      const status = script[next++ % script.length] ?? 200;
      sent.set(status, (sent.get(status) ?? 0) + 1);
      response.writeHead(status, status === 204 ? {} : { "Content-Length": 2 }).end(status === 204 ? undefined : "ok");
    });
    const { counts, slices, latencyMs } = await runOpenLoop(plan(port));
    const times = (status: number) => sent.get(status) ?? 0;
    expect(counts).toEqual({
      offered: next,
      good: times(200) + times(204),
      late: 0,
      refused: times(429) + times(503),
      failed: times(500),
    });
    expect(next).toBeGreaterThan(50);
    expect(slices.map(({ atSeconds }) => atSeconds)).toEqual([0, 0.25]);
    expect(slices.reduce((sum, { offered }) => sum + offered, 0)).toBe(next);
    expect(latencyMs?.p50).toBeGreaterThan(0);
  });

  it("offers the same however the server answers, and calls slow answers late", async () => {
    const quickPort = await serve((_request, response) => void response.end("ok"));
    const slowPort = await serve((_request, response) => void setTimeout(() => response.end("ok"), 300));
    const [quick, slow] = await Promise.all([
      runOpenLoop(plan(quickPort)),
      runOpenLoop(plan(slowPort, { goodWithinMs: 250 })),
    ]);
    expect(slow.counts.offered).toBe(quick.counts.offered);
    expect(slow.counts).toMatchObject({ good: 0, late: slow.counts.offered });
    expect(slow.latencyMs?.p50).toBeGreaterThanOrEqual(250);
  });

  it("gives up on a server that does not answer", async () => {
    const { counts, latencyMs } = await runOpenLoop(plan(await serve(() => {}), { giveUpMs: 50 }));
    expect(counts).toMatchObject({ good: 0, late: 0, refused: 0, failed: counts.offered });
    expect(counts.offered).toBeGreaterThan(50);
    expect(latencyMs).toBeNull();
  });

  it("counts requests that find no connection, or a broken one, as failed", async () => {
    const few = await runOpenLoop(plan(await serve(() => {}), { giveUpMs: 400, maxConnections: 5 }));
    expect(few.counts.failed).toBe(few.counts.offered);
    const broken = await runOpenLoop(plan(await serve((request) => void request.socket.destroy())));
    expect(broken.counts.failed).toBe(broken.counts.offered);
  });

  it("opens a new connection after an answer that closes the old one", async () => {
    const headers = { Connection: "close", "Content-Length": 2 };
    const port = await serve((_request, response) => void response.writeHead(200, headers).end("ok"));
    const { counts } = await runOpenLoop(plan(port));
    expect(counts.good + counts.failed).toBe(counts.offered);
    expect(counts.good).toBeGreaterThan(50);
  });
});

describe("runOpenLoop, over time", () => {
  it("keeps groups and their clients apart, and counts what ends in the measured time", async () => {
    const seen = new Set<string>();
    const port = await serve((request, response) => {
      seen.add(request.socket.remoteAddress ?? "");
      response.end("ok");
    });
    const phases = [{ seconds: 0.5, rate: 100 }];
    const groups = [
      { name: "polite", addresses: ["127.0.0.1"], phases },
      { name: "greedy", addresses: ["127.0.0.1"], phases: [{ seconds: 0.5, rate: 300 }] },
    ];
    const result = await runOpenLoop(plan(port, { groups, measureFromSeconds: 0.25, measureToSeconds: 1e6 }));
    const { polite, greedy } = result.groups;
    expect((polite?.offered ?? 0) + (greedy?.offered ?? 0)).toBe(result.counts.offered);
    expect(greedy?.offered).toBeGreaterThan(polite?.offered ?? Number.POSITIVE_INFINITY);
    expect(result.slices[1]?.good).toBe(result.counts.good);
    expect(result.slices[0]?.good).toBeGreaterThan(0);
    expect(seen.size).toBe(1);
  });
});
