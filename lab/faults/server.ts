// One process of the fleet: everything it keeps is in Redis, and its clock may be wrong.
import type { RedisStoreOptions } from "../../src/redis/options.js";
import { QUOTA, type ServerSettings, WINDOW_SECONDS } from "./settings.js";

const settings: ServerSettings = JSON.parse(process.env.FAULTS_SERVER ?? "{}");
const { now } = Date;
// Before anything has read it.
Date.now = () => now() + settings.clockMs;

const { App, RateLimitConfig } = await import("../../src/index.js");
const { RedisStore } = await import("../../src/redis/redis-store.js");

const options: RedisStoreOptions = settings.redis;
const store = new RedisStore(options);
const app = new App();
const key = ({ headers }: { readonly headers: object }) => String(Reflect.get(headers, "x-key"));
const limit = RateLimitConfig.slidingWindow({ requests: QUOTA, window: WINDOW_SECONDS, key, store });
app.enableSession({ secret: settings.secret, store });
app.enableJwt({ secret: settings.secret, store });
app.get("/limited", { auth: false, rateLimit: limit }, () => "ok");
app.get("/login", { auth: false }, (request) => {
  request.session.set("userId", "u");
  return "in";
});
app.get("/session", { auth: false }, (request) => String(request.session.get("userId") ?? "nobody"));
app.get("/token", (request) => String(request.claims.sub));
for (const name of ["store.error", "store.recovered"] as const) {
  app.on(name, (event) => process.send?.({ event: name, ...event }));
}
process.send?.({ address: await app.listen({ port: 0, host: "127.0.0.1" }) });
process.on("disconnect", () => process.exit());
