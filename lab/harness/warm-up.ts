import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerWork } from "./settings.js";

/** How a server is warmed up: requests one after the other, in several lanes side by side. */
interface WarmUp {
  readonly lanes: number;
  readonly requestsPerLane: number;
}

const WARM_UPS: Readonly<Record<ServerWork, WarmUp>> = {
  cpu: { lanes: 1, requestsPerLane: 60 },
  "cpu-synchronous": { lanes: 1, requestsPerLane: 60 },
  // Calls that mostly wait: one lane would take half a minute.
  dependency: { lanes: 15, requestsPerLane: 6 },
  memory: { lanes: 1, requestsPerLane: 100 },
  light: { lanes: 8, requestsPerLane: 300 },
};

/** Each client sends so many, then the next one: no limit of a client shall be reached. */
const REQUESTS_PER_CLIENT = 20;
/** What the server's signals of load need to calm down. */
const REST_MS = 500;

/**
 * Lets the server's code be compiled, from addresses that the load does not use. After each answer a lane
 * rests as long as the answer took: a server at half of its capacity has no reason to protect itself.
 */
export async function warmUp(port: number, work: ServerWork): Promise<void> {
  const { lanes, requestsPerLane } = WARM_UPS[work];
  await Promise.all(Array.from({ length: lanes }, (_, lane) => warmUpLane(port, lane, requestsPerLane)));
  await sleep(REST_MS);
}

async function warmUpLane(port: number, lane: number, requests: number): Promise<void> {
  for (let sent = 0; sent < requests; sent += REQUESTS_PER_CLIENT) {
    const agent = new Agent({ keepAlive: true });
    const localAddress = `127.200.${lane}.${1 + sent / REQUESTS_PER_CLIENT}`;
    for (let index = sent; index < Math.min(requests, sent + REQUESTS_PER_CLIENT); index++) {
      const beganMs = performance.now();
      await ask(port, localAddress, agent);
      await sleep(performance.now() - beganMs);
    }
    agent.destroy();
  }
}

function ask(port: number, localAddress: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ port, host: "127.0.0.1", path: "/work", localAddress, agent }, (response) => {
      response.resume();
      response.once("end", resolve);
    }).once("error", reject);
  });
}
