// "node scripts/entered.mjs [CHECKOUT] [--host app|express|node|fetch] [--refused]": the files and functions of the
// built package that one warm request enters, counted by V8. Builds nothing: it takes the `dist/` of a checkout (this
// one unless another is named), so that two states of the code can be held side by side.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { Session } from "node:inspector/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { host: { type: "string", default: "app" }, refused: { type: "boolean", default: false } },
});
const WARM_UP = 3000;
const COUNTED = 10;
const SECRET = randomBytes(32).toString("base64url");

const checkout = pathToFileURL(resolve(positionals[0] ?? fileURLToPath(new URL("..", import.meta.url))) + "/");
const manifest = JSON.parse(readFileSync(new URL("package.json", checkout), "utf8"));
const load = async (entry) => import(new URL(manifest.exports[entry].default, checkout).href);
const cello = await load(".");

/** A session, a token, headers, and two limits of which the second leaves the request's path out. */
const options = {
  jwt: { secret: SECRET, exclude: ["/login"] },
  session: { secret: randomBytes(32).toString("base64url") },
  securityHeaders: {},
  rateLimit: [
    { requests: 1_000_000, window: 60 },
    { name: "uploads", requests: 1_000_000, window: 60, exclude: ["/me", "/login"] },
  ],
};
const limits = options.rateLimit.map((limit) => cello.RateLimitConfig.tokenBucket(limit));
const me = ({ claims, session }) => ({ sub: claims.sub, user: session.get("user") });
const login = ({ session }) => {
  session.set("user", "u1");
  return {};
};
const answerOf = (path, fields) => (path === "/login" ? login(fields) : me(fields));
const compiled = () => new cello.Security({ ...options, rateLimit: limits });

const hosts = {
  async app() {
    const app = new cello.App();
    app.enableJwt(options.jwt).enableSession(options.session).enableSecurityHeaders();
    for (const limit of limits) app.enableRateLimit(limit);
    app.get("/me", me).get("/login", login);
    return overSockets(await app.listen({ port: 0, host: "127.0.0.1" }), () => app.close());
  },
  async express() {
    const express = createRequire(checkout)("express");
    const app = express();
    app.use((await load("./express")).cello(compiled()));
    app.get(["/me", "/login"], (incoming, response) => response.json(answerOf(incoming.path, incoming)));
    return served(createServer(app));
  },
  async node() {
    const middleware = (await load("./express")).cello(compiled());
    const answer = (incoming, response) => response.end(JSON.stringify(answerOf(incoming.url, incoming)));
    return served(
      createServer((incoming, response) => middleware(incoming, response, () => answer(incoming, response))),
    );
  },
  async fetch() {
    const { secure } = await load("./fetch");
    const handle = secure(
      compiled(),
      (incoming, fields) => Response.json(answerOf(new URL(incoming.url).pathname, fields)),
      { peerAddress: () => "127.0.0.1" },
    );
    const ask = async (path, headers) => {
      const response = await handle(new Request(`http://127.0.0.1${path}`, { headers }));
      await response.text();
      return { status: response.status, cookie: response.headers.get("set-cookie")?.split(";")[0] };
    };
    return { ask, close: async () => {} };
  },
};

async function served(server) {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return overSockets(`http://127.0.0.1:${server.address().port}`, async () => void server.close());
}

function overSockets(address, close) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path, headers) =>
    new Promise((done, fail) => {
      const asked = request(`${address}${path}`, { agent, headers }, (response) => {
        const cookie = response.headers["set-cookie"]?.[0]?.split(";")[0];
        response.resume().once("end", () => done({ status: response.statusCode, cookie }));
      });
      asked.once("error", fail).end();
    });
  return { ask, close: async () => agent.destroy() ?? close() };
}

const start = hosts[values.host];
if (start === undefined) throw new Error(`--host is one of ${Object.keys(hosts).join(", ")}`);
const { ask, close } = await start();
const token = new cello.Jwt({ secret: SECRET }).sign({ sub: "u1" });
const { cookie } = await ask("/login", {});
const headers = values.refused ? {} : { authorization: `Bearer ${token}`, cookie };
for (let count = 0; count < WARM_UP; count++) {
  const { status } = await ask("/me", headers);
  if (status !== (values.refused ? 401 : 200)) throw new Error(`the request was answered with ${status}`);
}

const inspector = new Session();
inspector.connect();
await inspector.post("Profiler.enable");
await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
await ask("/me", headers);
await inspector.post("Profiler.takePreciseCoverage");
for (let count = 0; count < COUNTED; count++) await ask("/me", headers);
const { result } = await inspector.post("Profiler.takePreciseCoverage");
inspector.disconnect();
await close();

const built = new URL("dist/", checkout).href;
let files = 0;
let functions = 0;
let calls = 0;
for (const { url, functions: known } of result) {
  if (!url.startsWith(built)) continue;
  // What a timer or the samples of the load enter is no part of each request.
  const entered = known
    .map(({ functionName, ranges }) => ({ name: functionName || "(anonymous)", calls: ranges[0].count / COUNTED }))
    .filter((one) => one.calls >= 1);
  if (entered.length === 0) continue;
  files++;
  functions += entered.length;
  for (const one of entered) calls += one.calls;
  const names = entered.map((one) => (one.calls === 1 ? one.name : `${one.name} x${one.calls}`));
  console.log(`${url.slice(built.length).replace(/\.js$/, "")}: ${names.join(", ")}`);
}
console.log(`${files} files, ${functions} functions, ${calls} calls`);
