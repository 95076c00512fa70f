import { CSP } from "cello";
import type { FastifyReply } from "fastify";
import type { Accounts } from "./accounts.js";
import { claimsOf } from "./api-routes.js";
import { type DemoApp, type DemoSession, fingerprint, PAGE } from "./demo-app.js";
import { injectionPage, unguardedPage } from "./pages/injection.js";
import { sendPage } from "./pages/layout.js";
import { locksPage } from "./pages/locks.js";
import { tamperWithCookie } from "./tampered-cookie.js";
import type { Witness } from "./witness.js";

/** What the attacks need to know of the surroundings. */
export interface LocksSurroundings {
  readonly accounts: Accounts;
  readonly witness: Witness;
  /** The policy of the app's pages. */
  readonly csp: CSP;
  /** The port of the attacker's own site. */
  readonly attackerPort: number;
}

/** Lifetime of the token that runs out before your eyes, in seconds. */
const SHORT_LIFETIME = 2;

/** The page "Try the locks", and the places that its attacks aim at. */
export function locksRoutes(app: DemoApp, surroundings: LocksSurroundings): void {
  const { accounts, witness, csp, attackerPort } = surroundings;
  const attackerSites = [`http://localhost:${attackerPort}`, `http://127.0.0.1:${attackerPort}`];
  // This page alone may frame the attacker's site.
  const locksCsp = csp.extend(new CSP().frameSrc("'self'", ...attackerSites));

  app.get("/locks", { ...PAGE, securityHeaders: { csp: locksCsp } }, (request, reply) => {
    const user = accounts.find(request.session.get("userId"));
    if (user !== undefined) return sendPage(reply, locksPage({ nonce: request.cspNonce, user, attackerPort }));
    request.session.set("next", "/locks");
    return reply.redirect("/sign-in", 303);
  });

  app.get("/locks/ping", PAGE, () => ({ pong: true }));

  app.get("/locks/whoami", PAGE, ({ session }) => {
    const user = accounts.find(session.get("userId"));
    return {
      signedIn: user !== undefined,
      name: user?.name,
      displayName: user?.displayName,
      session: session.isNew ? undefined : fingerprint(session),
    };
  });

  app.get<{ Querystring: { attack?: string } }>("/locks/witness", PAGE, (request, reply) => {
    if (!isSignedIn(request.session)) return signInFirst(reply);
    reply.header("Cache-Control", "no-store");
    return witness.recall(request.query.attack ?? "") ?? { count: 0, events: {}, testimonies: [] };
  });

  app.post("/locks/short-token", PAGE, (request, reply) => {
    const user = accounts.find(request.session.get("userId"));
    if (user === undefined) return signInFirst(reply);
    reply.header("Cache-Control", "no-store");
    return { token: app.jwt.sign(claimsOf(user), { expiration: SHORT_LIFETIME }) };
  });

  app.post<{ Querystring: { attack?: string } }>("/locks/tampered-cookie", PAGE, (request, reply) => {
    if (!isSignedIn(request.session)) return signInFirst(reply);
    const address = new URL(`http://localhost:${request.socket.localPort}/locks/whoami`);
    address.searchParams.set("attack", String(request.query.attack ?? ""));
    return tamperWithCookie(address, request.headers.cookie ?? "");
  });

  pagesWithHoles(app, csp);

  function isSignedIn(session: DemoSession): boolean {
    return accounts.find(session.get("userId")) !== undefined;
  }
}

/** Two pages with a hole each, and beside each what it is with the lock taken off. */
function pagesWithHoles(app: DemoApp, csp: CSP): void {
  // All of them are sandboxed: even a script that runs has an origin of its own and sees nothing of the app.
  const sandbox = new CSP().sandbox("allow-scripts").frameAncestors("'self'");
  const locked = { xFrameOptions: "SAMEORIGIN", csp: csp.extend(sandbox) } as const;
  const unlocked = { xFrameOptions: "SAMEORIGIN", csp: sandbox } as const;

  for (const [path, securityHeaders] of [
    ["/locks/injection", locked],
    ["/locks/injection-unlocked", unlocked],
  ] as const) {
    app.get<{ Querystring: { text?: string } }>(path, { ...PAGE, securityHeaders }, (request, reply) =>
      sendPage(reply, injectionPage(String(request.query.text ?? ""), request.cspNonce)),
    );
  }

  const frameable = new CSP().defaultSrc("'none'").scriptSrc(CSP.NONCE);
  app.get(
    "/locks/framing-unlocked",
    { ...PAGE, securityHeaders: { xFrameOptions: null, csp: frameable } },
    (request, reply) => sendPage(reply, unguardedPage(request.cspNonce)),
  );
}

function signInFirst(reply: FastifyReply): object {
  reply.code(403).type("application/problem+json");
  return { type: "about:blank", title: "Forbidden", status: 403, detail: "Sign in first." };
}
