import { describe, expect, it } from "vitest";
import { SessionConfig } from "./config.js";
import { CookieWriter } from "./cookie.js";

describe("CookieWriter", () => {
  it("writes the attributes of the configuration", () => {
    const secret = "s".repeat(32);
    expect(new CookieWriter(new SessionConfig({ secret })).write("v", 86_400, { isSecure: false })).toBe(
      "session_id=v; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax",
    );
    const full = new SessionConfig({
      secret,
      cookieName: "__Secure-s",
      path: "/app",
      domain: "example.com",
      secure: true,
      httpOnly: false,
      sameSite: "None",
      partitioned: true,
    });
    expect(new CookieWriter(full).write("v", 1, { isSecure: false })).toBe(
      "__Secure-s=v; Max-Age=1; Path=/app; Domain=example.com; Secure; SameSite=None; Partitioned",
    );
  });

  it("expires a cookie in the same scope as it sets it", () => {
    const writer = new CookieWriter(new SessionConfig({ secret: "s".repeat(32), path: "/app", domain: "example.com" }));
    expect(writer.expire({ isSecure: false })).toBe(
      "session_id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/app; Domain=example.com; HttpOnly; SameSite=Lax",
    );
  });
});
