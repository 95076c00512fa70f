/** Decisions of one kind. */
export interface RedisWorkload {
  readonly name: string;
  readonly title: string;
  readonly keys: number;
  readonly limit: { readonly requests: number; readonly window: number };
  /** Whether every decision admits; else nearly none does. */
  readonly isAdmitted: boolean;
}

const WORKLOADS: readonly RedisWorkload[] = [
  {
    name: "one-key",
    title: "One key, all admitted",
    keys: 1,
    limit: { requests: 100_000_000, window: 60 },
    isAdmitted: true,
  },
  {
    name: "many-keys",
    title: "1,000 keys, all admitted",
    keys: 1000,
    limit: { requests: 1_000_000, window: 60 },
    isAdmitted: true,
  },
  {
    name: "flood",
    title: "One key far over its limit",
    keys: 1,
    limit: { requests: 100, window: 60 },
    isAdmitted: false,
  },
];

/** Each asks Redis for every decision that Redis has to make. */
export const STRICT = ["Cello token bucket", "Cello sliding window"] as const;
/** Takes units in batches and decides by itself. */
export const LEASED = ["Cello leased 100", "Cello leased auto"] as const;
export const PEERS = [
  "rate-limiter-flexible",
  "rate-limiter-flexible, tuned",
  "@fastify/rate-limit",
  "@fastify/rate-limit, tuned",
] as const;

/** All, in the order in which they are measured. */
export const CONTENDERS: readonly string[] = [...STRICT, ...LEASED, ...PEERS];

/**
 * The workloads that were asked for, by name, or all.
 *
 * @throws Error naming one that does not exist
 */
export function selectRedisWorkloads(names: readonly string[] | undefined): readonly RedisWorkload[] {
  if (names === undefined) return WORKLOADS;
  return names.map((name) => {
    const found = WORKLOADS.find((workload) => workload.name === name);
    if (found === undefined) {
      throw new Error(`no workload "${name}"; there are ${WORKLOADS.map((workload) => workload.name).join(", ")}`);
    }
    return found;
  });
}
