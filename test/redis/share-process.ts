/** A process of a fleet of its own, that answers how much it grants. It loads no more than that takes: there are eight. */
import { systemClock } from "../../src/core/clock.js";
import { EventHub } from "../../src/core/events.js";
import { GuardedStore } from "../../src/limits/guarded-store.js";
import { RedisStore } from "../../src/redis/redis-store.js";
import { testPolicy } from "../limit-policy.js";

/** What a process can be asked. */
export type ShareOrder =
  | { readonly kind: "open"; readonly url: string; readonly processes?: number }
  | { readonly kind: "ask"; readonly requests: number; readonly key: string; readonly times: number }
  | { readonly kind: "fleet" };

const parts = { onError: "local", events: new EventHub(), clock: systemClock } as const;
let store: RedisStore | undefined;
let limits: ReadonlyMap<number, GuardedStore> = new Map();

/** From now on this process uses another store. */
async function open(url: string, processes: number | undefined): Promise<void> {
  await store?.close();
  // Thrice the default: on a machine that runs other tests too, a healthy Redis may need longer.
  const opened = new RedisStore({ url, deadline: 150, processes });
  store = opened;
  limits = new Map(
    [20, 5, 3].map((requests) => {
      const policy = testPolicy("sliding-window", requests, 1_000_000, { id: `of ${requests}` });
      return [requests, new GuardedStore(opened, policy, parts)];
    }),
  );
  await opened.open();
}

async function carryOut(order: ShareOrder): Promise<unknown> {
  if (order.kind === "open") return open(order.url, order.processes);
  if (order.kind === "fleet") return { processes: store?.processes, rank: store?.rank };
  let granted = 0;
  for (let sent = 0; sent < order.times; sent++) {
    const decision = await limits.get(order.requests)?.consume(order.key, 1);
    if (decision?.isAllowed === true) granted++;
  }
  return granted;
}

process.on("message", (order: ShareOrder) => {
  carryOut(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
process.send?.({ answer: "ready" });
