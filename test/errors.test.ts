import { App, RateLimitConfig } from "cello";
import { afterEach, describe, expect, it } from "vitest";

describe("errors of an app", () => {
  let app: App;
  afterEach(() => app.close());

  it("tell the client nothing of what went wrong inside", async () => {
    app = new App();
    app.get("/broken", () => {
      throw new Error("secret inside");
    });
    const response = await app.inject({ method: "GET", url: "/broken" });
    expect(response.statusCode).toBe(500);
    expect(response.headers["content-type"]).toBe("application/problem+json");
    expect(response.json()).toEqual({ type: "about:blank", title: "Internal Server Error", status: 500 });
  });

  it("say what was wrong with the request", async () => {
    app = new App();
    app.post("/", (request) => request.body);
    const response = await app.inject({
      method: "POST",
      url: "/",
      headers: { "content-type": "application/json" },
      payload: "{",
    });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ title: "Bad Request", status: 400 });
  });

  it("leave the application's own handlers in place", async () => {
    app = new App();
    app.fastify.setErrorHandler((_error, _request, reply) => reply.code(418).send("mine"));
    app.fastify.setNotFoundHandler((_request, reply) => reply.code(404).send("none"));
    app.get("/broken", () => {
      throw new Error("inside");
    });
    expect((await app.inject("/broken")).body).toBe("mine");
    expect((await app.inject("/nowhere")).body).toBe("none");
  });

  it("count by address where identities are limited and there are no tokens", async () => {
    app = new App();
    app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 1, window: 60, keyBy: "identity" }));
    app.get("/", () => "ok");
    expect((await app.inject("/")).statusCode).toBe(200);
    expect((await app.inject("/")).statusCode).toBe(429);
  });
});
