/** Serves `workers` calls at a time, the others in the order in which they came. */
export class DependencyPool {
  constructor(options: {
    readonly workers: number;
    readonly minMs: number;
    readonly maxMs: number;
    readonly random: () => number;
  });
  /** Resolves with the time that the worker took, in milliseconds; the wait in line comes on top. */
  call(): Promise<number>;
}
