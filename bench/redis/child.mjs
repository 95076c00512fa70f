// node child.mjs '{"contender":...,"port":...,"limit":{...},"keys":...,"inFlight":...,"warmupMs":...,"measureMs":...}'
// Measures one contender in a process of its own, and prints what a decision needed.
import { Redis } from "ioredis";
import { contenders } from "./contenders.mjs";

/** Of so many decisions one is timed: looking at the clock costs as much as a leased decision. */
const TIMED = 16;
const LOOKUPS = 65_536;
/** What a client sends to decide; all else is run by scripts, or sent by the measurement itself. */
const SENT = ["evalsha", "eval"];
const OWN = ["info", "client", "client|setinfo", "hello", "select", "ping"];

const plan = JSON.parse(process.argv[2]);
const make = contenders[plan.contender];
if (make === undefined) throw new Error(`no contender "${plan.contender}"`);
const contender = await make(plan);
const lookups = keysInNoOrder(plan.keys);
const control = new Redis({ host: "127.0.0.1", port: plan.port, enableReadyCheck: false });

await decideFor(plan.warmupMs);
const redisBefore = await readRedis();
const before = process.cpuUsage();
const measured = await decideFor(plan.measureMs);
const { user, system } = process.cpuUsage(before);
const redisAfter = await readRedis();
const { decisions, admitted, milliseconds, latencies } = measured;
process.stdout.write(
  `${JSON.stringify({
    decisions,
    admitted,
    perSecond: (decisions * 1000) / milliseconds,
    cpuMicros: (user + system) / decisions,
    redisCpuMicros: (redisAfter.cpuMicros - redisBefore.cpuMicros) / decisions,
    sentCommands: (redisAfter.sent - redisBefore.sent) / decisions,
    scriptCommands: (redisAfter.inScripts - redisBefore.inScripts) / decisions,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  })}\n`,
);
await contender.close();
process.exit();

/**
 * Keeps `plan.inFlight` decisions in flight, as that many connections of a server do: whoever is answered
 * asks again. An answer that came at once is followed up in the next turn of the event loop, because a
 * client's next request cannot be there sooner.
 */
function decideFor(milliseconds) {
  return new Promise((resolve, reject) => {
    const latencies = [];
    let decisions = 0;
    let admitted = 0;
    let lookup = 0;
    let turn = 0;
    let isTurnAwaited = false;
    let next = [];
    let isOver = false;
    let open = plan.inFlight;
    const startMs = performance.now();
    setTimeout(() => {
      isOver = true;
    }, milliseconds);

    const beginTurn = () => {
      turn++;
      isTurnAwaited = false;
      const lanes = next;
      next = [];
      for (const start of lanes) start();
    };
    const end = () => resolve({ decisions, admitted, milliseconds: performance.now() - startMs, latencies });

    for (let lane = 0; lane < plan.inFlight; lane++) {
      let startedInTurn = 0;
      let sentMs = 0;
      const answered = (isAllowed) => {
        decisions++;
        if (isAllowed) admitted++;
        if (sentMs > 0) latencies.push(performance.now() - sentMs);
        if (startedInTurn === turn) next.push(start);
        else start();
      };
      const start = () => {
        if (isOver) {
          if (--open === 0) end();
          return;
        }
        if (!isTurnAwaited) {
          isTurnAwaited = true;
          setImmediate(beginTurn);
        }
        startedInTurn = turn;
        sentMs = lookup % TIMED === 0 ? performance.now() : 0;
        contender.decide(lookups[lookup++ % LOOKUPS], answered, reject);
      };
      start();
    }
  });
}

function keysInNoOrder(count) {
  const addresses = Array.from({ length: count }, (_, number) => `10.20.${number >> 8}.${number & 255}`);
  let state = 0x2545f491;
  return Array.from({ length: LOOKUPS }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return addresses[(state >>> 0) % count];
  });
}

/** How long Redis has computed, and how many commands it has carried out. */
async function readRedis() {
  const [cpu, stats] = await Promise.all([control.info("cpu"), control.info("commandstats")]);
  const seconds = ["used_cpu_user", "used_cpu_sys"].map((name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(cpu)[1]));
  let sent = 0;
  let inScripts = 0;
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (SENT.includes(name)) sent += Number(calls);
    else if (!OWN.includes(name)) inScripts += Number(calls);
  }
  return { cpuMicros: (seconds[0] + seconds[1]) * 1e6, sent, inScripts };
}

function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
