// "node scripts/answers.mjs [CHECKOUT]": what each host answers to a fixed list of requests, byte for byte as it comes
// over a socket, from the `dist/` of a checkout. Values that differ from run to run (nonces, cookies, times, ids) are
// replaced by their names. Two states of the code answer alike when `diff` finds nothing:
//   diff <(node scripts/answers.mjs ../before) <(node scripts/answers.mjs)
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// Express shows its stack otherwise.
process.env.NODE_ENV = "production";
const checkout = pathToFileURL(`${resolve(process.argv[2] ?? fileURLToPath(new URL("..", import.meta.url)))}/`);
const manifest = JSON.parse(readFileSync(new URL("package.json", checkout), "utf8"));
const load = async (entry) => import(new URL(manifest.exports[entry].default, checkout).href);
const peer = createRequire(new URL("package.json", checkout));
const { App, Jwt, RateLimitConfig, Security, SecurityHeadersConfig } = await load(".");

const SECRET = "Vb6jO5Sn3TzTqv2p5QmYrYB1Sb1xKqJ0mE8p0r9sXwI";
const minted = new Jwt({ secret: SECRET });
const now = Math.floor(Date.now() / 1000);
const TOKENS = {
  good: minted.sign({ sub: "u1", roles: ["user"], scope: "read" }),
  admin: minted.sign({ sub: "u2", roles: ["admin"], scope: "read write" }),
  expired: minted.sign({ sub: "u1", iat: now - 7200, exp: now - 3600 }),
  forged: new Jwt({ secret: `${SECRET.slice(1)}A` }).sign({ sub: "u1" }),
};

const policies = {
  "everything on": () => ({
    jwt: { secret: SECRET, exclude: ["/login", "/page", "/public", "/form", "/session", "/fails"] },
    session: { secret: SECRET, secure: false },
    securityHeaders: SecurityHeadersConfig.strict(),
    cors: { origins: ["https://spa.example"], credentials: true },
    rateLimit: [
      RateLimitConfig.tokenBucket({ requests: 10_000, window: 864_000, exclude: ["/few"] }),
      RateLimitConfig.slidingWindow({ name: "few", requests: 2, window: 3600, exclude: OTHERS, headers: "legacy" }),
    ],
  }),
  "headers alone": () => ({ securityHeaders: {} }),
  "a session alone": () => ({ session: { secret: SECRET, secure: false } }),
  "a limit alone": () => ({ rateLimit: RateLimitConfig.tokenBucket({ requests: 20, window: 86_400 }) }),
};
const OTHERS = ["/login", "/page", "/public", "/form", "/session", "/fails", "/me", "/", "/nothing-here"];

/** Method, path, headers, body. `cookie` stands for the one that the last answer set. */
const asked = (() => {
  const bearer = (token) => ({ Authorization: `Bearer ${token}` });
  const preflight = { "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-one" };
  return [
    ["GET", "/public"],
    ["HEAD", "/public"],
    ["GET", "/me"],
    ["GET", "/me", bearer(TOKENS.good)],
    ["GET", "/me", bearer(TOKENS.good)],
    ["HEAD", "/me", bearer(TOKENS.good)],
    ["GET", "/me", bearer(TOKENS.expired)],
    ["GET", "/me", bearer(TOKENS.forged)],
    ["GET", "/me", bearer("no-token")],
    ["GET", "/me", { Authorization: "Basic dTpw" }],
    ["GET", `/me?token=${TOKENS.good}`],
    ["GET", "/page"],
    ["GET", "/page", { "If-None-Match": '"v1"' }],
    ["POST", "/login", { "Sec-Fetch-Site": "same-origin" }, "{}"],
    ["GET", "/session", { Cookie: "cookie" }],
    ["GET", "/session", { Cookie: "cookie" }],
    ["POST", "/form", { Cookie: "cookie", "Sec-Fetch-Site": "cross-site" }, "{}"],
    ["POST", "/form", { Cookie: "cookie", "Sec-Fetch-Site": "same-origin" }, "{}"],
    ["POST", "/form", { Cookie: "cookie", Origin: "https://evil.example" }, "{}"],
    ["GET", "/session", { Cookie: "session_id=forged" }],
    ["OPTIONS", "/me", { Origin: "https://spa.example", ...preflight }],
    ["OPTIONS", "/me", { Origin: "https://evil.example", ...preflight }],
    ["OPTIONS", "/me"],
    ["GET", "/me", { Origin: "https://spa.example" }],
    ["GET", "/me", { Origin: "https://spa.example", ...bearer(TOKENS.good) }],
    ["GET", "/fails"],
    ["GET", "/nothing-here"],
    ["GET", "/nothing-here", bearer(TOKENS.good)],
    ["DELETE", "/me", bearer(TOKENS.good)],
    ["GET", "/few", bearer(TOKENS.good)],
    ["GET", "/few", bearer(TOKENS.good)],
    ["GET", "/few", bearer(TOKENS.good)],
    ["GET", "/few", bearer(TOKENS.admin)],
    ["GET", "/%2e%2e/me", bearer(TOKENS.good)],
    ["GET", "//me", bearer(TOKENS.good)],
    ["GET", "/me", { "X-Forwarded-For": "10.0.0.1", ...bearer(TOKENS.good) }],
    ["GET", "/public"],
  ];
})();

