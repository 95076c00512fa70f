import { describe, expect, it } from "vitest";
import fc, { runs } from "../../../test/fast-check.js";
import { KeyHasher } from "./key-hash.js";
import { KeyTable } from "./key-table.js";

const hasher = new KeyHasher(Buffer.from("01234567"));

function locate(table: KeyTable, key: string): number {
  hasher.hash(key);
  return table.locate(hasher.high, hasher.low);
}

/** Writes a key's time as the limits do. */
function write(table: KeyTable, key: string, now: number, time: number): void {
  let index = locate(table, key);
  const known = index === -1 ? 0 : (table.times[index] ?? 0);
  if (known <= now) index = table.claim(hasher.high, hasher.low, now);
  table.times[index] = time;
}

/** The time of a key, 0 when it is past or forgotten. */
function read(table: KeyTable, key: string, now: number): number {
  const index = locate(table, key);
  const time = index === -1 ? 0 : (table.times[index] ?? 0);
  return time > now ? time : 0;
}

describe("KeyHasher", () => {
  it("gives one fingerprint for a text and other ones under another key", () => {
    const other = new KeyHasher(Buffer.from("76543210"));
    hasher.hash("203.0.113.9");
    other.hash("203.0.113.9");
    const first = [hasher.high, hasher.low];
    expect([other.high, other.low]).not.toEqual(first);
    hasher.hash("203.0.113.10");
    hasher.hash("203.0.113.9");
    expect([hasher.high, hasher.low]).toEqual(first);
  });

  it("tells texts apart that differ in one unit, in length, or only in the upper byte of a unit", () => {
    const texts = [
      "",
      "\0",
      "\0\0",
      "a",
      "a\0",
      "a\0\0\0",
      "a\0\0\0\0",
      "aaaa",
      "aaaaa",
      "\u0161",
      "\u0261",
      "a\u0100",
    ];
    texts.push("\u0100a", "\u6161", "b", "ab", "ba", "\ud800", "\udc00", "\ud800\udc00");
    for (let index = 0; index < 20_000; index++) texts.push(`10.0.${index >> 8}.${index & 255}`, `\u4e00${index}`);
    const seen = new Set(
      texts.map((text) => {
        hasher.hash(text);
        return `${hasher.high}:${hasher.low}`;
      }),
    );
    expect(seen.size).toBe(new Set(texts).size);
  });

  it("spreads sequential addresses evenly", () => {
    const counts = new Array<number>(256).fill(0);
    for (let index = 0; index < 256_000; index++) {
      hasher.hash(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
      const bucket = hasher.low >>> 24;
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    expect(Math.max(...counts)).toBeLessThan(1200);
    expect(Math.min(...counts)).toBeGreaterThan(800);
  });
});

describe("KeyTable", () => {
  const command = fc.record({
    kind: fc.constantFrom("write", "write", "write", "release"),
    key: fc.nat(60).map((index) => `key-${index}`),
    span: fc.integer({ min: 1, max: 50 }),
    step: fc.nat(3),
  });

  it.each([1, 2] as const)("does what a Map does, for slots of %i doubles", (width) => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 400 }), (commands) => {
        const table = new KeyTable(width, 1000);
        const oracle = new Map<string, number>();
        let now = 1;
        for (const { kind, key, span, step } of commands) {
          now += step;
          if (kind === "write") {
            write(table, key, now, now + span);
            if (width === 2) table.times[locate(table, key) + 1] = now;
            oracle.set(key, now + span);
          } else {
            const index = locate(table, key);
            if (index !== -1) table.release(index);
            oracle.delete(key);
          }
          for (const [known, time] of oracle) expect(read(table, known, now)).toBe(time > now ? time : 0);
        }
      }),
      runs(60),
    );
  });

  it("keeps at most maxKeys, and of so few keys forgets exactly those that are full again soonest", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.array(
          fc.record({ key: fc.nat(400), span: fc.integer({ min: 60, max: 90 }), step: fc.constantFrom(0, 0, 0, 1) }),
          {
            maxLength: 300,
            size: "max",
          },
        ),
        (maxKeys, writes) => {
          const table = new KeyTable(1, maxKeys);
          const oracle = new Map<string, number>();
          let now = 1;
          for (const { key: number, span, step } of writes) {
            const key = `k${number}`;
            now += step;
            const isNew = read(table, key, now) === 0;
            write(table, key, now, now + span);
            if (isNew) oracle.delete(key);
            const live = [...oracle].filter(([, time]) => time > now);
            const kept = live.filter(([known]) => known === key || read(table, known, now) > 0);
            const gone = live.filter(([known]) => known !== key && read(table, known, now) === 0);
            const latestGone = Math.max(0, ...gone.map(([, time]) => time));
            const earliestKept = Math.min(
              Number.POSITIVE_INFINITY,
              ...kept.filter(([known]) => known !== key).map(([, time]) => time),
            );
            expect(latestGone).toBeLessThanOrEqual(earliestKept);
            if (gone.length > 0) {
              expect(isNew).toBe(true);
              expect(live.length).toBe(maxKeys);
              expect(gone.length).toBe(Math.max(1, Math.floor(maxKeys / 16)));
            }
            for (const [known] of gone) oracle.delete(known);
            oracle.set(key, now + span);
            expect([...oracle.values()].filter((time) => time > now).length).toBeLessThanOrEqual(maxKeys);
          }
        },
      ),
      runs(300),
    );
  });

  it("gives back memory of keys that are past when it is used again", () => {
    const table = new KeyTable(1, 1_000_000);
    for (let index = 0; index < 100_000; index++) write(table, `a${index}`, 1, 100);
    const full = table.byteLength;
    for (let index = 0; index < 100_000; index++) write(table, `b${index}`, 200 + index, 201 + index);
    expect(full).toBeLessThan(100_000 * 40);
    expect(table.byteLength).toBeLessThan(full / 20);
  });

  it("moves all times when the origin is moved", () => {
    const table = new KeyTable(2, 100);
    for (let index = 0; index < 50; index++) write(table, `k${index}`, 1000, 1001 + index);
    table.shift(1000);
    for (let index = 0; index < 50; index++) expect(read(table, `k${index}`, 0)).toBe(1 + index);
  });

  it("tells its user of each key that it drops, once", () => {
    const dropped: number[] = [];
    const table = new KeyTable(2, 1000, {
      onDrop: (handle) => {
        if (handle !== 0) dropped.push(handle);
      },
    });
    for (let index = 1; index <= 900; index++) {
      write(table, `k${index}`, index, index + 10);
      const at = locate(table, `k${index}`);
      table.bits[at * 2 + 2] = index;
    }
    for (let index = 1; index <= 9000; index++) write(table, `x${index}`, 5000 + index, 5001 + index);
    expect(dropped.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 900 }, (_, index) => index + 1));
  });

  it("forgets those first that used least, of many keys too, and blocked ones only where all are", () => {
    const keys = 20_000;
    const table: KeyTable = new KeyTable(1, keys, {
      useOf: (index, now) => (table.at(index) - now) / 1000,
    });
    // Nine of ten are blocked, some have used half, and the others little.
    const spanOf = (index: number) => (index % 10 > 0 ? 1000 + (index % 7) : index % 20 === 0 ? 500 : 10);
    for (let index = 0; index < keys; index++) write(table, `k${index}`, 1, 1 + spanOf(index));
    for (let index = 0; index < 900; index++) write(table, `flood${index}`, 1, 1 + 20);
    const left = (span: (index: number) => boolean) =>
      Array.from({ length: keys }, (_, index) => index).filter(
        (index) => span(index) && read(table, `k${index}`, 1) > 0,
      );
    expect(left((index) => index % 10 > 0)).toHaveLength((keys / 10) * 9);
    expect(left((index) => index % 20 === 0).length).toBeGreaterThan(keys / 20 - 200);
    expect(left((index) => index % 20 === 10).length).toBeLessThan(keys / 20 - 300);
    expect(table.mostLive).toBeLessThanOrEqual(keys);
    for (let index = 0; index < 3000; index++) write(table, `blocked${index}`, 1, 1 + 2000);
    expect(table.mostLive).toBeLessThanOrEqual(keys);
    expect(left((index) => index % 10 > 0).length).toBeLessThan((keys / 10) * 9);
  });

  it("counts live keys to the unit once the hand has passed all of them", () => {
    const table = new KeyTable(1, 100);
    let now = 1;
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 90; index++) write(table, `r${round % 2} ${index}`, now, now + 5);
      for (let index = 0; index < 20; index++) {
        const at = locate(table, `r${round % 2} ${index}`);
        if (at !== -1) table.release(at);
      }
      now += 6;
      // Nobody has to go while there is room: those that are past make it.
      for (let index = 0; index < 100; index++) write(table, `x${round} ${index}`, now, now + 3);
      for (let index = 0; index < 100; index++) expect(read(table, `x${round} ${index}`, now)).toBe(now + 3);
      now += 4;
    }
  });
});
