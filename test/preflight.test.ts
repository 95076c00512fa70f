import { App } from "cello";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
const preflight = { origin: "https://other.example", "access-control-request-method": "DELETE" };

describe("a CORS preflight", () => {
  let app: App;
  const ask = async (url: string, headers: Record<string, string> = preflight) =>
    (await app.inject({ method: "OPTIONS", url, headers })).statusCode;

  beforeEach(() => {
    app = new App().enableJwt({ secret });
    // As a CORS plugin does: it answers in a hook, before the router's 404.
    app.addHook("onRequest", (request, reply, done) => {
      if (request.method === "OPTIONS" && request.url === "/api") reply.code(204).send();
      else done();
    });
    app.get("/api", () => "secret");
    app.options("/options-only", () => "allowed");
    app.options("/guarded", { auth: "required" }, () => "secret");
    app.fastify.all("/everything", () => "secret");
  });
  afterEach(() => app.close());

  it("reaches who answers preflights, without a token", async () => {
    expect(await ask("/api")).toBe(204);
    expect(await ask("/options-only")).toBe(200);
  });

  it("needs a token where a handler of other methods stands, or the route asks for one", async () => {
    expect(await ask("/everything")).toBe(401);
    expect(await ask("/guarded")).toBe(401);
  });

  it("is no way in for an OPTIONS request that is none", async () => {
    expect(await ask("/api", {})).toBe(401);
    expect(await ask("/options-only", { origin: "https://other.example" })).toBe(401);
  });
});
