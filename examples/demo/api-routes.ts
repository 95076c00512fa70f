import type { RateLimitConfig } from "cello";
import type { Accounts, User } from "./accounts.js";
import { type DemoApp, PAGE, textField } from "./demo-app.js";

/** Lifetime of a token in seconds. */
export const TOKEN_LIFETIME = 900;

/** The JSON API. It takes tokens, never cookies, so no other site can make a browser call it. */
export function apiRoutes(app: DemoApp, accounts: Accounts, signInLimit: RateLimitConfig): void {
  const reports = new Map([
    ["1", "Strings bought this year"],
    ["2", "Hours of practice"],
    ["3", "Concerts played"],
  ]);

  // A token for a name and password, or without a body for who is signed in.
  app.post("/api/token", { ...PAGE, rateLimit: signInLimit }, async (request, reply) => {
    const { body, session } = request;
    const user =
      body === undefined || body === null
        ? accounts.find(session.get("userId"))
        : await accounts.authenticate(textField(body, "name"), textField(body, "password"));
    reply.header("Cache-Control", "no-store");
    if (user === undefined) {
      reply.code(401).header("WWW-Authenticate", "Bearer").type("application/problem+json");
      return { type: "about:blank", title: "Unauthorized", status: 401, detail: "Send a name and its password." };
    }
    return { token: app.jwt.sign(claimsOf(user)), expiresIn: TOKEN_LIFETIME };
  });

  app.get("/api/me", ({ claims }) => ({ id: claims.sub, name: claims.name, scope: claims.scope, roles: claims.roles }));

  app.get("/api/reports", { scopes: ["reports:read"] }, () => ({
    reports: Array.from(reports, ([id, title]) => ({ id, title })),
  }));

  app.delete<{ Params: { id: string } }>("/api/reports/:id", { roles: ["admin"] }, (request, reply) => {
    const { id } = request.params;
    if (reports.delete(id)) return { deleted: id };
    reply.code(404).type("application/problem+json");
    return { type: "about:blank", title: "Not Found", status: 404, detail: "There is no such report." };
  });
}

/** What a user's token says. */
export function claimsOf({ id, name, scope, roles }: User): {
  readonly sub: string;
  readonly name: string;
  readonly scope: string;
  readonly roles: readonly string[];
} {
  return { sub: id, name, scope, roles };
}
