import type { Phase } from "./load-plan.js";

/** Arrivals at random moments, independent of each other and of the answers. */
export class PoissonArrivals {
  constructor(phases: readonly Phase[], random: () => number);
  /** Seconds since the load began, never less than the last; `undefined` when the phases are over. */
  next(): number | undefined;
}
