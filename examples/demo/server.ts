// A small real app with every protection on: "npm run demo".
import { pathToFileURL } from "node:url";
import { App, CSP, JwtConfig, RateLimitConfig, SecurityHeadersConfig, SessionConfig } from "cello";
import { accountRoutes } from "./account-routes.js";
import { Accounts } from "./accounts.js";
import { apiRoutes, TOKEN_LIFETIME } from "./api-routes.js";
import { startAttackerSite } from "./attacker-site.js";
import type { DemoApp, DemoTypes } from "./demo-app.js";
import { errorPages } from "./error-pages.js";
import { locksRoutes } from "./locks-routes.js";
import { publicFiles } from "./public-files.js";
import { secretFrom } from "./secrets.js";
import { runDemo } from "./start.js";
import { Witness } from "./witness.js";

/** The running demo. */
export interface Demo {
  readonly app: DemoApp;
  /** Where it is, for example `http://localhost:8000`. */
  readonly url: string;
  /** The attacker's site, which is another one for a browser, for example `http://127.0.0.1:40123`. */
  readonly attackerUrl: string;
  close(): Promise<void>;
}

/** Only scripts with the response's nonce, only our own styles, images and requests, no frames. */
const csp = new CSP()
  .defaultSrc("'none'")
  .scriptSrc(CSP.NONCE, "'report-sample'")
  .styleSrc("'self'")
  .imgSrc("'self'")
  .connectSrc("'self'")
  .formAction("'self'")
  .baseUri("'none'")
  .frameAncestors("'none'")
  .requireTrustedTypesFor("'script'");

/** Five tries in any five minutes. One limit for both ways to sign in, so that neither gives more tries. */
const signInLimit = RateLimitConfig.slidingWindow({
  name: "sign-in",
  requests: 5,
  window: 300,
  // A request without a body carries no password to try: it asks for a token of the session.
  key: (request) => (request.headers["content-type"] === undefined ? undefined : request.clientIp),
});

/**
 * Starts the demo, and the attacker's site beside it.
 *
 * @param options the port, 0 for any free one
 */
export async function createDemo({ port = 0 }: { readonly port?: number | undefined } = {}): Promise<Demo> {
  const [accounts, attacker] = await Promise.all([Accounts.create(), startAttackerSite()]);
  const app = new App<DemoTypes>();

  app.enableJwt(new JwtConfig({ secret: secretFrom("JWT_SECRET"), expiration: TOKEN_LIFETIME, issuer: "cello-demo" }));
  // Without TLS on this machine; an app on the web sets secure: true and calls the cookie __Host-session.
  app.enableSession(new SessionConfig({ secret: secretFrom("SESSION_SECRET"), maxAge: 8 * 3600, idleTimeout: 3600 }));
  app.enableCsrf();
  app.enableRateLimit(RateLimitConfig.tokenBucket({ requests: 100, window: 10, exclude: ["/public/*"] }));
  app.enableSecurityHeaders(
    new SecurityHeadersConfig({
      csp,
      crossOriginOpenerPolicy: "same-origin",
      permissionsPolicy: { camera: [], geolocation: [], microphone: [] },
    }),
  );

  readForms(app);
  errorPages(app);
  publicFiles(app);
  accountRoutes(app, accounts, signInLimit);
  apiRoutes(app, accounts, signInLimit);
  locksRoutes(app, { accounts, witness: new Witness(app), csp, attackerPort: attacker.port });

  let address: string;
  try {
    address = await app.listen({ host: "localhost", port });
  } catch (error) {
    await Promise.all([app.close(), attacker.close()]);
    throw error;
  }
  return {
    app,
    url: `http://localhost:${new URL(address).port}`,
    attackerUrl: `http://127.0.0.1:${attacker.port}`,
    close: async () => {
      await Promise.all([app.close(), attacker.close()]);
    },
  };
}

/** Fastify reads JSON by itself; forms are ours. They are small. */
function readForms(app: DemoApp): void {
  const options = { parseAs: "string", bodyLimit: 4096 } as const;
  app.fastify.addContentTypeParser("application/x-www-form-urlencoded", options, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(String(body))));
  });
}

const [, script = ""] = process.argv;
if (import.meta.url === pathToFileURL(script).href) await runDemo(createDemo);
