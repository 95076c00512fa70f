// Requests as plain data: what was sent, what came back.

/** Response header fields that say something about most attacks; an attack may add its own. */
const SHOWN_HEADERS = ["content-type", "location", "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy"];

const REASONS = {
  200: "OK",
  303: "See Other",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
};

/**
 * Sends a request to the app.
 * @returns {Promise<{request: string, status: number, headers: Record<string, string>, body: string, answer: string}>}
 */
export async function send(method, path, { headers = {}, body, shown } = {}) {
  const response = await fetch(path, { method, headers, body, redirect: "manual", cache: "no-store" });
  const received = Object.fromEntries(response.headers);
  const text = await response.text();
  return {
    request: requestText(method, path, headers, body),
    status: response.status,
    headers: received,
    body: text,
    answer: answerText(response.status, received, text, shown),
  };
}

/**
 * An exchange that the server's witness saw, in the shape of `send`.
 * @param shown names of further response header fields to show
 */
export function witnessed({ method, path, received, status, sent }, shown) {
  return {
    request: requestText(method, path, received),
    status,
    headers: sent,
    body: "",
    answer: answerText(status, sent, "", shown),
  };
}

export function requestText(method, path, headers, body) {
  const lines = Object.entries(headers).map(([name, value]) => `${fieldName(name)}: ${shortenToken(value)}`);
  const head = [`${method} ${withoutAttackId(path)}`, ...lines].join("\n");
  return body === undefined ? head : `${head}\n\n${body}`;
}

export function answerText(status, headers, body, shown = []) {
  const names = [...SHOWN_HEADERS, ...shown].filter((name) => headers[name] !== undefined);
  const lines = names.map((name) => `${fieldName(name)}: ${headers[name]}`);
  const head = [statusText(status), ...lines].join("\n");
  return body === "" ? head : `${head}\n\n${pretty(body)}`;
}

export function statusText(status) {
  return `${status} ${REASONS[status] ?? ""}`.trim();
}

/** A fresh token of who is signed in. */
export async function tokenOfSession() {
  return JSON.parse((await send("POST", "/api/token")).body).token;
}

/** Waits until the limit leaves room for an attack that is not about the limit. */
export async function calm() {
  for (;;) {
    const { status, headers } = await send("GET", "/locks/ping");
    const remaining = Number(/;r=(\d+)/.exec(headers.ratelimit ?? "")?.[1] ?? 0);
    if (status === 200 && remaining >= 30) return;
    await sleep(1000 * Number(headers["retry-after"] ?? 1));
  }
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Header names as people write them. */
function fieldName(name) {
  const special = {
    ratelimit: "RateLimit",
    "ratelimit-policy": "RateLimit-Policy",
    "www-authenticate": "WWW-Authenticate",
  };
  return special[name] ?? name.replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase());
}

/** A token fills many lines and says nothing to the eye: its ends will do. */
function shortenToken(value) {
  return value.replace(/^(Bearer .{24}).{12,}(.{8})$/, "$1…$2");
}

function withoutAttackId(path) {
  return path.replace(/[?&]attack=[0-9a-f-]+/, "");
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
