// Fastify without a plugin.
import fastify from "fastify";
import { NOBODY } from "./contract.mjs";

export async function start() {
  const app = fastify();
  for (const path of ["/me", "/write"]) app.get(path, () => ({ ...NOBODY }));
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app.server.address().port;
}
