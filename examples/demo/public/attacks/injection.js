// Markup with scripts, in a page that does not escape it.
import { send, sleep } from "../http.js";
import { collectMessages, openFrame } from "./frames.js";

const MARKUP = `<script>parent.postMessage({ kind: "pwned" }, "*")</script>
<img src="data:,x" onerror="parent.postMessage({ kind: 'pwned' }, '*')">`;

export async function injection({ id, stage }) {
  const query = `text=${encodeURIComponent(MARKUP)}&attack=${id}`;
  const locked = await open(stage, `/locks/injection?${query}`);
  const unlocked = await open(stage, `/locks/injection-unlocked?${query}`);
  const page = await send("GET", `/locks/injection?${query}`, { shown: ["content-security-policy"] });
  const blocked = locked.filter(({ kind }) => kind === "violation").map(({ directive }) => directive);
  const scripts = blocked.filter((directive) => directive.startsWith("script-src"));

  return {
    checks: [
      { claim: "The page carries the attacker's markup, unescaped.", holds: page.body.includes(MARKUP) },
      { claim: "The page's own script, which has the nonce, ran.", holds: ran(locked, "own-script") },
      { claim: "The injected scripts did not run.", holds: !ran(locked, "pwned") },
      { claim: `The browser reported what it blocked: ${blocked.join(", ")}.`, holds: scripts.length >= 2 },
      { claim: "Without the policy, the same markup does run.", holds: ran(unlocked, "pwned") },
    ],
    exchanges: [{ label: "The page with the injected markup", exchange: short(page), outcome: outcome(locked) }],
    events: {},
  };
}

/** What the page says while it is opened in a sandboxed frame. */
async function open(stage, src) {
  let frame;
  const messages = await collectMessages(async () => {
    frame = await openFrame(stage, { src, title: "A page with a hole", className: "unseen", sandbox: "allow-scripts" });
    // Violations and errors of images are reported after the page has loaded.
    await sleep(300);
  });
  const own = messages.filter(({ source }) => source === frame.contentWindow).map(({ data }) => data);
  frame.remove();
  return own;
}

function ran(messages, kind) {
  return messages.some((message) => message.kind === kind);
}

function outcome(messages) {
  return ran(messages, "pwned") ? "the script ran" : "the script did not run";
}

/** The part of the page that matters. */
function short(page) {
  const start = page.body.indexOf("<p>You searched");
  const body = page.body.slice(start, page.body.indexOf("</p>", start) + 4);
  const request = `GET /locks/injection?text=${encodeURIComponent(MARKUP).slice(0, 60)}…`;
  return {
    request: `${request}\n\ntext, decoded:\n${MARKUP}`,
    answer: `${page.answer.split("\n\n")[0]}\n\n…\n${body}\n…`,
  };
}
