// Two hundred requests in one go.
import { element } from "../evidence.js";
import { calm, send, statusText } from "../http.js";
import { recall } from "./witness.js";

const REQUESTS = 200;

export async function flood({ id }) {
  const startedAt = performance.now();
  const path = `/locks/ping?attack=${id}`;
  const answers = await Promise.all(Array.from({ length: REQUESTS }, () => send("GET", path)));
  const seconds = (performance.now() - startedAt) / 1000;
  const passed = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status === 429);
  // What the app itself says it allows: q requests in w seconds.
  const [, quota, window] = /q=(\d+);w=(\d+)/.exec(answers[0].headers["ratelimit-policy"] ?? "") ?? [];
  const allowance = Number(quota) + Math.ceil((seconds * Number(quota)) / Number(window));
  await calm();
  const { events } = await recall(id);

  return {
    checks: [
      {
        claim: `${passed.length} requests passed, and the policy allows ${allowance} in these ${seconds.toFixed(1)} seconds.`,
        holds: passed.length > 0 && passed.length <= allowance,
      },
      {
        claim: `${refused.length} requests were refused with 429, all others passed.`,
        holds: refused.length > 0 && passed.length + refused.length === REQUESTS,
      },
      {
        claim: "Every refusal says when to come back (Retry-After).",
        holds: refused.every(({ headers }) => Number(headers["retry-after"]) >= 1),
      },
      { claim: "After that wait, this page gets answers again.", holds: (await send("GET", path)).status === 200 },
    ],
    figure: dots(answers),
    exchanges: [
      ...refused.slice(0, 1).map((exchange) => ({ label: "The first refusal", exchange, outcome: statusText(429) })),
      ...passed.slice(-1).map((exchange) => ({ label: "The last that passed", exchange, outcome: statusText(200) })),
    ],
    events,
  };
}

/** A dot for each answer, in the order of sending. */
function dots(answers) {
  const figure = element(
    "div",
    "dots",
    ...answers.map(({ status }) => element("span", status === 200 ? "passed" : "refused")),
  );
  figure.setAttribute("role", "img");
  figure.setAttribute("aria-label", "One dot for each request: filled where it passed, a ring where it was refused.");
  return figure;
}
