import {
  type Attributes,
  type BatchObservableResult,
  type Meter,
  type MeterProvider,
  metrics,
} from "@opentelemetry/api";
import { ConfigError } from "../core/errors.js";
import { describe, object, optional, type Readers, read } from "../core/options.js";
import { strictFunction } from "../core/strict-calls.js";
import { Security } from "../policy/security.js";
import { countEvents } from "./counters.js";
import { watchLoad, watchStores } from "./gauges.js";

/** Options of {@link recordMetrics}. */
export interface MetricsOptions {
  /** Where the metrics go. Default: the global provider of OpenTelemetry, as it is at the time of the call. */
  readonly meterProvider?: MeterProvider | undefined;
  /**
   * Tells the applications of one process apart, as the attribute `cello.app`. Default: none for the
   * first of a provider, and `"2"`, `"3"` and so on for those beside it.
   */
  readonly app?: string | undefined;
}

/** A recording that runs. */
export interface MetricsRecorder {
  /** Ends it: nothing is counted or read any more. */
  stop(): void;
}

const READERS: Readers<{ meterProvider: MeterProvider | undefined; app: string }> = {
  meterProvider: object(["getMeter"], "a meter provider", "give a MeterProvider of OpenTelemetry"),
  app: optional("", (fields, name, value) => {
    if (typeof value === "string" && value !== "") return value;
    return fields.wrongType(name, `is ${describe(value)}`, 'give a short name, such as "admin"');
  }),
};

/** Names of the applications that record now, by provider. */
const recording = new WeakMap<MeterProvider, Set<string>>();

/**
 * Measures an application through OpenTelemetry: refusals by cause, sessions, stores, load, and what the
 * adaptive limits make of it. No attribute ever comes from a client.
 *
 * Of an `App`, its policy is compiled now: enable its protections before. The provider must be there
 * before too, since OpenTelemetry's own does nothing and is not exchanged afterwards.
 *
 * @param target the application, or its `Security`
 * @throws ConfigError when `target` is neither, or an option cannot be used
 *
 * @example
 * ```ts
 * const recorder = recordMetrics(app);
 * app.addHook("onClose", async () => recorder.stop());
 * ```
 */
export const recordMetrics = strictFunction(
  "recordMetrics(target, options)",
  function recordMetrics(
    target: Security | { readonly security: Security },
    options: MetricsOptions = {},
  ): MetricsRecorder {
    const { meterProvider: provider = metrics.getMeterProvider(), ...given } = read("recordMetrics", options, READERS);
    const security = readSecurity(target);
    const meter = provider.getMeter("cello");
    const app = takeName(provider, given.app);
    const stopObserving = observe(security, meter, app.name === "" ? {} : { "cello.app": app.name });
    return {
      stop: () => {
        stopObserving();
        app.giveBack();
      },
    };
  },
);

function observe({ events, rateLimits }: Security, meter: Meter, common: Attributes): () => void {
  const parts = [
    countEvents(meter, events, common),
    watchStores(meter, events, common),
    watchLoad(meter, rateLimits, common),
  ];
  const instruments = parts.flatMap(({ all }) => all);
  const collect = (result: BatchObservableResult) => {
    for (const part of parts) part.observe(result);
  };
  meter.addBatchObservableCallback(collect, instruments);
  return () => {
    meter.removeBatchObservableCallback(collect, instruments);
    for (const part of parts) part.stop();
  };
}

/** Two recordings with the same attributes would overwrite each other's values. */
function takeName(provider: MeterProvider, wanted: string): { readonly name: string; readonly giveBack: () => void } {
  const names = recording.get(provider) ?? new Set<string>();
  recording.set(provider, names);
  let name = wanted;
  for (let number = 2; names.has(name); number++) name = `${wanted} ${number}`.trimStart();
  names.add(name);
  return { name, giveBack: () => void names.delete(name) };
}

function readSecurity(target: unknown): Security {
  if (target instanceof Security) return target;
  const security: unknown =
    typeof target === "object" && target !== null ? Reflect.get(target, "security", target) : undefined;
  if (security instanceof Security) return security;
  throw new ConfigError({
    code: "CELLO_WRONG_TYPE",
    subject: "recordMetrics",
    field: "target",
    problem: `is ${describe(target)}, and no application`,
    mend: "give an App, or a Security",
  });
}
