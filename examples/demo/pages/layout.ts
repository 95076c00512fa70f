import type { FastifyReply } from "fastify";
import type { User } from "../accounts.js";
import { type Content, html, type Markup } from "./html.js";

/** What every page has. */
export interface Page {
  readonly title: string;
  /** The nonce of this response: the policy runs no script without it. */
  readonly nonce: string;
  /** Who is signed in. */
  readonly user?: User | undefined;
  /** Path of this page, to mark it in the navigation. */
  readonly path?: string | undefined;
  /** Names of script files of this page. */
  readonly scripts?: readonly string[] | undefined;
  /** A narrow column for a single form or message. */
  readonly isNarrow?: boolean | undefined;
}

/** A whole page around its content. */
export function layout(page: Page, content: Content): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · Cello demo</title>
<link rel="icon" href="/public/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/public/demo.css">
${["page.js", ...(page.scripts ?? [])].map(
  (file) => html`<script type="module" nonce="${page.nonce}" src="/public/${file}"></script>
`,
)}</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<div class="bar">
<a class="brand" href="/"><svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path fill="currentColor" d="M12 1.5a6 6 0 0 0-6 6V10H4.8c-.7 0-1.3.6-1.3 1.3v9.4c0 .7.6 1.3 1.3 1.3h14.4c.7 0 1.3-.6 1.3-1.3v-9.4c0-.7-.6-1.3-1.3-1.3H18V7.5a6 6 0 0 0-6-6Zm0 2.6a3.4 3.4 0 0 1 3.4 3.4V10H8.6V7.5A3.4 3.4 0 0 1 12 4.1Zm0 8.7a1.8 1.8 0 0 1 .8 3.4l.6 3h-2.8l.6-3a1.8 1.8 0 0 1 .8-3.4Z"/></svg> Cello demo</a>
${page.user === undefined ? undefined : navigation(page.user, page.path)}
</div>
</header>
<main id="main" class="${page.isNarrow === true ? "narrow" : "wide"}">
${content}
</main>
</body>
</html>
`;
}

function navigation(user: User, path: string | undefined): Markup {
  const link = (href: string, text: string) =>
    html`<a href="${href}"${href === path ? html` aria-current="page"` : undefined}>${text}</a>`;
  return html`<nav aria-label="Pages">${link("/account", "Account")}${link("/locks", "Try the locks")}</nav>
<form class="sign-out" method="post" action="/sign-out">
<span class="who">${user.displayName}</span>
<button class="quiet" type="submit">Sign out</button>
</form>`;
}

/** Sends a page. Pages show who is signed in, so no cache keeps them. */
export function sendPage(reply: FastifyReply, page: Markup, status = 200): FastifyReply {
  return reply.code(status).header("Cache-Control", "no-store").type("text/html; charset=utf-8").send(page.toString());
}