/** What the application does: status, headers and body by method and path; throws at /fails. */
async function work(method, path, { session, claims, cspNonce }, ifNoneMatch) {
  const json = { "Content-Type": "application/json" };
  switch (`${method === "HEAD" ? "GET" : method} ${path}`) {
    case "GET /public":
      return [200, { "Content-Type": "text/plain", "X-Own": "1" }, "hello"];
    case "GET /me":
    case "GET /few":
      return [200, json, JSON.stringify({ sub: claims?.sub ?? null })];
    case "GET /page":
      if (ifNoneMatch === '"v1"') return [304, { ETag: '"v1"' }, ""];
      return [200, { "Content-Type": "text/html", ETag: '"v1"' }, `<script nonce="${cspNonce ?? ""}"></script>`];
    case "POST /login":
      if (session === undefined) return [200, json, "{}"];
      await session.regenerate();
      session.set("user", "u1");
      return [200, json, '{"ok":true}'];
    case "GET /session":
    case "POST /form":
      return [200, json, JSON.stringify({ user: session?.get("user") ?? null })];
    case "GET /fails":
      throw new Error("a secret of the application");
    default:
      return [404, { "Content-Type": "text/plain" }, "not found"];
  }
}

/** What the layer put onto the request; reading what is not enabled throws in some hosts. */
function secured(given) {
  const read = (field) => {
    try {
      return given[field] ?? undefined;
    } catch {
      return undefined;
    }
  };
  return { session: read("session"), claims: read("claims"), cspNonce: read("cspNonce") };
}

async function answerNode(request, response) {
  const path = request.url.split("?")[0];
  const [status, headers, body] = await work(request.method, path, secured(request), request.headers["if-none-match"]);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = status;
  response.end(status === 304 ? undefined : body);
}

const ROUTES = ["/public", "/me", "/few", "/page", "/session", "/fails"];
function addRoutes(server) {
  server.addContentTypeParser("*", (_request, payload, done) => {
    payload.resume();
    done(null);
  });
  const route = async (request, reply) => {
    const path = request.url.split("?")[0];
    const [status, headers, body] = await work(
      request.method,
      path,
      secured(request),
      request.headers["if-none-match"],
    );
    return reply.code(status).headers(headers).send(body);
  };
  for (const path of ROUTES) server.get(path, route);
  for (const path of ["/login", "/form"]) server.post(path, route);
}

