import { request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "vitest";

/** A request of an `http` block and the answer that stands below it. */
interface WireExample {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
  readonly expected: WireAnswer;
}

interface WireAnswer {
  /** The status line without the protocol: `401 Unauthorized`. */
  readonly status: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const REQUEST_LINE = /^([A-Z]+) (\S+) HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3} .+)$/;

/**
 * Sends the requests of `http` blocks to the server of the sample before them, and holds the answers
 * against those that the block shows: status, each header that is shown, and the body if one is.
 *
 * `…` stands for text that differs from run to run. In requests `{token}` is the `token` member of
 * the last JSON answer, and `{cookie}` all cookies that were set.
 */
export class WireReplay {
  #token = "";
  readonly #cookies = new Map<string, string>();

  constructor(readonly address: AddressInfo) {}

  async replay(block: string): Promise<void> {
    const examples = parseExamples(block);
    expect(examples.length, "an http block shows at least one request and its answer").toBeGreaterThan(0);
    for (const example of examples) compare(example, await this.#send(example));
  }

  /** Sends what a `before: 5 x POST /login` marker says; the answers do not matter. */
  async prepare(marker: string): Promise<void> {
    const [, count, method, target] = /^before: (\d+) x ([A-Z]+) (\S+)$/.exec(marker) ?? [];
    if (method === undefined || target === undefined) throw new Error(`cannot read the marker "${marker}"`);
    for (let sent = 0; sent < Number(count); sent++) {
      await this.#send({ method, target, headers: [], body: "" });
    }
  }

  #send(example: Omit<WireExample, "expected">): Promise<WireAnswer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = example.headers.map((text) => text.replace("{token}", this.#token).replace("{cookie}", cookie));
    const { address, port } = this.address;
    const host = address === "::" || address === "0.0.0.0" ? "127.0.0.1" : address;
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host, port, method: example.method, path: example.target, agent: false });
      for (let index = 0; index < headers.length; index += 2) {
        request.appendHeader(headers[index] ?? "", headers[index + 1] ?? "");
      }
      request.on("error", reject);
      request.on("response", (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => {
          const status = `${response.statusCode} ${response.statusMessage}`;
          const answer = { status, headers: pairs(response.rawHeaders), body };
          this.#remember(answer);
          resolve(answer);
        });
      });
      request.end(example.body);
    });
  }

  #remember({ headers, body }: WireAnswer): void {
    for (const [name, value] of headers) {
      const [, cookie, content] = /^([^=]+)=([^;]*)/.exec(value) ?? [];
      if (name.toLowerCase() === "set-cookie" && cookie !== undefined) this.#cookies.set(cookie, content ?? "");
    }
    const parsed = parseJson(body);
    if (typeof parsed === "object" && parsed !== null && "token" in parsed) this.#token = String(parsed.token);
  }
}

function compare({ expected }: WireExample, answer: WireAnswer): void {
  expect(answer.status).toBe(expected.status);
  for (const [name, value] of expected.headers) {
    const values = answer.headers.filter(([other]) => other.toLowerCase() === name.toLowerCase());
    expect(values.map(([, actual]) => actual).join(", "), name).toMatch(pattern(value));
  }
  if (expected.body === "") return;
  const shown = parseJson(expected.body);
  if (shown === undefined) expect(answer.body.trim()).toMatch(pattern(expected.body));
  else expect(parseJson(answer.body)).toEqual(withPatterns(shown));
}

function parseExamples(block: string): readonly WireExample[] {
  const parts: string[][] = [];
  for (const line of block.split("\n")) {
    if (REQUEST_LINE.test(line) || STATUS_LINE.test(line)) parts.push([]);
    parts.at(-1)?.push(line);
  }
  const examples: WireExample[] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const sent = parseMessage(parts[index] ?? []);
    const answered = parseMessage(parts[index + 1] ?? []);
    const [, method, target] = REQUEST_LINE.exec(sent.first) ?? [];
    const [, status] = STATUS_LINE.exec(answered.first) ?? [];
    if (method === undefined || target === undefined || status === undefined) {
      throw new Error(`a request and then an answer was expected: ${sent.first} / ${answered.first}`);
    }
    examples.push({
      method,
      target,
      headers: sent.headers.flat(),
      body: sent.body,
      expected: { status, headers: answered.headers, body: answered.body },
    });
  }
  return examples;
}

function parseMessage(lines: readonly string[]) {
  const [first = "", ...rest] = lines;
  const gap = rest.indexOf("");
  const head = gap === -1 ? rest : rest.slice(0, gap);
  const headers = head.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const body = gap === -1 ? "" : rest.slice(gap).join("\n").trim();
  return { first, headers, body };
}

function pairs(rawHeaders: readonly string[]): readonly (readonly [string, string])[] {
  const headers: [string, string][] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return headers;
}

/** Text in which `…` stands for anything. */
function pattern(text: string): RegExp {
  const parts = text.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".+")}$`, "s");
}

function withPatterns(value: unknown): unknown {
  if (typeof value === "string" && value.includes("…")) return expect.stringMatching(pattern(value));
  if (Array.isArray(value)) return value.map(withPatterns);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withPatterns(inner)]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
