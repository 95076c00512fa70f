// A form that another site sends here.
import { send, statusText, witnessed } from "../http.js";
import { openFrame } from "./frames.js";
import { waitForRequest } from "./witness.js";

export async function crossSiteForm({ id, stage, attackerPort }) {
  const before = await displayName();
  // For a browser, these two names of one machine are two sites.
  const host = location.hostname === "127.0.0.1" ? "localhost" : "127.0.0.1";
  const site = `http://${host}:${attackerPort}`;
  const page = `${site}/form?target=${encodeURIComponent(location.origin)}&attack=${id}`;
  await openFrame(stage, { src: page, title: "The attacker's page" });
  const { testimony, events } = await waitForRequest(id, "/account/name");
  const after = await displayName();
  const { received, status } = testimony;

  return {
    checks: [
      {
        claim: `The browser sent the form, and said from where: Origin ${received.origin}.`,
        holds: received.origin === site,
      },
      { claim: "It left your session cookie out (SameSite=Lax).", holds: received.cookie === undefined },
      { claim: "The app refused the request with 403.", holds: status === 403 },
      { claim: `Your display name is still "${after}".`, holds: after === before },
    ],
    exchanges: [
      { label: "The form, as the app received it", exchange: witnessed(testimony), outcome: statusText(status) },
    ],
    events,
  };
}

async function displayName() {
  return JSON.parse((await send("GET", "/locks/whoami")).body).displayName;
}
