import type { Clock } from "../../core/clock.js";
import type { MemoryCounts, RateLimitDecision, RateLimitPolicy } from "../store.js";
import { keyHasher } from "./key-hash.js";
import { KeyTable } from "./key-table.js";
import { StampRing } from "./stamp-ring.js";
import { Ticks } from "./ticks.js";

/** Stamps are kept modulo 2^32 ticks; those of two windows must be told apart. */
const MOST_WINDOW_TICKS = 2 ** 29;
/** Times are moved back to the origin before they get here, by a multiple of 2^32. */
const MOST_TICKS = 2 ** 52;
/** Requests in a window up to which each has a stamp of its own; beyond, a window has so many slots. */
const MOST_STAMPS = 256;

/**
 * A sliding window for each key: never more than `requests` cost units in any interval of the
 * window's length. An interval is half-open: what was taken at `t` counts until just before
 * `t + window`.
 *
 * Up to 256 units a window each has a stamp, and the count is exact. Above, the window is cut into 256
 * slots; what is taken in a slot has the stamp of what was taken there last, so the bound holds and a unit
 * may be free again a slot later than it could be.
 *
 * Stamps are rounded up to a tick (about a microsecond) and the time of a decision down, so that the
 * bound holds for the times between ticks too.
 */
export class SlidingWindows implements MemoryCounts {
  readonly isLocal = true;
  readonly #table: KeyTable;
  readonly #time: Ticks;
  readonly #requests: number;
  readonly #window: number;
  /** Ticks in a slot; 0 when each unit has its own stamp. */
  readonly #slot: number;
  readonly #ring: StampRing;

  constructor(policy: RateLimitPolicy, clock: Clock) {
    this.#requests = policy.requests;
    this.#time = new Ticks(clock, policy.windowMs, MOST_WINDOW_TICKS);
    this.#window = this.#time.fromMs(policy.windowMs);
    this.#slot = policy.requests <= MOST_STAMPS ? 0 : Math.max(1, Math.floor(this.#window / MOST_STAMPS));
    const ring = new StampRing(this.#slot === 0 ? 1 : 2);
    this.#ring = ring;
    // A slot of the table has two words beside the time: the ring's handle and the units in use. A key
    // whose units have one stamp needs no ring: the stamp is a window before the time.
    const [window, requests] = [this.#window, policy.requests];
    this.#table = new KeyTable(2, policy.maxKeys, {
      // By units in use, as of when they were last looked at; of as many, those that are free sooner go first.
      useOf: (index, now) => (this.#usedAt(index) + (this.#table.at(index) - now) / (4 * window)) / requests,
      onDrop: (handle) => ring.free(handle),
    });
  }

  get byteLength(): number {
    return this.#table.byteLength + this.#ring.byteLength;
  }

  consume(key: string, cost: number): RateLimitDecision {
    const now = this.#now();
    let index = this.#locate(key);
    const used = index === -1 ? 0 : this.#openLive(index, now);
    if (cost === 0) return this.#allow(index, used, now);
    if (used + cost > this.#requests) return this.#refuse(index, used, cost, now);
    index = this.#add(index, used, cost, now);
    const allowed = this.#allow(index, used + cost, now);
    this.#save(index, used + cost);
    return allowed;
  }

  charge(key: string, cost: number): RateLimitDecision {
    const now = this.#now();
    let index = this.#locate(key);
    const used = index === -1 ? 0 : this.#openLive(index, now);
    const taken = Math.min(cost, 2 * this.#requests - used);
    if (taken > 0) index = this.#add(index, used, taken, now);
    const fits = cost === 0 || used + cost <= this.#requests;
    const decision = fits ? this.#allow(index, used + cost, now) : this.#refuse(index, used + taken, 1, now);
    if (taken > 0) this.#save(index, used + taken);
    return decision;
  }

  peek(key: string, cost: number): RateLimitDecision {
    const now = this.#now();
    const index = this.#locate(key);
    const used = index === -1 ? 0 : this.#openLive(index, now);
    const fits = cost === 0 || used + cost <= this.#requests;
    return fits ? this.#allow(index, used, now) : this.#refuse(index, used, cost, now);
  }

  /** Takes back the newest units. */
  giveBack(key: string, cost: number): void {
    const now = this.#now();
    const index = this.#locate(key);
    const used = index === -1 ? 0 : this.#openLive(index, now);
    if (used === 0) return;
    if (used <= cost) {
      this.#table.release(index);
      return;
    }
    const ring = this.#ring;
    let left = cost;
    while (left > 0) {
      const weight = ring.weightAt(ring.count - 1);
      if (weight > left) {
        ring.setNewestWeight(weight - left);
        break;
      }
      ring.dropNewest();
      left -= weight;
    }
    this.#table.times[index] = now - this.#age(ring.stampAt(ring.count - 1), now) + this.#window;
    this.#save(index, used - cost);
  }

  reset(key: string): void {
    const index = this.#locate(key);
    if (index !== -1) this.#table.release(index);
  }

  #locate(key: string): number {
    keyHasher.hash(key);
    return this.#table.locate(keyHasher.high, keyHasher.low);
  }

  /** Opens the key's ring, drops what is older than the window, and returns the units in use. */
  #openLive(index: number, now: number): number {
    const fullAt = this.#table.at(index);
    if (fullAt <= now) return 0;
    const ring = this.#ring;
    let used = this.#usedAt(index);
    ring.open(this.#table.bits[index * 2 + 2] ?? 0, (fullAt - this.#window) | 0, used);
    while (ring.count > 0 && this.#age(ring.stampAt(0), now) >= this.#window) {
      used -= ring.weightAt(0);
      ring.dropOldest();
    }
    return used;
  }

  /** Adds units to the open ring of a key that has so many in use, and returns the key's place in the table. */
  #add(index: number, used: number, cost: number, now: number): number {
    let place = index;
    if (used === 0) {
      place = this.#table.claim(keyHasher.high, keyHasher.low, now);
      this.#ring.create();
    }
    this.#table.times[place] = this.#push(cost, now) + this.#window;
    return place;
  }

  /** Stamps `cost` units and returns the stamp. */
  #push(cost: number, now: number): number {
    const ring = this.#ring;
    const stamp = this.#time.nowUp;
    const newest = ring.count - 1;
    if (this.#slot > 0 && newest >= 0 && this.#isInSlot(now - this.#age(ring.stampAt(newest), now), stamp)) {
      ring.moveNewest(stamp | 0, ring.weightAt(newest) + cost);
    } else {
      ring.push(stamp | 0, cost);
    }
    return stamp;
  }

