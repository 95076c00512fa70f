// Cello on plain node:http, through its Connect-style adapter.
import { createServer } from "node:http";
import { cello } from "../../dist/hosts/express/index.js";
import { RateLimitConfig, Security } from "../../dist/index.js";
import { listening, NOBODY } from "./contract.mjs";

export function start({ features, algorithm, verificationKey, sessionSecret, limit }) {
  const security = new Security({
    securityHeaders: features.headers ? {} : undefined,
    rateLimit: features.limit ? RateLimitConfig.tokenBucket(limit) : undefined,
    session: features.session ? { secret: sessionSecret } : undefined,
    jwt: features.jwt ? { secret: verificationKey, algorithm, exclude: ["/login"] } : undefined,
  });
  const guard = cello(security);

  function handle(request, response) {
    if (request.url.startsWith("/login?user=")) {
      request.session.set("userId", request.url.slice("/login?user=".length));
      return answer(response, { done: true });
    }
    if (request.url === "/count") return answer(response, { n: request.session.get("n") });
    if (request.url === "/write") request.session.set("n", (request.session.get("n") ?? 0) + 1);
    answer(response, {
      sub: features.jwt ? request.claims.sub : NOBODY.sub,
      userId: features.session ? request.session.get("userId") : NOBODY.userId,
    });
  }

  return listening(
    createServer((request, response) =>
      guard(request, response, (error) => (error ? response.writeHead(500).end() : handle(request, response))),
    ),
  );
}

function answer(response, value) {
  const body = JSON.stringify(value);
  response.writeHead(200, [
    "content-type",
    "application/json; charset=utf-8",
    "content-length",
    Buffer.byteLength(body),
  ]);
  response.end(body);
}
