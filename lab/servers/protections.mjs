// The servers: one work, one protection in front of it. Each gives back its port and what limits are in force.
import underPressure from "@fastify/under-pressure";
import fastify from "fastify";
import toobusy from "toobusy-js";
import { App, RateLimitConfig } from "../../dist/index.js";
import { GradientLimit } from "./gradient-limit.mjs";

/** The kernel's queue of new connections is the same for all, and long enough not to be what is measured. */
const LISTEN = { port: 0, host: "127.0.0.1", backlog: 4096 };
const NO_LIMITS = () => ({ limit: null, concurrency: null });
/** Where nothing shall be refused, the limit stays where it is: the floor is the ceiling. */
const UNLIMITED = 1_000_000_000;

const PROTECTIONS = {
  none: (_settings, work) => startFastify(work),
  "token-bucket": ({ requests, window, isUnlimited }, work) =>
    startCello(RateLimitConfig.tokenBucket({ requests: isUnlimited ? UNLIMITED : requests, window }), work),
  "cello-adaptive": (settings, work) =>
    // The lab's server has a core of its own, so that the default of 0.8 would leave a fifth of it idle.
    startCello(RateLimitConfig.adaptive({ ...adaptiveOptions(settings), cpuThreshold: 0.95 }), work),
  "cello-shedding": (settings, work) =>
    // With shedding the CPU may be used to the full: what it has no time for is refused at once.
    startCello(
      RateLimitConfig.adaptive({ ...adaptiveOptions(settings), cpuThreshold: 1, maxConcurrency: "auto" }),
      work,
    ),
  "under-pressure": ({ latencyThresholdMs, heapLimitMb }, work) =>
    startFastify(work, (app) =>
      app.register(underPressure, {
        maxEventLoopDelay: latencyThresholdMs,
        maxEventLoopUtilization: 0.98,
        // As its README advises: the default is the mean since the start, which hardly moves after an hour.
        eventLoopUtilizationMode: "interval",
        sampleInterval: 250,
        retryAfter: 1,
        ...(heapLimitMb !== undefined && { maxHeapUsedBytes: heapLimitMb * 0.9 * 2 ** 20 }),
      }),
    ),
  toobusy: (_settings, work) =>
    startFastify(work, (app) => {
      toobusy.maxLag(70);
      app.addHook("onRequest", (_request, reply, done) => (toobusy() ? refuse(reply) : done()));
    }),
  gradient: (_settings, work) => startGradient(work),
};

/** Starts the server that the settings name. */
export function startServer(settings, work) {
  return PROTECTIONS[settings.protection](settings, work);
}

function adaptiveOptions({ requests, window, latencyThresholdMs, isUnlimited }) {
  const limits = isUnlimited
    ? { baseRequests: UNLIMITED, minRequests: UNLIMITED }
    : { baseRequests: requests, minRequests: 10 };
  return { ...limits, window, latencyThreshold: latencyThresholdMs };
}

async function startFastify(work, protect = () => {}) {
  const app = fastify();
  await protect(app);
  app.get("/work", work);
  await app.listen(LISTEN);
  return { port: app.server.address().port, limits: NO_LIMITS };
}

async function startCello(config, work) {
  const app = new App();
  app.enableRateLimit(config);
  app.get("/work", work);
  await app.listen(LISTEN);
  const limits = () => {
    const [state] = app.rateLimit.load.limits;
    return { limit: state?.limit ?? null, concurrency: state?.concurrency?.limit ?? null };
  };
  return { port: app.fastify.server.address().port, limits };
}

async function startGradient(work) {
  const gradient = new GradientLimit();
  const arrivals = new WeakMap();
  const { port } = await startFastify(work, (app) => {
    app.addHook("onRequest", (request, reply, done) => {
      if (!gradient.enter()) return refuse(reply);
      arrivals.set(request, performance.now());
      done();
    });
    // Not onResponse: it does not come when the client has gone, and the place would be lost for ever.
    app.addHook("onSend", (request, _reply, payload, done) => {
      const arrivedMs = arrivals.get(request);
      if (arrivedMs !== undefined) gradient.leave(performance.now() - arrivedMs);
      done(null, payload);
    });
  });
  return { port, limits: () => ({ limit: null, concurrency: Math.floor(gradient.limit) }) };
}

function refuse(reply) {
  reply.code(503).header("retry-after", "1").send({ title: "Service Unavailable", status: 503 });
}