  /** Whether two times are of one slot. */
  #isInSlot(one: number, other: number): boolean {
    return Math.floor(one / this.#slot) === Math.floor(other / this.#slot);
  }

  /** Units in use, as of when they were last looked at. */
  #usedAt(index: number): number {
    return this.#table.bits[index * 2 + 3] ?? 0;
  }

  #save(index: number, used: number): void {
    const { bits } = this.#table;
    bits[index * 2 + 2] = this.#ring.close();
    bits[index * 2 + 3] = used;
  }

  /** Ticks since a stamp; below 0 for one that was rounded up. */
  #age(stamp: number, now: number): number {
    return (now - stamp) | 0;
  }

  #allow(index: number, used: number, now: number): RateLimitDecision {
    return {
      isAllowed: true,
      limit: this.#requests,
      remaining: Math.max(0, this.#requests - used),
      resetMs: used === 0 ? 0 : this.#resetMs(index, now),
      moreMs: used === 0 ? 0 : this.#moreMs(now),
      retryAfterMs: 0,
      wasReduced: false,
    };
  }

  #refuse(index: number, used: number, cost: number, now: number): RateLimitDecision {
    const refused = {
      isAllowed: false,
      limit: this.#requests,
      remaining: Math.max(0, this.#requests - used),
      resetMs: used === 0 ? 0 : this.#resetMs(index, now),
      moreMs: used === 0 ? 0 : this.#moreMs(now),
      // With nothing in use no ring was opened: the one at hand is another key's.
      retryAfterMs: this.#time.toWholeMs(used === 0 ? this.#window : this.#waitFor(used + cost - this.#requests, now)),
      wasReduced: false,
    };
    return used <= this.#requests ? refused : { ...refused, debt: used - this.#requests };
  }

  /** A stamp is rounded up to a tick: what was taken just now is told as a window and no more. */
  #resetMs(index: number, now: number): number {
    return this.#time.toWholeMs(Math.min(this.#window, this.#table.at(index) - now));
  }

  /** Until the oldest unit of the open ring is free again. */
  #moreMs(now: number): number {
    return this.#time.toWholeMs(Math.min(this.#window, this.#window - this.#age(this.#ring.stampAt(0), now)));
  }

  /** Ticks until so many units of the open ring are free again. */
  #waitFor(units: number, now: number): number {
    const ring = this.#ring;
    let left = units;
    for (let place = 0; place < ring.count; place++) {
      left -= ring.weightAt(place);
      if (left <= 0) return this.#window - this.#age(ring.stampAt(place), now);
    }
    // More than the window holds is never admitted; a window is as good an answer as any.
    return this.#window;
  }

  #now(): number {
    const time = this.#time;
    time.read();
    if (time.now > MOST_TICKS) {
      const by = Math.floor(time.now / 2 ** 32) * 2 ** 32;
      time.rebase(by);
      this.#table.shift(by);
    }
    return time.now;
  }
}
