/** Tables that a big table is made of: each grows by itself, so that no request waits for all. */
const SEGMENTS = 64;
const SEGMENT_SHIFT = 26;
const FEWEST_SLOTS = 8;
const TO_UNIT = 2 ** -32;
/** Live keys among which those are sought that must go, and how many of them go: the sixteenth part. */
const LOOKED_AT = 64;
const FORGOTTEN = LOOKED_AT / 16;
/** Slots that are looked at for a key that is not blocked, where the first ones all are. */
const MOST_LOOKED_AT = 1024;
const SMALLEST = 2 ** -53;

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

/** What a limit tells of its slots. */
export interface SlotRules {
  /**
   * How much of its quota a live key has used: those that used least are forgotten first. From 1 on the
   * key is blocked. Default: by the time at which it is full again.
   */
  readonly useOf?: (index: number, now: number) => number;
  /** Called with the first word of the second double of a key that is past, before its slot is left out. */
  readonly onDrop?: (word: number) => void;
}

/** One open-addressing table with linear probing. A slot is a fingerprint and one or two numbers. */
class Segment {
  slots = 0;
  used = 0;
  mostUsed = 0;
  times: Float64Array = new Float64Array(0);
  /** The same memory as words of 32 bits. */
  bits: Int32Array = new Int32Array(0);
}

/**
 * From the fingerprints of keys to when each will be full again: the memory of every limit.
 *
 * A slot holds the fingerprint (8 bytes), the time at which the key is full again (a double), and
 * with two `timesPerSlot` another double. A key that is full again equals one that was never seen, so nothing
 * is deleted: such slots are left out when their segment is rebuilt for lack of room.
 *
 * At `maxKeys` live keys a hand goes on through the table, 64 live keys at a time, and of these the
 * sixteenth part that used least is forgotten; one that is blocked only where all are, of 1024. Keys lie
 * in the order of a keyed hash, so that these are a sample that nobody outside can choose, and no request
 * waits for a look at the whole table.
 *
 * `locate` and `claim` leave the segment's arrays in `times` and `bits` and return the index of the
 * slot's first double, or -1; the slot's 32-bit words begin at twice that index, minus two.
 */
export class KeyTable {
  times: Float64Array;
  bits: Int32Array;
  readonly #stride: number;
  readonly #load: Load;
  readonly #segments: readonly Segment[];
  readonly #useOf: (index: number, now: number) => number;
  readonly #onDrop: SlotRules["onDrop"];
  /**
   * Live keys, counted at most too high: those that became full again since are found out later. A time
   * other than 0 is counted.
   */
  mostLive = 0;
  /** Where the hand stands. */
  #handSegment = 0;
  #handSlot = 0;
  /** Of the live keys that the hand looks at, those that used least, in this order. */
  readonly #leastUse = new Float64Array(FORGOTTEN);
  readonly #leastAt = new Int32Array(FORGOTTEN);
  readonly #leastSegment = new Int32Array(FORGOTTEN);

  /**
   * @param timesPerSlot doubles that each key has
   * @param maxKeys live keys that are kept at most
   */
  constructor(
    timesPerSlot: 1 | 2,
    readonly maxKeys: number,
    { useOf, onDrop }: SlotRules = {},
  ) {
    // The later a key is full again, the more it has used; none counts as blocked.
    this.#useOf = useOf ?? ((index, now) => (this.at(index) - now) * SMALLEST);
    this.#onDrop = onDrop;
    this.#stride = timesPerSlot + 1;
    this.#load = LOADS[timesPerSlot];
    this.#segments = Array.from({ length: SEGMENTS }, () => new Segment());
    const first = this.#segmentAt(0);
    this.times = first.times;
    this.bits = first.bits;
  }

  /** A double of the segment that was looked at last: the time at which a key is full again, for its first. */
  at(index: number): number {
    // `noUncheckedIndexedAccess` does not know that an index which this table gave is one of its own.
    return this.times[index] as number;
  }

