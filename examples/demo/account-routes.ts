import type { RateLimitConfig } from "cello";
import type { Accounts } from "./accounts.js";
import { type DemoApp, fingerprint, PAGE, textField } from "./demo-app.js";
import { accountPage } from "./pages/account.js";
import { sendPage } from "./pages/layout.js";
import { signInPage } from "./pages/sign-in.js";

/** Signing in and out, and the account page. */
export function accountRoutes(app: DemoApp, accounts: Accounts, signInLimit: RateLimitConfig): void {
  app.get("/", PAGE, (request, reply) => {
    const user = accounts.find(request.session.get("userId"));
    return reply.redirect(user === undefined ? "/sign-in" : "/account", 303);
  });

  app.get("/sign-in", PAGE, (request, reply) => {
    const user = accounts.find(request.session.get("userId"));
    if (user !== undefined) return reply.redirect("/account", 303);
    return sendPage(reply, signInPage({ nonce: request.cspNonce }));
  });

  app.post("/sign-in", { ...PAGE, rateLimit: signInLimit }, async (request, reply) => {
    const name = textField(request.body, "name");
    const user = await accounts.authenticate(name, textField(request.body, "password"));
    if (user === undefined) {
      const problem = "This name and password do not belong together.";
      return sendPage(reply, signInPage({ nonce: request.cspNonce, name, problem }), 403);
    }
    const { session } = request;
    const next = session.get("next") ?? "/account";
    // A new id: whoever knew the old one is left outside.
    await session.regenerate();
    session.delete("next");
    session.set("userId", user.id);
    session.flash("message", "You are signed in.");
    return reply.redirect(next, 303);
  });

  app.post("/sign-out", PAGE, async (request, reply) => {
    await request.session.destroy();
    return reply.redirect("/sign-in", 303);
  });

  app.get("/account", PAGE, (request, reply) => {
    const { session } = request;
    const user = accounts.find(session.get("userId"));
    if (user === undefined) return reply.redirect("/sign-in", 303);
    const pagesSeen = (session.get("pagesSeen") ?? 0) + 1;
    session.set("pagesSeen", pagesSeen);
    const message = session.flash("message");
    return sendPage(
      reply,
      accountPage({
        nonce: request.cspNonce,
        user,
        message: typeof message === "string" ? message : undefined,
        createdAt: session.createdAt,
        pagesSeen,
        fingerprint: fingerprint(session),
      }),
    );
  });

  app.post("/account/name", PAGE, (request, reply) => {
    const { session } = request;
    const user = accounts.find(session.get("userId"));
    if (user === undefined) return reply.redirect("/sign-in", 303);
    const displayName = textField(request.body, "displayName").trim().slice(0, 40);
    if (displayName !== "") {
      accounts.rename(user, displayName);
      session.flash("message", "Your display name is saved.");
    }
    return reply.redirect("/account", 303);
  });
}
