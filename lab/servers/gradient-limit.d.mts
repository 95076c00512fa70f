/** How the limit moves; the defaults are those of the original, but for the floor of 1. */
export interface GradientOptions {
  readonly initial?: number;
  readonly min?: number;
  readonly max?: number;
  /** How far the short average of latencies may be above the long one, as a factor. */
  readonly tolerance?: number;
  /** Requests by which the limit grows at each answer while latencies are steady, before smoothing. */
  readonly queue?: number;
  /** Weight of the newest limit. */
  readonly smoothing?: number;
}

/** A limit of requests in flight that follows the gradient of latencies. */
export class GradientLimit {
  constructor(options?: GradientOptions);
  readonly limit: number;
  /** Takes a place, if there is one. */
  enter(): boolean;
  /** Gives a place back. */
  leave(latencyMs: number): void;
}
