/** One response of a connection, as far as it has come. */
export interface FuzzResponse {
  readonly status: number;
  /** Names in lower case; of a field that came twice, the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/**
 * The complete responses in what a connection received, without those of status 1xx.
 *
 * @param methods of the requests, in the order in which they were sent: HEAD has no body
 * @param isClosed whether nothing more comes, so that a body without a length has ended
 * @throws Error when the bytes are no responses
 */
export function splitResponses(received: Buffer, methods: readonly string[], isClosed: boolean): FuzzResponse[] {
  const responses: FuzzResponse[] = [];
  let at = 0;
  while (at < received.length) {
    const headEnd = received.indexOf("\r\n\r\n", at);
    if (headEnd === -1) break;
    const [statusLine = "", ...lines] = received.toString("latin1", at, headEnd).split("\r\n");
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/.exec(statusLine)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${JSON.stringify(statusLine.slice(0, 80))}`);
    const headers = new Map(lines.map(fieldOf));
    if (status < 200) {
      at = headEnd + 4;
      continue;
    }
    const isBodiless = methods[responses.length] === "HEAD" || status === 204 || status === 304;
    const found = isBodiless
      ? { body: Buffer.alloc(0), end: headEnd + 4 }
      : bodyOf(received, headEnd + 4, headers, isClosed);
    if (found === undefined) break;
    responses.push({ status, headers, body: found.body });
    at = found.end;
  }
  return responses;
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

interface Body {
  readonly body: Buffer;
  readonly end: number;
}

function bodyOf(
  received: Buffer,
  start: number,
  headers: ReadonlyMap<string, string>,
  isClosed: boolean,
): Body | undefined {
  const length = headers.get("content-length");
  if (length !== undefined) {
    const end = start + Number(length);
    return end <= received.length ? { body: received.subarray(start, end), end } : undefined;
  }
  if (headers.get("transfer-encoding") === "chunked") return chunkedBody(received, start);
  return isClosed ? { body: received.subarray(start), end: received.length } : undefined;
}

function chunkedBody(received: Buffer, start: number): Body | undefined {
  const chunks: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = received.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(received.toString("latin1", at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error("a chunk without a size");
    const end = lineEnd + 2 + size + 2;
    if (end > received.length) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), end };
    chunks.push(received.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}
