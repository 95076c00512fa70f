// The session cookie, read by a script and sent with a changed character.
import { answerText, requestText, send, statusText } from "../http.js";
import { recall } from "./witness.js";

export async function tamperedCookie({ id }) {
  // The browser keeps the cookie from this script, so the app changes it and asks itself.
  const answer = await send("POST", `/locks/tampered-cookie?attack=${id}`);
  const { honest, tampered } = JSON.parse(answer.body);
  const { events } = await recall(id);

  return {
    checks: [
      {
        claim: `A script sees no session cookie: document.cookie is "${document.cookie}".`,
        holds: !document.cookie.includes("session_id"),
      },
      { claim: "With your cookie unchanged, the app knows you.", holds: isSignedIn(honest) },
      { claim: "With one character changed, it does not.", holds: tampered.status === 200 && !isSignedIn(tampered) },
    ],
    exchanges: [
      { label: "The cookie with one changed character", exchange: toExchange(tampered), outcome: outcome(tampered) },
      { label: "For comparison: your own cookie", exchange: toExchange(honest), outcome: outcome(honest) },
    ],
    events,
  };
}

function isSignedIn({ status, body }) {
  return status === 200 && JSON.parse(body).signedIn === true;
}

function toExchange({ path, cookie, status, body }) {
  return { request: requestText("GET", path, { cookie }), answer: answerText(status, {}, body) };
}

function outcome(trial) {
  return `${statusText(trial.status)}, ${isSignedIn(trial) ? "signed in" : "a stranger"}`;
}
