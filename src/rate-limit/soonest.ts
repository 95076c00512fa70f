/** What the selection reads of a table. */
export interface TimedSlots {
  readonly slots: number;
  readonly lanes: Float64Array;
}

/** Where the line runs between the keys that go and those that stay. */
export interface Soonest {
  /** Keys whose time is not past. */
  readonly live: number;
  /** Keys before this time go, those after it stay. */
  readonly cutoff: number;
  /** So many of the keys with exactly this time go; 0 when nobody has to. */
  readonly ties: number;
}

const BUCKETS = 2048;

/**
 * Finds the time up to which keys must go so that `kept` stay: exactly the soonest ones.
 *
 * Counts the times in a histogram and looks closer into the one bucket where the line runs, until it
 * holds a single time. Times are whole numbers. Two passes over a million keys as a rule.
 *
 * @param past times at or before this are not counted
 */
export function selectSoonest(segments: readonly TimedSlots[], stride: number, past: number, kept: number): Soonest {
  const range = liveRange(segments, stride, past);
  let left = range.live - kept;
  if (left <= 0) return { live: range.live, cutoff: past, ties: 0 };
  let { low, high } = range;
  const counts = new Uint32Array(BUCKETS);
  for (;;) {
    const width = Math.ceil((high - low + 1) / BUCKETS);
    counts.fill(0);
    countTimes(segments, stride, low, high, width, counts);
    let bucket = 0;
    while (left > (counts[bucket] ?? 0)) {
      left -= counts[bucket] ?? 0;
      bucket++;
    }
    low += bucket * width;
    if (width === 1) return { live: range.live, cutoff: low, ties: left };
    high = Math.min(high, low + width - 1);
  }
}

function liveRange(segments: readonly TimedSlots[], stride: number, past: number) {
  let live = 0;
  let low = Infinity;
  let high = past;
  for (const { slots, lanes } of segments) {
    for (let index = 1; index < slots * stride; index += stride) {
      const time = lanes[index] ?? 0;
      if (time <= past) continue;
      live++;
      if (time < low) low = time;
      if (time > high) high = time;
    }
  }
  return { live, low, high };
}

function countTimes(
  segments: readonly TimedSlots[],
  stride: number,
  low: number,
  high: number,
  width: number,
  counts: Uint32Array,
): void {
  for (const { slots, lanes } of segments) {
    for (let index = 1; index < slots * stride; index += stride) {
      const time = lanes[index] ?? 0;
      if (time < low || time > high) continue;
      const bucket = Math.floor((time - low) / width);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
  }
}
