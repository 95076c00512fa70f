import { App, RateLimitConfig } from "cello";
import { afterEach, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
let app: App;
afterEach(() => app.close());

/** An app whose log is kept, line by line. */
function createApp(level: string): string[] {
  const lines: string[] = [];
  app = new App({ logger: { level, stream: { write: (line: string) => void lines.push(line) } } });
  app.enableJwt({ secret, exclude: ["/login"] });
  app.enableSession({ secret: "another secret of more than thirty-two bytes" });
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 3, window: 60 }));
  app.get("/me", () => "me");
  app.post("/login", (request) => {
    request.session.set("userId", "u1");
    return "ok";
  });
  return lines;
}

const eventsIn = (lines: readonly string[]): Record<string, unknown>[] =>
  lines.map((line) => JSON.parse(line)).filter((entry) => "event" in entry);

it("logs each security event with request id and client address, and no secret", async () => {
  const lines = createApp("info");
  const forged = `${app.jwt.sign({ sub: "u1" })}x`;
  const login = await app.inject({ method: "POST", url: "/login" });
  const cookie = String(login.headers["set-cookie"]).split(";")[0] ?? "";
  await app.inject({ url: "/me?key=hide-me", headers: { authorization: `Bearer ${forged}` } });
  await app.inject({ method: "POST", url: "/login", headers: { cookie, "sec-fetch-site": "cross-site" } });
  await app.inject("/me");
  const events = eventsIn(lines);
  expect(events.map(({ event }) => event)).toEqual([
    "session.created",
    "token.rejected",
    "csrf.rejected",
    "ratelimit.exceeded",
  ]);
  expect(events[1]).toMatchObject({ reason: "signature", clientIp: "127.0.0.1", method: "GET", path: "/me" });
  for (const event of events) expect(event.requestId).toMatch(/^req-/);
  const shown = events.map((event) => JSON.stringify(event)).join("\n");
  for (const hidden of [forged, cookie, secret, "hide-me"]) expect(shown).not.toContain(hidden);
});

it("logs nothing of refusals at a level that is above theirs", async () => {
  const lines = createApp("error");
  await app.inject({ url: "/me", headers: { authorization: "Bearer x.y.z" } });
  expect(lines).toEqual([]);
});
