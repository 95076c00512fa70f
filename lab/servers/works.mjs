// What the servers do for a request. The amount is fixed and the same for all protections; how long it takes
// depends on the machine, and is measured first.
import { setImmediate as nextTurn } from "node:timers/promises";
import { seededRandom } from "../random.mjs";
import { DependencyPool } from "./dependency-pool.mjs";

/** The handler of a kind of work; `amount` is in records and differs from the usual in the smoke run only. */
export function createWork(kind, amount) {
  return WORKS[kind](amount);
}

/** The usual amounts: about 10 ms for the two works of the CPU, 4 ms for that which holds memory. */
const RECORDS = 20_000;
const RECORDS_BESIDE_MEMORY = 8000;
const KEPT_OBJECTS = 1500;
const KEPT_BUFFER_BYTES = 50_000;
const KEPT_MS = 2000;

const WORKS = {
  cpu: (records = RECORDS) => {
    return async () => {
      await nextTurn();
      return computeReport(records);
    };
  },
  "cpu-synchronous": (records = RECORDS) => {
    return () => computeReport(records);
  },
  dependency: () => {
    const pool = new DependencyPool({ workers: 20, minMs: 10, maxMs: 200, random: seededRandom(4) });
    return async () => ({ tookMs: await pool.call() });
  },
  memory: (records = RECORDS_BESIDE_MEMORY) => {
    const kept = new Set();
    return async () => {
      // Taken at arrival, as a body that was read, and held while the request waits for its turn.
      const upload = keepable();
      kept.add(upload);
      setTimeout(() => kept.delete(upload), KEPT_MS);
      await nextTurn();
      const report = computeReport(records);
      return { ...report, kept: kept.size, held: upload.rows.length + upload.bytes.length };
    };
  },
  light: () => {
    return () => ({ ok: true });
  },
};

/** Builds records, sorts them, writes them as JSON, and gives a few figures of that back. */
function computeReport(records) {
  const rows = [];
  let state = 1;
  for (let id = 0; id < records; id++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    rows.push({ id, customer: `customer-${state % 997}`, amount: (state >>> 8) % 10_000, isPaid: (state & 64) === 0 });
  }
  rows.sort((one, other) => one.amount - other.amount || one.id - other.id);
  const text = JSON.stringify(rows);
  return { records, characters: text.length, median: rows[records >> 1].amount };
}

/** Some 200 KB, three quarters of it in objects of the JavaScript heap. */
function keepable() {
  const rows = [];
  for (let id = 0; id < KEPT_OBJECTS; id++) rows.push({ id, name: `row-${id}`, values: [id, id + 1, id + 2] });
  return { rows, bytes: Buffer.alloc(KEPT_BUFFER_BYTES, 1) };
}
