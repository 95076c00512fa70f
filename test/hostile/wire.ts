import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect } from "vitest";

/** A response as it stood on the wire. */
export interface WireResponse {
  readonly status: number;
  readonly statusLine: string;
  /** Names in lower case and values, in the order in which they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** How to talk to a server. */
export interface WireOptions {
  readonly secure?: boolean;
  /** Leave the connection open after so many milliseconds without a byte. Default: wait for its end, 5 seconds at most. */
  readonly quietMs?: number;
}

/** Sends bytes as they are, and gives back everything that came until the server closed the connection. */
export function send(url: string, bytes: string | Buffer, options: WireOptions = {}): Promise<string> {
  const { hostname, port } = new URL(url);
  const address = { host: hostname, port: Number(port), rejectUnauthorized: false };
  return new Promise((resolve) => {
    const socket = options.secure === true ? connectTls(address) : connectTcp(address);
    let received = "";
    const finish = () => {
      socket.destroy();
      resolve(received);
    };
    socket.setTimeout(options.quietMs ?? 5000, finish);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    // A server that refuses may reset the connection while we still write.
    socket.on("error", () => undefined);
    socket.on("close", finish);
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** The responses in what {@link send} received, one after the other. */
export function parse(received: string, methods: readonly string[] = []): readonly WireResponse[] {
  const responses: WireResponse[] = [];
  let rest = received;
  while (rest.startsWith("HTTP/1.")) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) break;
    const [statusLine = "", ...lines] = rest.slice(0, end).split("\r\n");
    const headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    const status = Number(statusLine.split(" ")[1]);
    const bare = methods[responses.length] === "HEAD" || status < 200 || status === 204 || status === 304;
    const [body, length] = bare ? ["", 0] : readBody(headers, rest.slice(end + 4));
    responses.push({ status, statusLine, headers, body });
    rest = rest.slice(end + 4 + length);
  }
  return responses;
}

function readBody(headers: WireResponse["headers"], rest: string): readonly [string, number] {
  const value = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
  const length = value("content-length");
  if (length !== undefined) return [rest.slice(0, Number(length)), Number(length)];
  if (value("transfer-encoding") !== "chunked") return [rest, rest.length];
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    const size = Number.parseInt(rest.slice(at, lineEnd), 16);
    if (lineEnd === -1 || !(size > 0)) return [body, lineEnd === -1 ? rest.length : lineEnd + 4];
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}

/** One request on a connection of its own: the method and target as they are, then header lines, then a body. */
export async function request(
  url: string,
  start: string,
  headers: readonly string[] = [],
  body = "",
  options: WireOptions = {},
): Promise<WireResponse> {
  const lines = [`${start} HTTP/1.1`, "Host: app.example", "Connection: close", ...headers];
  const received = await send(url, `${lines.join("\r\n")}\r\n\r\n${body}`, options);
  const method = start.split(" ")[0] ?? "";
  // The last one: before it there may be early hints.
  const response = parse(received, [method, method]).at(-1);
  if (response === undefined) throw new Error(`no response to ${start}: ${JSON.stringify(received.slice(0, 200))}`);
  return response;
}

/** A header's value; several lines joined by a line break. */
export function header(response: WireResponse, wanted: string): string | undefined {
  const values = response.headers.filter(([name]) => name === wanted).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join("\n");
}

const EXPECTED = {
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "x-xss-protection": "1; mode=block",
  "referrer-policy": "strict-origin-when-cross-origin",
};

/** The security headers of the applications in this folder, each exactly once. */
export function expectSecurityHeaders(response: WireResponse): void {
  const shown = Object.fromEntries(Object.keys(EXPECTED).map((name) => [name, header(response, name)]));
  expect(shown).toEqual(EXPECTED);
  const policy = header(response, "content-security-policy");
  // A 304 leaves the policy of the page that is kept in force, with the nonce of that page.
  if (response.status === 304) expect(policy).toBeUndefined();
  else expect(policy).toMatch(/^default-src 'self'; script-src 'nonce-[A-Za-z0-9+/]{22}=='$/);
  expect(header(response, "server")).toBeUndefined();
  expect(header(response, "x-powered-by")).toBeUndefined();
}

/** Everything of a response that a client can see and that does not change from second to second. */
export function fingerprint({ statusLine, headers, body }: WireResponse): string {
  const varying = new Set(["date", "ratelimit", "content-security-policy"]);
  const lines = headers.filter(([name]) => !varying.has(name)).map(([name, value]) => `${name}: ${value}`);
  return [statusLine, ...lines, "", body].join("\n");
}
