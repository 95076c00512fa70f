import type { User } from "../accounts.js";
import { html, type Markup } from "./html.js";
import { layout } from "./layout.js";

/** What the account page shows. */
export interface AccountPage {
  readonly nonce: string;
  readonly user: User;
  /** A message that is shown once. */
  readonly message?: string | undefined;
  readonly createdAt: Date;
  readonly pagesSeen: number;
  /** A short hash of the session's id, which itself is as good as a password. */
  readonly fingerprint: string;
}

/** The page of the user who is signed in. */
export function accountPage(page: AccountPage): Markup {
  const { user } = page;
  return layout(
    { title: "Account", nonce: page.nonce, user, path: "/account", scripts: ["account.js"] },
    html`<h1>Hello, ${user.displayName}</h1>
${page.message !== undefined && html`<p class="notice good" role="status">${page.message}</p>`}
<div class="columns">
<section class="panel" aria-labelledby="session">
<h2 id="session">Your session</h2>
<dl>
<dt>Signed in</dt><dd><time datetime="${page.createdAt.toISOString()}">${clockTime(page.createdAt)}</time></dd>
<dt>Pages seen</dt><dd>${page.pagesSeen}</dd>
<dt>Id, hashed</dt><dd><code>${page.fingerprint}</code></dd>
<dt>Kept in</dt><dd>the cookie <code>session_id</code>, sealed; scripts cannot read it</dd>
</dl>
<p class="hint">The id changed when you signed in: one that was planted before is worthless now.</p>
</section>
<section class="panel" aria-labelledby="name">
<h2 id="name">Display name</h2>
<form class="stack" method="post" action="/account/name">
<label>What we call you <input name="displayName" value="${user.displayName}" maxlength="40" autocomplete="nickname" required></label>
<button type="submit">Save</button>
</form>
<p class="hint">The form carries no hidden token. The browser says where a request comes from, and one from another site is refused.</p>
</section>
</div>
<section class="panel" aria-labelledby="api">
<h2 id="api">The JSON API</h2>
<p>The API takes no cookie, only a token. Yours has the scope <code>${user.scope}</code> and the role <code>${user.roles.join(" ")}</code>.</p>
<div class="buttons">
<button class="quiet" type="button" data-call="GET /api/me">GET /api/me</button>
<button class="quiet" type="button" data-call="GET /api/reports">GET /api/reports</button>
<button class="quiet" type="button" data-call="DELETE /api/reports/1">DELETE /api/reports/1</button>
<button class="quiet" type="button" data-call="GET /api/me" data-without-token>GET /api/me without a token</button>
</div>
<div id="answer" class="exchange" aria-live="polite"><p class="hint">Press a button: request and answer appear here.</p></div>
</section>
<p class="onward"><a class="button" href="/locks">Try the locks</a></p>`,
  );
}

function clockTime(date: Date): string {
  return `${date.toISOString().slice(0, 10)} at ${date.toISOString().slice(11, 16)} UTC`;
}
