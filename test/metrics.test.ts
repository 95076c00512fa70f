import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { App, ConfigError, RateLimitConfig } from "cello";
import { recordMetrics } from "cello/metrics";
import { describe, expect, it } from "vitest";

function provider() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  // The interval is longer than any test: only what is asked for is collected.
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const collect = async () => {
    const { resourceMetrics } = await reader.collect();
    const values = new Map<string, number>();
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) {
        for (const { attributes, value } of dataPoints) {
          if (typeof value === "number") values.set(`${descriptor.name} ${JSON.stringify(attributes)}`, value);
        }
      }
    }
    return values;
  };
  return { meterProvider, collect };
}

function application(requests = 2): App {
  const app = new App();
  app.enableJwt({ secret: "0123456789abcdef0123456789abcdef", exclude: ["/open"] });
  app.enableRateLimit(
    RateLimitConfig.adaptive({ baseRequests: requests, minRequests: 1, window: 60, maxConcurrency: 5 }),
  );
  app.get("/open", () => "open");
  app.get("/closed", () => "closed");
  return app;
}

describe("recordMetrics", () => {
  it("counts refusals by cause and shows load and limits, and nothing after it was stopped", async () => {
    const { meterProvider, collect } = provider();
    const app = application();
    const recorder = recordMetrics(app, { meterProvider });
    const address = await app.listen({ port: 0, host: "127.0.0.1" });
    await fetch(`${address}/closed`, { headers: { authorization: "Bearer nonsense" } });
    for (let request = 0; request < 3; request++) await fetch(`${address}/open`);
    const values = await collect();
    expect(values.get('cello.token.rejected {"cello.reason":"malformed"}')).toBe(1);
    expect(values.get('cello.rate_limit.refused {"cello.limit":"default","cello.dry_run":false}')).toBe(2);
    expect(values.get('cello.rate_limit.base {"cello.limit":"default"}')).toBe(2);
    expect(values.get('cello.rate_limit.limit {"cello.limit":"default"}')).toBe(2);
    expect(values.get('cello.rate_limit.concurrency {"cello.state":"allowed","cello.limit":"default"}')).toBe(5);
    expect(values.get("cello.load.in_flight {}")).toBe(0);
    expect(values.get("cello.load.memory {}")).toBeGreaterThan(0);
    recorder.stop();
    await fetch(`${address}/open`);
    expect((await collect()).get('cello.rate_limit.refused {"cello.limit":"default","cello.dry_run":false}')).not.toBe(
      3,
    );
    await app.close();
  });

  it("tells two applications of a process apart, and takes a Security too", async () => {
    const { meterProvider, collect } = provider();
    const [first, second] = [application(3), application(7)];
    recordMetrics(first, { meterProvider });
    recordMetrics(second.security, { meterProvider });
    const values = await collect();
    expect(values.get('cello.rate_limit.base {"cello.limit":"default"}')).toBe(3);
    expect(values.get('cello.rate_limit.base {"cello.limit":"default","cello.app":"2"}')).toBe(7);
  });

  it("refuses what is no application or no provider", () => {
    expect(() => Reflect.apply(recordMetrics, undefined, [{}])).toThrow(ConfigError);
    expect(() => Reflect.apply(recordMetrics, undefined, [application(), { meterProvider: {} }])).toThrow(
      /meterProvider/,
    );
  });
});
