// The account page in a frame of another origin.
import { sleep, statusText, witnessed } from "../http.js";
import { collectMessages, openFrame } from "./frames.js";
import { waitForRequest } from "./witness.js";

export async function framing({ id, stage, attackerPort }) {
  // The same host on another port: the worst case, because the cookie goes along.
  const site = `http://${location.hostname}:${attackerPort}`;
  const page = `${site}/frame?target=${encodeURIComponent(location.origin)}&attack=${id}`;
  let seen;
  const messages = await collectMessages(async () => {
    await openFrame(stage, { src: page, title: "The attacker's page", className: "tall" });
    seen = await waitForRequest(id, "/account");
    await sleep(500);
  });
  const shown = messages.filter(({ data }) => data?.kind === "shown").map(({ data }) => data.path);
  const { testimony, events } = seen;

  return {
    checks: [
      {
        claim: "The app did answer with your account page: the cookie went along.",
        holds: testimony.status === 200 && testimony.received.cookie !== undefined,
      },
      { claim: "The answer forbids framing.", holds: forbidsFraming(testimony.sent) },
      { claim: "The browser did not show it.", holds: !shown.includes("/account") },
      {
        claim: "Without the lock, a page of this app is shown in the frame.",
        holds: shown.includes("/locks/framing-unlocked"),
      },
    ],
    exchanges: [
      {
        label: "The framed account page",
        exchange: witnessed(testimony, ["x-frame-options", "content-security-policy"]),
        outcome: `${statusText(testimony.status)}, ${shown.includes("/account") ? "shown" : "not shown"}`,
      },
    ],
    events,
  };
}

function forbidsFraming(headers) {
  const policy = headers["content-security-policy"] ?? "";
  return headers["x-frame-options"] === "DENY" && policy.includes("frame-ancestors 'none'");
}
