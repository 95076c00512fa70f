import { selectSoonest } from "./soonest.js";

/** Tables that a big table is made of: each grows by itself, so that no request waits for all. */
const SEGMENTS = 64;
const SEGMENT_SHIFT = 26;
const FEWEST_SLOTS = 8;
const TO_UNIT = 2 ** -32;

/** How full a segment may be, and how full it is after it was rebuilt. */
interface Load {
  readonly most: number;
  readonly rebuilt: number;
}

// A slot of 16 bytes at 50 to 75 % is 21 to 32 bytes a key, one of 24 bytes at 66 to 80 % is 30 to 37.
const LOADS: Readonly<Record<1 | 2, Load>> = {
  1: { most: 0.75, rebuilt: 0.5 },
  2: { most: 0.8, rebuilt: 0.66 },
};

/** One open-addressing table with linear probing. A slot is a fingerprint and one or two numbers. */
class Segment {
  slots = 0;
  used = 0;
  mostUsed = 0;
  lanes: Float64Array = new Float64Array(0);
  words: Int32Array = new Int32Array(0);
}

/**
 * From the fingerprints of keys to when each will be full again: the memory of every limit.
 *
 * A slot holds the fingerprint (8 bytes), the time at which the key is full again (a double), and
 * for `width` 2 another double. A key that is full again equals one that was never seen, so nothing
 * is deleted: such slots are left out when their segment is rebuilt for lack of room. At `maxKeys`
 * live keys, the sixteenth that will be full again soonest is forgotten.
 *
 * `locate` and `claim` leave the segment's arrays in `lanes` and `words` and return the index of the
 * slot's first double, or -1; the slot's 32-bit words begin at twice that index, minus two.
 */
export class KeyTable {
  lanes: Float64Array;
  words: Int32Array;
  readonly #stride: number;
  readonly #load: Load;
  readonly #segments: readonly Segment[];
  #liveAtMost = 0;

  /**
   * @param width doubles a slot
   * @param maxKeys live keys that are kept at most
   * @param onDrop called with a slot of two doubles whose key is past, before the slot is left out
   */
  constructor(
    width: 1 | 2,
    readonly maxKeys: number,
    readonly onDrop?: (words: Int32Array, wordIndex: number) => void,
  ) {
    this.#stride = width + 1;
    this.#load = LOADS[width];
    this.#segments = Array.from({ length: SEGMENTS }, () => new Segment());
    const first = this.#segmentOf(0);
    this.lanes = first.lanes;
    this.words = first.words;
  }

  /** Live keys, counted at most too high: those that became full again since are found out later. */
  get liveAtMost(): number {
    return this.#liveAtMost;
  }

