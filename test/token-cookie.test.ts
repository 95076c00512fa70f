import { App } from "cello";
import { afterEach, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
let app: App;
afterEach(() => app.close());

it("refuses a cross-site request that carries the token's cookie, also without sessions", async () => {
  app = new App().enableJwt({ secret, cookieName: "token" });
  app.post("/transfer", () => "done");
  const token = app.jwt.sign({ sub: "u1" });
  const post = async (headers: Record<string, string>) =>
    (await app.inject({ method: "POST", url: "/transfer", headers })).statusCode;
  expect(await post({ cookie: `token=${token}`, "sec-fetch-site": "cross-site" })).toBe(403);
  expect(await post({ cookie: `token=${token}`, "sec-fetch-site": "same-origin" })).toBe(200);
  expect(await post({ authorization: `Bearer ${token}`, "sec-fetch-site": "cross-site" })).toBe(200);
});
