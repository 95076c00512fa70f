// Tokens that say more than they should.
import { send, statusText, tokenOfSession } from "../http.js";
import { recall } from "./witness.js";

export async function forgedToken({ id }) {
  const honest = await tokenOfSession();
  const [header, claims, signature] = honest.split(".");
  const admin = encode({ ...decode(claims), roles: ["admin"], scope: "reports:read reports:write" });
  const forgeries = [
    ["Changed claims, the old signature", `${header}.${admin}.${signature}`],
    ['Algorithm "none", no signature', `${encode({ ...decode(header), alg: "none" })}.${admin}.`],
    ['Signed with a guessed secret, "secret"', await signWith("secret", `${header}.${admin}`)],
  ];

  const control = await call("GET", `/api/reports?attack=${id}`, honest);
  const attempts = [];
  for (const [label, token] of forgeries) {
    const exchange = await call("DELETE", `/api/reports/1?attack=${id}`, token);
    attempts.push({ label, exchange: { ...exchange, request: `${exchange.request}\n\n${whatItSays(token)}` } });
  }
  const after = await call("GET", `/api/reports?attack=${id}`, honest);
  const { events } = await recall(id);
  const answers = new Set(attempts.map(({ exchange }) => `${exchange.status} ${exchange.body}`));

  return {
    checks: [
      { claim: "The honest token opens the reports.", holds: control.status === 200 },
      {
        claim: "Every forged token is refused with 401.",
        holds: attempts.every(({ exchange }) => exchange.status === 401),
      },
      { claim: "All forgeries get the same answer, which does not say what was wrong.", holds: answers.size === 1 },
      { claim: "No report was deleted.", holds: after.status === 200 && after.body === control.body },
    ],
    exchanges: [
      ...attempts.map((attempt) => ({ ...attempt, outcome: statusText(attempt.exchange.status) })),
      { label: "For comparison: the honest token", exchange: control, outcome: statusText(control.status) },
    ],
    events,
  };
}

function call(method, path, token) {
  return send(method, path, { headers: { Authorization: `Bearer ${token}` } });
}

function whatItSays(token) {
  const [header, claims] = token.split(".");
  return `The token says:\n${JSON.stringify(decode(header))}\n${JSON.stringify(decode(claims), null, 2)}`;
}

async function signWith(secret, signingInput) {
  const text = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", text.encode(secret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, text.encode(signingInput));
  return `${signingInput}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}`;
}

function encode(value) {
  return base64url(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value))));
}

function decode(segment) {
  const binary = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
}

function base64url(binary) {
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
