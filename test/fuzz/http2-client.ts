import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { PATIENCE_MS, type Target, typeOf } from "./client.js";
import { judge } from "./judge.js";
import type { FuzzConnection, FuzzRequest } from "./scenario.js";

/** One connection of a scenario, as a session of HTTP/2: a stream for each of its requests. */
export async function playSession({ host, port }: Target, connection: FuzzConnection): Promise<readonly string[]> {
  await delay(connection.afterMs);
  const { requests, isPipelined, ending, client, lingerMs } = connection;
  const problems: string[] = [];
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const play = (request: FuzzRequest) => playStream(host, open(session, client, request, "whole"), request, problems);
  const answers: Promise<void>[] = [];
  for (const request of requests) {
    const answer = play(request);
    answers.push(answer);
    if (!isPipelined) await answer;
  }
  const last = lastStream(session, client, ending);
  if (ending !== "reset") await Promise.all(answers);
  await delay(lingerMs);
  last?.close(constants.NGHTTP2_CANCEL);
  if (ending === "half-closed") session.close();
  else session.destroy();
  await Promise.all(answers);
  session.destroy();
  return problems;
}

/** What is sent at the end and never completed or answered. */
function lastStream(session: ClientHttp2Session, client: string, ending: string): ClientHttp2Stream | undefined {
  if (ending === "never answered") return open(session, client, { method: "GET", path: "/never" }, "whole");
  if (ending !== "half a body" && ending !== "half a head") return undefined;
  return open(session, client, { method: "POST", path: "/login", body: '{"user' }, "a part");
}

function open(
  session: ClientHttp2Session,
  client: string,
  { method, path, body }: FuzzRequest,
  sends: "whole" | "a part",
): ClientHttp2Stream {
  const type = body === undefined ? {} : { "content-type": typeOf(path) };
  const head = { ":method": method, ":path": path, "x-client": client, ...type };
  const stream = session.request(head, { endStream: body === undefined });
  stream.on("error", () => {});
  if (body !== undefined && sends === "whole") stream.end(body);
  else if (body !== undefined) stream.write(body);
  return stream;
}

/** Waits until a stream is answered or closed, and judges a whole answer. */
async function playStream(
  host: string,
  stream: ClientHttp2Stream,
  request: FuzzRequest,
  problems: string[],
): Promise<void> {
  const chunks: Buffer[] = [];
  let headers = new Map<string, string>();
  let isWhole = false;
  stream.on("response", (fields) => {
    headers = new Map(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  });
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.on("end", () => {
    // Of a session that this side has destroyed meanwhile, Node ends the streams as if they were whole.
    isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR && stream.session?.destroyed === false;
  });
  const closed = new Promise<true>((resolve) => stream.once("close", () => resolve(true)));
  const isClosed = await Promise.race([closed, delay(PATIENCE_MS, false, { ref: false })]);
  if (!isClosed) problems.push(`a stream was not answered: ${request.method} ${request.path}`);
  else if (isWhole && headers.size > 0 && request.path !== "/destroyed") {
    const problem = judge(host, request, {
      status: Number(headers.get(":status")),
      headers,
      body: Buffer.concat(chunks),
    });
    if (problem !== undefined) problems.push(problem);
  }
}
