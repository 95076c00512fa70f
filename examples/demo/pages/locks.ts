import type { User } from "../accounts.js";
import { html, type Markup } from "./html.js";
import { layout } from "./layout.js";

/** One attack as the page describes it; what it does is in `public/attacks/`. */
interface Attack {
  readonly id: string;
  readonly title: string;
  /** What the attacker does. */
  readonly attacker: string;
  readonly lock: string;
  /** Why the lock holds, in one sentence. */
  readonly why: string;
}

const ATTACKS: readonly Attack[] = [
  {
    id: "injection",
    title: "Inject a script",
    attacker:
      "Finds a page that forgets to escape what a visitor typed, and types a script and an image with an error handler.",
    lock: "Content Security Policy with a nonce",
    why: "The browser runs a script only with the nonce of this very response, which the attacker cannot know.",
  },
  {
    id: "forged-token",
    title: "Forge a token",
    attacker:
      "Takes an honest token and makes it say “admin”: with the old signature, with none, and signed with a guessed secret.",
    lock: "Token signatures",
    why: "Only the one configured algorithm counts, and the signature covers every byte of header and claims.",
  },
  {
    id: "expired-token",
    title: "Use an old token",
    attacker: "Found a token in a log file. It worked a moment ago; its time is up now.",
    lock: "Token expiry",
    why: "The expiry is checked at every request, also for a token that was verified before.",
  },
  {
    id: "cross-site-form",
    title: "Send a form from another site",
    attacker: "Lures you to a page of another site, where a hidden form posts to this app to change your name.",
    lock: "Fetch metadata and SameSite",
    why: "The browser itself says that the request comes from another site, and keeps your cookie out of it.",
  },
  {
    id: "tampered-cookie",
    title: "Tamper with the session cookie",
    attacker: "Tries to read your session cookie with a script, then sends it with one character changed.",
    lock: "HttpOnly and the seal",
    why: "Scripts cannot see the cookie, and a sealed cookie with a single changed bit does not open.",
  },
  {
    id: "framing",
    title: "Frame the account page",
    attacker:
      "Puts your account page invisibly over a prize, so that your click on the prize is a click in your account.",
    lock: "X-Frame-Options and frame-ancestors",
    why: "The page says that nobody may frame it, and the browser shows nothing in its place.",
  },
  {
    id: "flood",
    title: "Send 200 requests at once",
    attacker: "Fires two hundred requests in one go to keep the app too busy for everybody else.",
    lock: "Rate limit (token bucket)",
    why: "Each client has a bucket of requests that refills steadily; what goes beyond it is refused before any work is done.",
  },
];

/** What the page of the attacks needs to know. */
export interface LocksPage {
  readonly nonce: string;
  readonly user: User;
  /** Port of the attacker's own site. */
  readonly attackerPort: number;
}

/** The page with a button for each attack on the running app. */
export function locksPage({ nonce, user, attackerPort }: LocksPage): Markup {
  return layout(
    { title: "Try the locks", nonce, user, path: "/locks", scripts: ["locks.js"] },
    html`<h1>Try the locks</h1>
<p class="lead">Each button attacks this running app, from your browser. You see what was sent, what came back, and what stopped it. Verdicts come from the answers: a lock that is off shows as <em>not stopped</em>.</p>
<div class="run-all">
<button type="button" id="run-all">Run all attacks</button>
<p id="summary" role="status" aria-live="polite"></p>
</div>
<ol class="locks" data-attacker-port="${attackerPort}">
${ATTACKS.map(card)}</ol>`,
  );
}

function card(attack: Attack): Markup {
  return html`<li class="panel lock" id="${attack.id}" data-attack>
<div class="lock-head">
<div>
<h2>${attack.title}</h2>
<p>${attack.attacker}</p>
</div>
<button class="quiet" type="button" aria-label="Attack: ${attack.title}">Attack</button>
</div>
<div class="verdict" role="status" aria-live="polite"></div>
<p class="why" hidden><strong>${attack.lock}.</strong> ${attack.why}</p>
<div class="stage"></div>
<div class="evidence"></div>
</li>
`;
}