  get byteLength(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.times.byteLength, 0);
  }

  /** The index of the key's first double in `times`, or -1. */
  locate(high: number, low: number): number {
    // The upper bits of 32 that are left behind the shift name one of them.
    const { slots, times, bits } = this.#segments[high >>> SEGMENT_SHIFT] as Segment;
    if (slots === 0) return -1;
    const stride = this.#stride;
    this.times = times;
    this.bits = bits;
    let slot = Math.floor((low >>> 0) * TO_UNIT * slots);
    for (;;) {
      const at = slot * stride * 2;
      const found = bits[at];
      if (found === high && bits[at + 1] === low) return slot * stride + 1;
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
    if (this.mostLive >= this.maxKeys) this.#makeRoom(now);
    const known = this.locate(high, low);
    if (known !== -1) {
      this.#clear(known);
      this.mostLive++;
      return known;
    }
    this.mostLive++;
    const segment = this.#segmentAt(high >>> SEGMENT_SHIFT);
    if (segment.used >= segment.mostUsed) this.#rebuild(segment, now);
    segment.used++;
    this.#open(segment);
    return place(segment, this.#stride, high, low);
  }

  /** Makes a key past, so that it counts as never seen. */
  release(index: number): void {
    this.#clear(index);
  }

  /** Makes all times smaller; used when the origin of time is moved. */
  shift(by: number): void {
    for (const { slots, times } of this.#segments) {
      for (let slot = 0; slot < slots; slot++) {
        for (let lane = slot * this.#stride + 1; lane < (slot + 1) * this.#stride; lane++) {
          // With a second double that is no time, the caller moves by what leaves its words alone.
          if (lane > slot * this.#stride + 1 && this.#onDrop !== undefined) continue;
          const time = times[lane] ?? 0;
          if (time !== 0) times[lane] = time - by || -1;
        }
      }
    }
  }

  #clear(index: number): void {
    const { times } = this;
    if (times[index] !== 0) this.mostLive--;
    this.#onDrop?.(this.#handleAt(index));
    for (let lane = index; lane < index + this.#stride - 1; lane++) times[lane] = 0;
  }

  #segmentAt(place: number): Segment {
    return this.#segments[place] as Segment;
  }

  /** Frees the slots of past keys that the hand meets, or else those of the live ones that used least. */
  #makeRoom(now: number): void {
    let looked = 0;
    let found = 0;
    let freed = 0;
    const slots = this.#segments.reduce((sum, segment) => sum + segment.slots, 0);
    for (let step = 0; step < slots && freed < FORGOTTEN && !this.#hasSeenEnough(looked, step); step++) {
      this.#open(this.#advance());
      const index = this.#handSlot * this.#stride + 1;
      const time = this.at(index);
      if (time > now) {
        looked++;
        found = this.#note(this.#useOf(index, now), index, found);
      } else if (time !== 0) {
        this.#clear(index);
        freed++;
      }
    }
    if (freed > 0) return;
    const going = Math.min(found, Math.max(1, Math.floor(looked / 16)));
    for (let place = 0; place < going; place++) {
      // Blocked keys go only where the first, that is every key that was looked at, is blocked.
      if ((this.#leastUse[place] ?? 0) >= 1 && (this.#leastUse[0] ?? 0) < 1) return;
      this.#open(this.#segmentAt(this.#leastSegment[place] ?? 0));
      this.#clear(this.#leastAt[place] ?? 0);
    }
  }

  #hasSeenEnough(looked: number, step: number): boolean {
    return looked >= LOOKED_AT && ((this.#leastUse[0] ?? 0) < 1 || step >= MOST_LOOKED_AT);
  }

  /** Moves the hand to the next slot; there is one. */
  #advance(): Segment {
    let segment = this.#segmentAt(this.#handSegment);
    this.#handSlot++;
    while (this.#handSlot >= segment.slots) {
      this.#handSlot = 0;
      this.#handSegment = (this.#handSegment + 1) % SEGMENTS;
      segment = this.#segmentAt(this.#handSegment);
      if (segment.slots > 0) break;
    }
    return segment;
  }

  /** Keeps a key under the hand if it is among those that used least; returns how many are kept. */
  #note(use: number, index: number, found: number): number {
    if (found === FORGOTTEN && use >= (this.#leastUse[FORGOTTEN - 1] ?? 0)) return found;
    let place = Math.min(found, FORGOTTEN - 1);
    for (; place > 0 && (this.#leastUse[place - 1] ?? 0) > use; place--) {
      this.#leastUse[place] = this.#leastUse[place - 1] ?? 0;
      this.#leastAt[place] = this.#leastAt[place - 1] ?? 0;
      this.#leastSegment[place] = this.#leastSegment[place - 1] ?? 0;
    }
    this.#leastUse[place] = use;
    this.#leastAt[place] = index;
    this.#leastSegment[place] = this.#handSegment;
    return Math.min(found + 1, FORGOTTEN);
  }

  #open(segment: Segment): void {
    this.times = segment.times;
    this.bits = segment.bits;
  }

  /** The first word of a key's second double. */
  #handleAt(index: number): number {
    return this.bits[(index + 1) * 2] ?? 0;
  }

  /** Copies the live keys of a segment into one of fitting size. */
  #rebuild(segment: Segment, past: number): void {
    const stride = this.#stride;
    const { slots, times, bits } = segment;
    this.#open(segment);
    let live = 0;
    for (let slot = 0; slot < slots; slot++) {
      const base = slot * stride;
      if (bits[base * 2] === 0) continue;
      const time = times[base + 1] ?? 0;
      if (time > past) live++;
      else {
        if (time !== 0) this.mostLive--;
        this.#onDrop?.(this.#handleAt(base + 1));
      }
    }
    segment.slots = Math.max(FEWEST_SLOTS, Math.ceil((live + 1) / this.#load.rebuilt));
    segment.mostUsed = Math.floor(segment.slots * this.#load.most);
    segment.used = live;
    segment.times = new Float64Array(segment.slots * stride);
    segment.bits = new Int32Array(segment.times.buffer);
    for (let slot = 0; slot < slots; slot++) {
      const base = slot * stride;
      const time = times[base + 1] ?? 0;
      const high = bits[base * 2] ?? 0;
      if (high === 0 || time <= past) continue;
      const index = place(segment, stride, high, bits[base * 2 + 1] ?? 0);
      segment.times[index] = time;
      // As words, because a double made of two words may be a NaN, whose bits a copy need not keep.
      for (let word = 4; word < stride * 2; word++) segment.bits[(index - 1) * 2 + word] = bits[base * 2 + word] ?? 0;
    }
  }
}

/** Writes a fingerprint into the first empty slot and returns the index of the slot's first double. */
function place(segment: Segment, stride: number, high: number, low: number): number {
  const { slots, bits } = segment;
  let slot = Math.floor((low >>> 0) * TO_UNIT * slots);
  while (bits[slot * stride * 2] !== 0) slot = slot + 1 === slots ? 0 : slot + 1;
  bits[slot * stride * 2] = high;
  bits[slot * stride * 2 + 1] = low;
  return slot * stride + 1;
}
