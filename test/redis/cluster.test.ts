import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testPolicy } from "../limit-policy.js";
import { SHARED_MS, sharedCluster } from "../shared/shared.js";
import { decided, type OpenLimits, openLimits } from "./limits-parts.js";
import type { RedisAddress } from "./server.js";

let cluster: readonly RedisAddress[];
const opened: OpenLimits[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
}, SHARED_MS);

afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()));
});

async function open(lease?: "auto" | number): Promise<OpenLimits> {
  const nodes = cluster.map(({ port }) => ({ host: "127.0.0.1", port }));
  const made = openLimits({ cluster: nodes, lease, prefix: "cluster-test" });
  opened.push(made);
  await made.connection.open(10_000);
  return made;
}

describe("limits in a Redis Cluster of three nodes", () => {
  it.each(["token-bucket", "sliding-window"] as const)(
    "count for many keys at once, on all nodes (%s)",
    async (algorithm) => {
      const [{ limits }, other] = [await open(), await open()];
      const policy = testPolicy(algorithm, 3, 600_000, { id: "cluster" });
      const keys = Array.from({ length: 300 }, (_, index) => `client ${index}`);
      const asked = keys.flatMap((key) => [1, 2, 3, 4, 5].map(() => key));
      const answers = await Promise.all(
        asked.map((key, index) => (index % 2 === 0 ? limits : other.limits).consume(policy, key, 1)),
      );
      for (const key of keys) {
        const own = answers.filter((_, index) => asked[index] === key);
        expect(own.filter(({ isAllowed }) => isAllowed)).toHaveLength(3);
      }
      for (const node of cluster) expect(await node.command("KEYS", "cluster-test:*")).not.toBe("*0");
      expect(await decided(limits.peek(policy, "client 7"))).toMatchObject({ isAllowed: false, remaining: 0 });
      await limits.reset(policy, "client 7");
      expect(await limits.consume(policy, "client 7", 3)).toMatchObject({ isAllowed: true });
      expect(await limits.consume(policy, "client 7", -2)).toMatchObject({ remaining: 2 });
    },
  );

  it("lease, and take leases back", async () => {
    const [{ limits }, strict] = [await open(10), await open()];
    for (const algorithm of ["token-bucket", "sliding-window"] as const) {
      const policy = testPolicy(algorithm, 100, 600_000, { id: "cluster leases" });
      await limits.consume(policy, "key", 1);
      await new Promise((resolve) => setImmediate(resolve));
      expect(limits.consume(policy, "key", 4)).toMatchObject({ isAllowed: true, remaining: 95 });
      expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 89 });
    }
    await limits.close();
    for (const algorithm of ["token-bucket", "sliding-window"] as const) {
      const policy = testPolicy(algorithm, 100, 600_000, { id: "cluster leases" });
      expect(await strict.limits.peek(policy, "key")).toMatchObject({ remaining: 95 });
    }
  });

  it("load the scripts on a node that has lost them", async () => {
    const { limits } = await open();
    const policy = testPolicy("token-bucket", 5, 600_000, { id: "cluster scripts" });
    for (const left of [4, 3]) {
      await Promise.all(cluster.map((one) => one.command("SCRIPT", "FLUSH")));
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) => limits.consume(policy, `client ${index}`, 1)),
      );
      expect(new Set(answers.map(({ remaining }) => remaining))).toEqual(new Set([left]));
    }
  });
});