  get byteLength(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.lanes.byteLength, 0);
  }

  /** The index of the key's first double in `lanes`, or -1. */
  locate(high: number, low: number): number {
    const segment = this.#segmentOf(high);
    const { slots, words } = segment;
    if (slots === 0) return -1;
    const stride = this.#stride;
    this.lanes = segment.lanes;
    this.words = words;
    let slot = Math.floor((low >>> 0) * TO_UNIT * slots);
    for (;;) {
      const at = slot * stride * 2;
      const found = words[at];
      if (found === high && words[at + 1] === low) return slot * stride + 1;
      if (found === 0) return -1;
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
  }

  /**
   * A slot for a key that is not there or past; its doubles are 0. Makes room first.
   *
   * @param now times at or before this are past
   */
  claim(high: number, low: number, now: number): number {
    if (this.#liveAtMost >= this.maxKeys) this.#forgetSoonest(now);
    this.#liveAtMost++;
    const known = this.locate(high, low);
    if (known !== -1) {
      this.#clear(known);
      return known;
    }
    const segment = this.#segmentOf(high);
    if (segment.used >= segment.mostUsed) this.#rebuild(segment, now);
    segment.used++;
    this.lanes = segment.lanes;
    this.words = segment.words;
    return place(segment, this.#stride, high, low);
  }

  /** Makes a key past, so that it counts as never seen. */
  release(index: number): void {
    this.#clear(index);
  }

  /** Makes all times smaller; used when the origin of time is moved. */
  shift(by: number): void {
    for (const { slots, lanes } of this.#segments) {
      for (let slot = 0; slot < slots; slot++) {
        for (let lane = slot * this.#stride + 1; lane < (slot + 1) * this.#stride; lane++) {
          // With a second double that is no time, the caller moves by what leaves its words alone.
          if (lane === slot * this.#stride + 1 || this.onDrop === undefined) lanes[lane] = (lanes[lane] ?? 0) - by;
        }
      }
    }
  }

  #clear(index: number): void {
    const { lanes, words } = this;
    if (this.onDrop !== undefined) this.onDrop(words, (index + 1) * 2);
    for (let lane = index; lane < index + this.#stride - 1; lane++) lanes[lane] = 0;
  }

  #segmentOf(high: number): Segment {
    const segment = this.#segments[high >>> SEGMENT_SHIFT];
    if (segment === undefined) throw new RangeError("a fingerprint has 32 bits");
    return segment;
  }

  /** Forgets the sixteenth of the live keys that will be full again soonest. */
  #forgetSoonest(now: number): void {
    const kept = this.maxKeys - Math.max(1, Math.floor(this.maxKeys / 16));
    const soonest = selectSoonest(this.#segments, this.#stride, now, kept);
    this.#liveAtMost = Math.min(soonest.live, kept);
    // Of the keys with the very time of the cutoff only so many go as have to.
    let ties = soonest.ties;
    if (ties === 0) return;
    for (const { slots, lanes, words } of this.#segments) {
      this.lanes = lanes;
      this.words = words;
      for (let index = 1; index < slots * this.#stride; index += this.#stride) {
        const time = lanes[index] ?? 0;
        if (time <= now || time > soonest.cutoff) continue;
        if (time < soonest.cutoff) this.#clear(index);
        else if (ties-- > 0) this.#clear(index);
      }
    }
  }

  /** Copies the live keys of a segment into one of fitting size. */
  #rebuild(segment: Segment, past: number): void {
    const stride = this.#stride;
    const { slots, lanes, words } = segment;
    let live = 0;
    for (let slot = 0; slot < slots; slot++) {
      const base = slot * stride;
      if (words[base * 2] === 0) continue;
      if ((lanes[base + 1] ?? 0) > past) live++;
      else this.onDrop?.(words, (base + 2) * 2);
    }
    segment.slots = Math.max(FEWEST_SLOTS, Math.ceil((live + 1) / this.#load.rebuilt));
    segment.mostUsed = Math.floor(segment.slots * this.#load.most);
    segment.used = live;
    segment.lanes = new Float64Array(segment.slots * stride);
    segment.words = new Int32Array(segment.lanes.buffer);
    for (let slot = 0; slot < slots; slot++) {
      const base = slot * stride;
      const time = lanes[base + 1] ?? 0;
      const high = words[base * 2] ?? 0;
      if (high === 0 || time <= past) continue;
      const index = place(segment, stride, high, words[base * 2 + 1] ?? 0);
      segment.lanes[index] = time;
      // As words, because a double made of two words may be a NaN, whose bits a copy need not keep.
      for (let word = 4; word < stride * 2; word++) segment.words[(index - 1) * 2 + word] = words[base * 2 + word] ?? 0;
    }
  }
}

/** Writes a fingerprint into the first empty slot and returns the index of the slot's first double. */
function place(segment: Segment, stride: number, high: number, low: number): number {
  const { slots, words } = segment;
  let slot = Math.floor((low >>> 0) * TO_UNIT * slots);
  while (words[slot * stride * 2] !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
  words[slot * stride * 2] = high;
  words[slot * stride * 2 + 1] = low;
  return slot * stride + 1;
}
