import { connect } from "node:net";

/** An answer, with its header lines as they came over the wire. */
export interface Answer {
  readonly status: number;
  /** Names as sent and values, flat. */
  readonly lines: readonly string[];
  /** By lower-case name; several lines of one name joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  readonly cookies: readonly string[];
  readonly body: string;
}

/** The bytes of a GET request as a keep-alive client sends it. */
export function requestText(path: string, headers: Readonly<Record<string, string | undefined>>): string {
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined && value !== "");
  const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;
}

/** Sends one request on a connection of its own and reads the answer. */
export function get(
  port: number,
  path: string,
  headers: Readonly<Record<string, string | undefined>>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = Buffer.alloc(0);
    socket.setTimeout(5000, () => socket.destroy(new Error(`no answer from port ${port} to ${path}`)));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`connection closed before the answer to ${path}`)));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const answer = parse(received);
      if (answer === undefined) return;
      socket.removeAllListeners("close");
      socket.destroy();
      resolve(answer);
    });
    socket.write(requestText(path, headers));
  });
}

/** The answer, or `undefined` when it is not complete yet. */
function parse(received: Buffer): Answer | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const [statusLine = "", ...fields] = received.toString("latin1", 0, headEnd).split("\r\n");
  const lines: string[] = [];
  const headers = new Map<string, string>();
  const cookies: string[] = [];
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, colon);
    const value = field.slice(colon + 1).trim();
    const lower = name.toLowerCase();
    lines.push(name, value);
    if (lower === "set-cookie") cookies.push(value);
    const before = headers.get(lower);
    headers.set(lower, before === undefined ? value : `${before}, ${value}`);
  }
  const body = readBody(received.subarray(headEnd + 4), headers);
  return body === undefined ? undefined : { status: Number(statusLine.split(" ")[1]), lines, headers, cookies, body };
}

function readBody(rest: Buffer, headers: ReadonlyMap<string, string>): string | undefined {
  const length = headers.get("content-length");
  if (length !== undefined) return rest.length < Number(length) ? undefined : rest.toString("utf8", 0, Number(length));
  if (headers.get("transfer-encoding") !== "chunked") return "";
  if (!rest.includes("0\r\n\r\n")) return undefined;
  return rest
    .toString("utf8")
    .split("\r\n")
    .filter((_, index) => index % 2 === 1)
    .join("");
}
