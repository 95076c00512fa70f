/**
 * A process of its own with tokens in a shared store, for the test beside: takes commands as lines of
 * JSON, and answers each with one.
 */
import { createInterface } from "node:readline";
import { App } from "../../src/index.js";
import { RedisStore } from "../../src/redis/redis-store.js";

const [url = "", secret = ""] = process.argv.slice(2);
const app = new App();
app.enableJwt({ secret, store: new RedisStore({ url, deadline: 400 }) });
app.get("/me", (request) => request.claims.sub);
const address = await app.listen({ port: 0 });
console.log(JSON.stringify({ address }));

for await (const line of createInterface({ input: process.stdin })) {
  const { revoke, revokeAll, useOnce }: Record<string, unknown> = JSON.parse(line);
  if (typeof revoke === "string") await app.jwt.revoke(revoke, Date.now() / 1000 + 600);
  if (typeof revokeAll === "string") await app.jwt.revokeAll(revokeAll);
  const isFirst = typeof useOnce === "string" && (await app.jwt.useOnce({ jti: useOnce, exp: Date.now() / 1000 + 60 }));
  console.log(JSON.stringify({ isFirst }));
}
await app.close();