const hosts = {
  async App(options) {
    const app = new App();
    const { jwt, session, securityHeaders, cors, rateLimit } = options;
    if (cors) app.enableCors(cors);
    if (jwt) app.enableJwt(jwt);
    if (session) app.enableSession(session);
    if (securityHeaders) app.enableSecurityHeaders(securityHeaders);
    for (const limit of [rateLimit ?? []].flat()) app.enableRateLimit(limit);
    addRoutes(app.fastify);
    await app.listen({ port: 0, host: "127.0.0.1" });
    return [app.fastify.server.address().port, () => app.close()];
  },
  async fastify(options) {
    const server = peer("fastify")();
    await server.register((await load("./fastify")).cello, { security: new Security(options) });
    addRoutes(server);
    await server.listen({ port: 0, host: "127.0.0.1" });
    return [server.server.address().port, () => server.close()];
  },
  async express(options) {
    const express = peer("express");
    const app = express();
    app.use((await load("./express")).cello(new Security(options)));
    app.use((request, response, next) => answerNode(request, response).catch(next));
    return listen(createServer(app));
  },
  async "node:http"(options) {
    const layer = (await load("./express")).cello(new Security(options));
    const fail = (response) => response.writeHead(500).end();
    const server = createServer((request, response) =>
      layer(request, response, () => answerNode(request, response).catch(() => fail(response))),
    );
    return listen(server);
  },
  async hono(options) {
    const { Hono } = await import(pathToFileURL(peer.resolve("hono")).href);
    const app = new Hono();
    app.use((await load("./hono")).cello(new Security(options)));
    app.all("*", (context) => answerFetch(context.req.raw, context.var));
    return serveFetch(app.fetch);
  },
  async fetch(options) {
    const { secure } = await load("./fetch");
    return serveFetch(secure(new Security(options), (request, fields) => answerFetch(request, fields)));
  },
};

async function answerFetch(request, fields) {
  const path = new URL(request.url).pathname;
  const [status, headers, body] = await work(
    request.method,
    path,
    secured(fields),
    request.headers.get("if-none-match"),
  );
  return new Response(status === 304 ? null : body, { status, headers });
}

async function serveFetch(fetch) {
  const { serve } = await import(pathToFileURL(peer.resolve("@hono/node-server")).href);
  const server = serve({ fetch, port: 0, hostname: "127.0.0.1" });
  await once(server, "listening");
  return [server.address().port, () => new Promise((done) => server.close(done))];
}

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [server.address().port, () => new Promise((done) => server.close(done))];
}

/** The bytes of one answer, on a connection of its own. */
async function ask(port, [method, path, headers = {}, body], cookie) {
  const fields = Object.entries({ Host: "app.example", ...headers, Connection: "close" });
  if (body !== undefined) fields.push(["Content-Type", "application/json"], ["Content-Length", body.length]);
  const lines = fields.map(([name, value]) => `${name}: ${name === "Cookie" && value === "cookie" ? cookie : value}`);
  const socket = connect(port, "127.0.0.1");
  socket.end(`${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

function withoutChance(text) {
  return text
    .replace(/^(Date|date): .*$/gm, "$1: (date)")
    .replace(/nonce-[\w+/=-]+/g, "nonce-(nonce)")
    .replace(/nonce="[\w+/=-]+"/g, 'nonce="(nonce)"')
    .replace(/(session_id=)[^;\r]{10,}/g, "$1(sealed)")
    .replace(/\bt=\d+/g, "t=(seconds)")
    .replace(/^(retry-after|x-ratelimit-reset): \d+/gim, "$1: (seconds)")
    .replace(/Expires=[^;\r]+/g, "Expires=(date)")
    .replace(/(req-[\w-]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+)/g, "(request id)");
}

// What hosts and handlers say of an error goes to standard error; here it is meant.
console.error = () => {};
for (const [policy, options] of Object.entries(policies)) {
  for (const [host, start] of Object.entries(hosts)) {
    const [port, close] = await start(options());
    let cookie = "none=1";
    for (const request of asked) {
      const answer = await ask(port, request, cookie);
      cookie = /^set-cookie: (session_id=[^;\r]+)/im.exec(answer)?.[1] ?? cookie;
      const [method, path, headers = {}] = request;
      const shown = Object.entries(headers).map(([name, value]) => `${name}: ${value.slice(0, 24)}`);
      console.log(`### ${policy}, ${host}: ${method} ${path.slice(0, 20)} ${shown.join(", ")}`);
      console.log(withoutChance(answer).replace(/\r/g, ""));
    }
    await close();
  }
}
process.exit();
