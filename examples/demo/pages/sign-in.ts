import { DEMO_USERS } from "../accounts.js";
import { html, type Markup } from "./html.js";
import { layout } from "./layout.js";

/** What the sign-in page shows. */
export interface SignInPage {
  readonly nonce: string;
  /** The name that was typed before. */
  readonly name?: string | undefined;
  readonly problem?: string | undefined;
}

/** The sign-in form, with the names and passwords that work in this demo. */
export function signInPage({ nonce, name, problem }: SignInPage): Markup {
  return layout(
    { title: "Sign in", nonce, scripts: ["sign-in.js"], isNarrow: true },
    html`<h1>Sign in</h1>
<p class="lead">A small app with every lock on: session, tokens, security headers, rate limits.</p>
<form class="panel stack" method="post" action="/sign-in">
${problem !== undefined && html`<p class="notice bad" role="alert">${problem}</p>`}
<label>Name <input name="name" value="${name}" autocomplete="username" autocapitalize="none" spellcheck="false" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button type="submit">Sign in</button>
<p class="hint">Five tries in five minutes, counted for each client address.</p>
</form>
<section class="panel" aria-labelledby="users">
<h2 id="users">Who can sign in here</h2>
<ul class="users">
${DEMO_USERS.map(
  (user) => html`<li>
<div><strong>${user.displayName}</strong> <span class="hint">${user.about}</span></div>
<div class="credentials"><code>${user.name}</code> <code>${user.password}</code></div>
<button class="quiet" type="button" data-name="${user.name}" data-password="${user.password}">Fill in</button>
</li>
`,
)}</ul>
</section>`,
  );
}
