import { createHash, randomBytes } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { Security } from "cello";
import { cello } from "cello/express";
import compression from "compression";
import express5, { type Express, type RequestHandler } from "express";
import express4 from "express4";
import onHeaders from "on-headers";
import responseTime from "response-time";
import { afterEach, describe, expect, it } from "vitest";
import { LaterStore } from "./later-store.js";
import { type Served, serve, view } from "./serve.js";

const secret = "a secret of more than thirty-two bytes, for tests";

/** Middleware that changes what is written, as those do that rewrite links or take secrets out of logs. */
const redact: RequestHandler = (_request, response, next) => {
  const { write, end } = response;
  const clean = (chunk: unknown) => (typeof chunk === "string" ? chunk.replaceAll("secret", "******") : chunk);
  Object.assign(response, {
    write: (chunk: unknown, ...rest: unknown[]) => Reflect.apply(write, response, [clean(chunk), ...rest]),
    end: (chunk: unknown, ...rest: unknown[]) => Reflect.apply(end, response, [clean(chunk), ...rest]),
  });
  next();
};

const stamp: RequestHandler = (_request, response, next) => {
  onHeaders(response, () => response.setHeader("X-Stamp", String(response.statusCode)));
  next();
};

const others: readonly RequestHandler[] = [compression({ threshold: 0 }), stamp, responseTime(), redact];

const big = randomBytes(3_000_000);

interface Running extends Served {
  readonly store: LaterStore;
}

let served: Running | undefined;
afterEach(async () => {
  await served?.close();
  served = undefined;
});

type Place = "before" | "after";

async function start(create: () => Express, place: Place, routes: (app: Express) => void): Promise<Running> {
  const app = create();
  const store = new LaterStore();
  const layer = cello(new Security({ session: { secret, store }, securityHeaders: {} }));
  app.use(...(place === "before" ? [...others, layer] : [layer, ...others]));
  // Every answer has a session to save, and so is held.
  app.use((request, _response, next) => {
    request.session.set("visit", Math.random());
    next();
  });
  routes(app);
  served = { ...(await serve(app)), store };
  return served;
}

const frameworks: readonly (readonly [string, () => Express])[] = [
  ["Express 5", express5],
  ["Express 4", express4],
];
const places: readonly Place[] = ["before", "after"];
const cases = frameworks.flatMap(([name, create]) => places.map((place) => [name, place, create] as const));

const gzip = { headers: { "accept-encoding": "gzip" } };

function expectWhole(response: Response): void {
  expect(response.headers.get("x-frame-options")).toBe("DENY");
  expect(response.headers.get("set-cookie")).toMatch(/^session_id=/);
  expect(response.headers.get("x-stamp")).toBe(String(response.status));
  expect(response.headers.get("x-response-time")).toMatch(/ms$/);
}

describe.each(cases)("%s, other middleware %s cello, a store that answers later", (_name, place, create) => {
  it("answers JSON, compressed and with what every middleware adds", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => response.status(201).json({ text: "hello ".repeat(100) }));
    });
    const response = await fetch(url, gzip);
    expect(response.status).toBe(201);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.json()).toEqual({ text: "hello ".repeat(100) });
    expectWhole(response);
  });

  it("sends every chunk through every middleware", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => {
        response.type("text");
        response.write("secret one, ");
        response.write("secret two, ");
        setImmediate(() => {
          response.write("secret three, ");
          setTimeout(() => response.end("secret four"), 10);
        });
      });
    });
    const response = await fetch(url, gzip);
    expect(await response.text()).toBe("****** one, ****** two, ****** three, ****** four");
    expectWhole(response);
  });

  it("carries a stream that is larger than what a socket takes at once", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => {
        response.type("text/html");
        Readable.from([big, big]).pipe(new PassThrough()).pipe(response);
      });
    });
    for (const headers of [gzip.headers, { "accept-encoding": "identity" }]) {
      const response = await fetch(url, { headers });
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(createHash("sha1").update(bytes).digest("hex")).toBe(
        createHash("sha1").update(big).update(big).digest("hex"),
      );
      expectWhole(response);
    }
  });

  it("calls back for write and end, once each", async () => {
    const called: string[] = [];
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => {
        response.type("image/png");
        response.write("a", () => called.push("write"));
        response.end("b", () => called.push("end"));
      });
    });
    expect(await (await fetch(url)).text()).toBe("ab");
    await expect.poll(() => called).toEqual(["write", "end"]);
  });

  it("opens a stream of events at once, and sends each when it comes", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => {
        response.setHeader("Content-Type", "text/event-stream");
        response.setHeader("Cache-Control", "no-transform");
        response.flushHeaders();
        setTimeout(() => response.write("data: 1\n\n"), 20);
      });
    });
    const response = await fetch(url);
    expectWhole(response);
    const reader = response.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe("data: 1\n\n");
    await reader?.cancel();
  });

  it("refuses for a store that is down, and drops what the handler goes on to write", async () => {
    const { url, store } = await start(create, place, (app) => {
      app.get("/", (_request, response) => {
        response.type("text/html");
        response.write("you are signed in, ");
        setTimeout(() => response.end("really"), 10);
      });
    });
    store.isDown = true;
    const response = await fetch(url, gzip);
    expect(response.status).toBe(503);
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(response.headers.get("x-frame-options")).toBe("DENY");
    expect(await response.json()).toMatchObject({ status: 503 });
    store.isDown = false;
    expect((await fetch(url)).status).toBe(200);
  });

  it("answers once when a handler answers and goes on", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response, next) => {
        response.json({ first: true });
        next();
      });
      app.get("/twice", (_request, response) => {
        response.json({ first: true });
        response.status(500).json({ second: true });
      });
    });
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ first: true });
    const twice = await fetch(`${url}/twice`);
    expect(twice.status).toBe(200);
    expect(await twice.text()).toBe('{"first":true}');
  });

  it("answers HEAD without a body, with the same fields", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", (_request, response) => response.json({ text: "hello" }));
    });
    const response = await fetch(url, { method: "HEAD" });
    expect(response.status).toBe(200);
    expectWhole(response);
    expect(await response.text()).toBe("");
  });

  it("lets 304 through", async () => {
    const { port } = await start(create, place, (app) => {
      app.get("/", (_request, response) => response.set("ETag", '"1"').json({ text: "hello" }));
    });
    const answer = await view(port, ["GET / HTTP/1.1", 'If-None-Match: "1"']);
    expect(answer).toMatch(/^HTTP\/1.1 304 Not Modified\r\n/);
    expect(answer).toMatch(/^X-Frame-Options: DENY\r$/m);
    expect(answer).toMatch(/^X-Stamp: 304\r$/m);
    expect(answer).toMatch(/^Set-Cookie: session_id=/m);
  });

  it("passes an error of the handler to the framework's answer", async () => {
    const { url } = await start(create, place, (app) => {
      app.get("/", () => {
        throw Object.assign(new Error("teapot"), { status: 418 });
      });
    });
    const response = await fetch(url);
    expect(response.status).toBe(418);
    expectWhole(response);
  });
});
