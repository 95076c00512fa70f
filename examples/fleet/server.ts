// One process of the service: what every machine of the fleet would run. It is started by servers.ts.
import { App, RateLimitConfig, SecurityHeadersConfig, SessionConfig } from "cello";
import { RedisStore } from "cello/redis";
import { readLease } from "./options.js";
import { LIMIT, SERVED_BY, type ServerMessage } from "./policy.js";

const number = setting("FLEET_SERVER");
const store = new RedisStore({ url: setting("REDIS_URL"), lease: readLease(setting("FLEET_LEASE")) });
// Only the proxy of the fleet may say who the client is.
const app = new App<{ session: { visits: number } }>({ trustProxy: ["127.0.0.1"] });

app.enableSecurityHeaders(new SecurityHeadersConfig());
app.enableRateLimit(RateLimitConfig.tokenBucket({ ...LIMIT, store }));
app.enableSession(new SessionConfig({ secret: setting("SESSION_SECRET"), store }));

app.addHook("onRequest", async (_request, reply) => {
  reply.header(SERVED_BY, number);
});
app.get("/work", () => ({ done: true }));
app.get("/visits", ({ session }) => {
  const visits = (session.get("visits") ?? 0) + 1;
  session.set("visits", visits);
  return { visits };
});

for (const kind of ["store.error", "store.recovered"] as const) {
  app.on(kind, (event) => tell({ kind, store: event.store, atMs: Date.now(), processes: store.processes }));
}

const address = await app.listen({ host: "127.0.0.1", port: Number(setting("PORT")) });
tell({ kind: "listening", port: Number(new URL(address).port) });
setInterval(() => tell({ kind: "processes", processes: store.processes }), 100);

// Ctrl+C reaches every process of a terminal; this one ends when the one that started it is gone.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());

function tell(message: ServerMessage): void {
  if (process.connected) process.send?.(message);
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing: start the fleet with "npm run fleet"`);
  return value;
}
