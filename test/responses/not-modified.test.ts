import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { getRequestListener } from "@hono/node-server";
import { App, CSP, Security } from "cello";
import { cello } from "cello/express";
import { cello as celloFastify } from "cello/fastify";
import { secure } from "cello/fetch";
import { cello as celloHono } from "cello/hono";
import express5, { type Express } from "express";
import express4 from "express4";
import fastify from "fastify";
import { Hono } from "hono";
import { etag } from "hono/etag";
import { afterEach, describe, expect, it } from "vitest";
import { serve, view } from "./serve.js";

const policy = () => new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE);
const securityHeaders = { csp: policy(), cspReportOnly: policy() };
const own = "script-src 'nonce-abcdefghijklmnopqrstuv=='";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listening(handler: RequestListener): Promise<number> {
  const served = await serve(createServer(handler));
  closers.push(served.close);
  return served.port;
}

const expressApp = (create: () => Express) => () => {
  const app = create();
  app.use(cello(new Security({ securityHeaders })));
  app.get("/", (_request, response) => response.set("ETag", '"1"').send("page"));
  return listening(app);
};

/** Each serves `/` with the entity tag `"1"`, and knows `If-None-Match`. */
const hosts: Readonly<Record<string, () => Promise<number>>> = {
  App: async () => {
    const app = new App();
    app.enableSecurityHeaders(securityHeaders);
    app.get("/", (request, reply) => {
      reply.header("etag", '"1"');
      return request.headers["if-none-match"] === '"1"' ? reply.code(304).send() : "page";
    });
    closers.push(() => app.close());
    return Number(new URL(await app.listen({ port: 0, host: "127.0.0.1" })).port);
  },
  "cello/fastify": async () => {
    const server = fastify();
    await server.register(celloFastify, { security: new Security({ securityHeaders }) });
    server.get("/", async (_request, reply) => reply.header("etag", '"1"').send("page"));
    server.addHook("onSend", async (request, reply) => {
      if (request.headers["if-none-match"] === '"1"') reply.code(304);
      reply.header("content-security-policy-report-only", own);
    });
    closers.push(() => server.close());
    return Number(new URL(await server.listen({ port: 0, host: "127.0.0.1" })).port);
  },
  "Express 5": expressApp(express5),
  "Express 4": expressApp(express4),
  "node:http": () => {
    const layer = cello(new Security({ securityHeaders }));
    return listening((request, response) =>
      layer(request, response, () => {
        const isFresh = request.headers["if-none-match"] === '"1"';
        response.writeHead(isFresh ? 304 : 200, { ETag: '"1"' }).end(isFresh ? undefined : "page");
      }),
    );
  },
  "node:http with fields of its own": () => {
    const layer = cello(new Security({ securityHeaders }));
    return listening((request, response) =>
      layer(request, response, () => {
        response.setHeader("Content-Security-Policy", own);
        response.statusCode = request.headers["if-none-match"] === '"1"' ? 304 : 200;
        response.writeHead(response.statusCode, ["Content-Security-Policy-Report-Only", own]).end();
      }),
    );
  },
  "Hono's etag": () => {
    const app = new Hono();
    app.use(celloHono(new Security({ securityHeaders })));
    app.use(etag());
    app.get("/", (context) => context.body("page", 200, { ETag: '"1"' }));
    return listening(getRequestListener(app.fetch));
  },
  "Hono's etag in front": () => {
    const app = new Hono();
    app.use(etag());
    app.use(celloHono(new Security({ securityHeaders })));
    app.get("/", (context) => context.body("page", 200, { ETag: '"1"' }));
    return listening(getRequestListener(app.fetch));
  },
  "cello/fetch": () =>
    listening(
      getRequestListener(
        secure(new Security({ securityHeaders }), (request) =>
          request.headers.get("if-none-match") === '"1"'
            ? new Response(null, { status: 304, headers: { "Content-Security-Policy": own } })
            : new Response("page", { headers: { ETag: '"1"' } }),
        ),
      ),
    ),
};

describe("a 304 carries no policy with a nonce, which would take the place of the kept page's", () => {
  it.each(Object.entries(hosts))("on %s", async (name, start) => {
    const port = await start();
    const fresh = await view(port, ["GET / HTTP/1.1"]);
    expect(fresh).toMatch(/^HTTP\/1.1 200 /);
    expect(fresh).toMatch(/^content-security-policy: .*'nonce-/im);
    expect(fresh).toMatch(/^content-security-policy-report-only: .*'nonce-/im);
    // The second and the third: heads are made in another way once a connection has shown that it can be.
    for (let visit = 2; visit < 4; visit++) {
      const again = await view(port, ["GET / HTTP/1.1", 'If-None-Match: "1"']);
      expect(again).toMatch(/^HTTP\/1.1 304 /);
      expect(again).not.toMatch(/nonce/i);
      // What stands in front of the layer decides what is left.
      if (name !== "Hono's etag in front") expect(again).toMatch(/^x-frame-options: DENY\r$/im);
    }
  });

  it("in HTTP/2", async () => {
    const layer = cello(new Security({ securityHeaders }));
    const server = createHttp2Server((request, response) =>
      Reflect.apply(layer, undefined, [request, response, () => response.writeHead(304).end()]),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("not listening on a port");
    const client = connectHttp2(`http://127.0.0.1:${address.port}`);
    closers.push(async () => {
      client.close();
      server.close();
    });
    const [headers] = await once(client.request({ ":path": "/" }), "response");
    expect(headers).toMatchObject({ ":status": 304, "x-frame-options": "DENY" });
    expect(headers).not.toHaveProperty("content-security-policy");
    expect(headers).not.toHaveProperty("content-security-policy-report-only");
  });

  it("but a policy without a nonce stays", async () => {
    const layer = cello(new Security({ securityHeaders: { csp: new CSP().defaultSrc("'self'") } }));
    const port = await listening((request, response) => layer(request, response, () => response.writeHead(304).end()));
    expect(await view(port, ["GET / HTTP/1.1"])).toMatch(/^Content-Security-Policy: default-src 'self'\r$/m);
  });
});
