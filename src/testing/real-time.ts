/** How long something that must happen some time may take, in milliseconds. */
const PATIENCE_MS = 5000;
const LOOK_EACH_MS = 5;

/** Waits so many milliseconds and not less: a timer may fire a little early. */
export async function waitExactly(milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  for (let left = milliseconds; left > 0; left = end - performance.now()) {
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(left)));
  }
}

/** Waits until something is so. @returns whether it was in time */
export async function becomesTrue(
  condition: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<boolean> {
  const end = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await waitExactly(LOOK_EACH_MS);
  }
  return true;
}

/** Seconds since 1970. */
export function inAnHour(): number {
  return Math.floor(Date.now() / 1000) + 3600;
}
