import { Server as HttpServer, type IncomingMessage, type RequestListener, ServerResponse } from "node:http";
import { Jwt, Security } from "cello";
import { cello } from "cello/express";
import { inject } from "light-my-request";
import { createMocks } from "node-mocks-http";
import { describe, expect, it } from "vitest";
import { serve } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";
const jwt = new Jwt({ secret });
const layer = cello(new Security({ jwt: { secret }, session: { secret }, securityHeaders: {} }));

const behind: RequestListener = (request, response) => layer(request, response, () => response.end("hello"));

describe("responses that are not quite Node's own", () => {
  it("carry the security headers in light-my-request", async () => {
    const ok = await inject(behind, { url: "/", headers: { authorization: `Bearer ${jwt.sign({ sub: "u1" })}` } });
    expect([ok.statusCode, ok.payload, ok.headers["x-frame-options"]]).toEqual([200, "hello", "DENY"]);
    const refused = await inject(behind, { url: "/" });
    expect([refused.statusCode, refused.headers["x-frame-options"]]).toEqual([401, "DENY"]);
  });

  it("carry the security headers in node-mocks-http", async () => {
    for (const [headers, status] of [
      [{ authorization: `Bearer ${jwt.sign({ sub: "u1" })}` }, 200],
      [{}, 401],
    ] as const) {
      const { req, res } = createMocks<IncomingMessage & Record<string, unknown>, ServerResponse>(
        { method: "GET", url: "/", headers, socket: {} },
        {},
      );
      layer(req, res, () => res.writeHead(200, { "X-Own": "1" }).end("hello"));
      expect([res.statusCode, res.getHeader("X-Frame-Options")]).toEqual([status, "DENY"]);
      if (status === 200) expect(res.getHeader("X-Own")).toBe("1");
    }
  });

  it("carry the security headers where a class has a writeHead that knows objects only", async () => {
    /** As the adapters of cloud functions do: the fields are taken from an object, and kept. */
    class CloudResponse extends ServerResponse {
      // biome-ignore lint/suspicious/noExplicitAny: the overloads of Node's own
      override writeHead(status: number, ...rest: any[]): this {
        const fields = typeof rest[0] === "string" ? rest[1] : rest[0];
        for (const name in fields) this.setHeader(name, fields[name]);
        return super.writeHead(status);
      }
    }
    const server = new HttpServer({ ServerResponse: CloudResponse }, (request, response) =>
      layer(request, response, () => response.writeHead(201, "Made", { "X-Own": "1" }).end("hello")),
    );
    const { url, close } = await serve(server);
    try {
      const ok = await fetch(url, { headers: { authorization: `Bearer ${jwt.sign({ sub: "u1" })}` } });
      expect([ok.status, ok.headers.get("x-frame-options"), ok.headers.get("x-own")]).toEqual([201, "DENY", "1"]);
      expect([...ok.headers.keys()].filter((name) => /^\d/.test(name))).toEqual([]);
      const refused = await fetch(url);
      expect([refused.status, refused.headers.get("x-frame-options")]).toEqual([401, "DENY"]);
      expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    } finally {
      await close();
    }
  });

  it("never throw into the host when they are hardly responses at all", async () => {
    const { req } = createMocks({ method: "GET", url: "/", headers: {}, socket: {} });
    const { req: good } = createMocks({
      method: "GET",
      url: "/",
      headers: { authorization: `Bearer ${jwt.sign({ sub: "u1" })}` },
      socket: {},
    });
    const bare = {};
    let passed = 0;
    // Deliberately no response: JavaScript callers give what they have.
    Reflect.apply(layer, undefined, [req, bare, () => passed++]);
    Reflect.apply(layer, undefined, [good, {}, () => passed++]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(passed).toBe(1);
    expect(bare).toHaveProperty("statusCode", 401);
  });
});
