import { connect, constants, createServer as createHttp2Server } from "node:http2";
import { App, ConfigError, CorsConfig, Security } from "cello";
import { cello } from "cello/express";
import { describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
const SPA = "https://spa.example";
const ADMIN = "https://admin.example";
const preflight = (origin: string, method = "PUT") => ({ origin, "access-control-request-method": method });

describe("CORS of a route", () => {
  it("takes the place of the app's, for its preflights too", async () => {
    const app = new App().enableJwt({ secret }).enableCors({ origins: [SPA] });
    app.put("/open/:id", () => "x");
    app.put("/admin/:id", { cors: { origins: [ADMIN], methods: ["PUT"] } }, () => "x");
    app.delete("/admin/:id", () => "x");
    app.register(
      async (fastify) => {
        fastify.put("/shut", { cors: false }, async () => "x");
      },
      { prefix: "/sub" },
    );
    const allowed = async (url: string, origin: string) => {
      const asked = await app.inject({ method: "OPTIONS", url, headers: preflight(origin) });
      const answer = await app.inject({ method: "PUT", url, headers: { origin } });
      expect(answer.statusCode).toBe(401);
      return [asked, answer].map(({ headers }) => headers["access-control-allow-origin"]);
    };
    expect(await allowed("/open/1", SPA)).toEqual([SPA, SPA]);
    expect(await allowed("/open/1", ADMIN)).toEqual([undefined, undefined]);
    expect(await allowed("/admin/1", SPA)).toEqual([undefined, undefined]);
    expect(await allowed("/admin/1", ADMIN)).toEqual([ADMIN, ADMIN]);
    expect(await allowed("/sub/shut", SPA)).toEqual([undefined, undefined]);
    await app.close();
  });

  it("leaves an OPTIONS handler of the application to requests that are no preflights", async () => {
    const app = new App().enableCors({ origins: [SPA] });
    app.options("/x", () => "mine");
    app.options("/y", { cors: false }, () => "mine");
    const ask = async (url: string, headers: Record<string, string>) =>
      (await app.inject({ method: "OPTIONS", url, headers })).body;
    expect(await ask("/x", preflight(SPA))).toBe("");
    expect(await ask("/x", { origin: SPA })).toBe("mine");
    expect(await ask("/y", preflight(SPA))).toBe("mine");
    await app.close();
  });
});

describe("CORS of App", () => {
  it("is on what never comes to a route: what is no request, an expectation, a broken path", async () => {
    const { request, send, parse, header } = await Promise.all([import("../hostile/wire.js")]).then(([wire]) => wire);
    const app = new App().enableCors({ origins: [SPA] });
    app.get("/", () => "x");
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    const expecting = await request(url, "GET /", [`Origin: ${SPA}`, "Expect: the-moon"]);
    expect([expecting.status, header(expecting, "access-control-allow-origin")]).toEqual([417, SPA]);
    const broken = await request(url, "GET /%zz", [`Origin: ${SPA}`]);
    expect([broken.status, header(broken, "access-control-allow-origin")]).toEqual([400, SPA]);
    const [garbage] = parse(await send(url, "garbage\r\n\r\n"));
    expect([garbage?.status, garbage && header(garbage, "vary")]).toEqual([400, "Origin"]);
    await app.close();
  });

  it("takes a config or plain options, once", () => {
    const app = new App().enableCors(new CorsConfig({ origins: SPA }));
    expect(() => app.enableCors({ origins: SPA })).toThrow(ConfigError);
    expect(() => new App().enableCors({ origins: "*", credentials: true })).toThrow(ConfigError);
  });
});

describe("HTTP/2", () => {
  it.each([
    [
      "App",
      async (): Promise<readonly [string, () => unknown]> => {
        const app = new App({ http2: true }).enableJwt({ secret }).enableCors({ origins: [SPA] });
        app.get("/", () => "x");
        return [await app.listen({ port: 0, host: "127.0.0.1" }), () => app.close()];
      },
    ],
    [
      "the middleware",
      async (): Promise<readonly [string, () => unknown]> => {
        const middleware = cello(new Security({ jwt: { secret }, cors: { origins: [SPA] } }));
        const server = createHttp2Server((incoming, response) => {
          Reflect.apply(middleware, undefined, [incoming, response, () => response.end("x")]);
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const address = server.address();
        const port = typeof address === "object" ? address?.port : undefined;
        return [`http://127.0.0.1:${port}`, () => server.close()];
      },
    ],
  ] as const)("has the same preflights and fields on %s", async (_name, start) => {
    const [url, close] = await start();
    const session = connect(url);
    const ask = (headers: Record<string, string>) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const stream = session.request({ [constants.HTTP2_HEADER_PATH]: "/", ...headers });
        stream.on("response", (fields) => resolve({ ...fields }));
        stream.on("error", reject);
        stream.resume().end();
      });
    expect(await ask({ ":method": "OPTIONS", ...preflight(SPA) })).toMatchObject({
      ":status": 204,
      "access-control-allow-origin": SPA,
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
    expect(await ask({ ":method": "GET", origin: SPA })).toMatchObject({
      ":status": 401,
      "access-control-allow-origin": SPA,
      vary: "Origin",
    });
    session.close();
    await close();
  });
});
