// Open-loop load: requests fall due by the plan, never because another one was answered, and each counts
// from the moment at which it was due. What the generator, the kernel's queues and the server's queues add
// is in the figure; nothing is left out because the server was slow (coordinated omission).
import { seededRandom } from "../random.mjs";
import { PoissonArrivals } from "./arrivals.mjs";
import { BROKEN, Connection } from "./connection.mjs";
import { Tally } from "./tally.mjs";

/** Time to get ready before the first request may be due. */
const LEAD_MS = 20;

export async function runOpenLoop(plan) {
  const load = new OpenLoop(plan);
  await load.connect();
  const usedBefore = process.cpuUsage();
  const beganMs = performance.now();
  const startedAtMs = Date.now() + LEAD_MS;
  await load.run(beganMs + LEAD_MS);
  const used = process.cpuUsage(usedBefore);
  const generatorCpu = (used.user + used.system) / 1000 / (performance.now() - beganMs);
  return { startedAtMs, ...load.tally.result(), generatorCpu: Number(generatorCpu.toFixed(3)) };
}

class OpenLoop {
  tally;
  #plan;
  #groups;
  #connections = new Set();
  /** Requests in the order in which they were sent; those before `#oldest` are done. */
  #sent = [];
  #oldest = 0;
  #startMs = 0;

  constructor(plan) {
    this.#plan = plan;
    this.tally = new Tally(plan);
    this.#groups = plan.groups.map(({ addresses, phases }, index) => {
      const random = seededRandom(plan.seed + index * 7919);
      const arrivals = new PoissonArrivals(phases, random);
      const clients = addresses.map((address) => ({ address, idle: [] }));
      const peakRate = Math.max(...phases.map(({ rate }) => rate));
      const connectionsPerClient = Math.ceil((peakRate * plan.giveUpMs) / 1000 / clients.length);
      return { index, random, arrivals, clients, connectionsPerClient, dueSeconds: arrivals.next() };
    });
  }

  /**
   * Opens the connections that the load will need, as of clients that have been here before. Node accepts one
   * connection in a turn of its event loop: where all of them are new, an overloaded server hardly accepts any,
   * and one would see the kernel's queue, not what the server does with its requests.
   */
  async connect() {
    const opened = [];
    for (const { clients, connectionsPerClient } of this.#groups) {
      for (const client of clients) {
        for (let index = 0; index < connectionsPerClient; index++) {
          if (this.#connections.size >= this.#plan.maxConnections) break;
          const connection = this.#open(client);
          client.idle.push(connection);
          opened.push(connection.opened);
        }
      }
    }
    await Promise.all(opened);
  }

  run(startMs) {
    this.#startMs = startMs;
    return new Promise((resolve) => {
      const tick = () => {
        const nowMs = performance.now();
        for (const group of this.#groups) this.#sendDue(group, nowMs);
        this.#giveUp(nowMs);
        if (!this.#isOver()) return setTimeout(tick, 1);
        for (const connection of this.#connections) connection.close();
        resolve();
      };
      tick();
    });
  }

  #isOver() {
    return this.#oldest === this.#sent.length && this.#groups.every(({ dueSeconds }) => dueSeconds === undefined);
  }

  #sendDue(group, nowMs) {
    while (group.dueSeconds !== undefined && this.#startMs + group.dueSeconds * 1000 <= nowMs) {
      const client = group.clients[Math.floor(group.random() * group.clients.length)];
      this.#send(group, client, group.dueSeconds);
      group.dueSeconds = group.arrivals.next();
    }
  }

  #send(group, client, dueSeconds) {
    const connection = this.#connectionOf(client);
    if (connection === undefined) {
      this.tally.add(group.index, dueSeconds, BROKEN, 0);
      return;
    }
    const request = { dueMs: this.#startMs + dueSeconds * 1000, connection, isDone: false };
    this.#sent.push(request);
    connection.send((status) => {
      request.isDone = true;
      this.tally.add(group.index, dueSeconds, status, performance.now() - request.dueMs);
      if (connection.isOpen) client.idle.push(connection);
      else this.#connections.delete(connection);
    });
  }

  /** An idle connection of this client, the one used last, or a new one. */
  #connectionOf(client) {
    while (client.idle.length > 0) {
      const idle = client.idle.pop();
      if (idle.isOpen) return idle;
      this.#connections.delete(idle);
    }
    if (this.#connections.size >= this.#plan.maxConnections) return undefined;
    return this.#open(client);
  }

  #open(client) {
    const connection = new Connection(this.#plan.port, client.address);
    this.#connections.add(connection);
    return connection;
  }

  #giveUp(nowMs) {
    const dueBeforeMs = nowMs - this.#plan.giveUpMs;
    while (this.#oldest < this.#sent.length) {
      const request = this.#sent[this.#oldest];
      if (!request.isDone && request.dueMs > dueBeforeMs) break;
      if (!request.isDone) request.connection.close();
      // Lets go of the connection; the list itself may grow for the minute that a trial takes.
      this.#sent[this.#oldest++] = undefined;
    }
  }
}
