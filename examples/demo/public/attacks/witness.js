// What the server saw of an attack that this page cannot see for itself.
import { send, sleep } from "../http.js";

/** The record of an attack. */
export async function recall(id) {
  return JSON.parse((await send("GET", `/locks/witness?attack=${id}`)).body);
}

/** Waits until the server has seen a request of the attack to this path. */
export async function waitForRequest(id, path) {
  for (let tries = 0; tries < 40; tries++) {
    const record = await recall(id);
    const testimony = record.testimonies.find((seen) => seen.path === path);
    if (testimony !== undefined) return { testimony, events: record.events };
    await sleep(150);
  }
  throw new Error("the request did not reach the server within six seconds");
}
