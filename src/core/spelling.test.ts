import { describe, expect, it } from "vitest";
import { nearMiss, suggestion } from "./spelling.js";

const known = ["auth", "scopes", "roles", "rateLimit", "trustedOrigins"];

describe("a name that does not exist", () => {
  it.each([
    ["rate_limit", "rateLimit"],
    ["rateLimits", "rateLimit"],
    ["ratleimit", "rateLimit"],
    ["scope", "scopes"],
    ["auht", "auth"],
    ["trustedOrigin", "trustedOrigins"],
  ])("of %s means %s", (name, meant) => {
    expect(nearMiss(name, known)).toBe(meant);
    expect(suggestion(name, known)).toBe(`did you mean "${meant}"?`);
  });

  it.each(["rules", "path", "body", "schema", "method", ""])("of %j means nothing that is known", (name) => {
    expect(nearMiss(name, known)).toBeUndefined();
    expect(suggestion(name, known, "options")).toBe(`its options are ${known.join(", ")}`);
  });
});
