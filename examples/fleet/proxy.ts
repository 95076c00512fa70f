import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from "node:http";

/** How long a server that could not be reached is left out, in milliseconds. */
const REST_MS = 250;
/** How long a server may take to answer, in milliseconds. */
const PATIENCE_MS = 1500;
/** These fields are about one connection, not about the message (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"] as const;
/** Requests that may be sent again, because they ask for nothing to be changed (RFC 9110 section 9.2.1). */
const SAFE_METHODS: readonly (string | undefined)[] = ["GET", "HEAD", "OPTIONS"];

/** A load balancer. */
export interface FleetProxy {
  readonly port: number;
  close(): Promise<void>;
}

interface Target {
  readonly port: number;
  restsUntilMs: number;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/**
 * Starts a proxy that gives each request to the next server in turn. One that cannot be reached is
 * skipped for a moment, and a safe request whose server died is sent to the next.
 */
export async function startProxy(ports: readonly number[]): Promise<FleetProxy> {
  const targets = ports.map((port): Target => ({ port, restsUntilMs: 0 }));
  const agent = new Agent({ keepAlive: true });
  let turn = 0;

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const attempts = SAFE_METHODS.includes(request.method) ? targets.length : 1;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const target = nextTarget();
      try {
        return reply(response, await ask(agent, target, request));
      } catch {
        target.restsUntilMs = performance.now() + REST_MS;
      }
    }
    response.writeHead(502).end();
  }

  /** The next server that is not known to be away; when all are, the next of them. */
  function nextTarget(): Target {
    const now = performance.now();
    const inTurn = targets.map((_target, index) => targets[(turn + index) % targets.length]);
    const target = inTurn.find((candidate) => candidate !== undefined && candidate.restsUntilMs <= now) ?? inTurn[0];
    if (target === undefined) throw new Error("a proxy needs servers");
    turn = (targets.indexOf(target) + 1) % targets.length;
    return target;
  }

  const server = createServer((request, response) => void forward(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the proxy listens on no port");
  return {
    port: address.port,
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, "close");
    },
  };
}

/** Sends a request to a server and reads the whole answer: one that breaks off is none. */
function ask(agent: Agent, { port }: Target, request: IncomingMessage): Promise<Answer> {
  const { method, url, socket } = request;
  // Not what the client says of itself: whoever it is, it came from this address.
  const headers = { ...endToEnd(request.headers), "x-forwarded-for": socket.remoteAddress ?? "" };
  return new Promise((resolve, reject) => {
    const outgoing = send({ agent, host: "127.0.0.1", port, method, path: url, headers, timeout: PATIENCE_MS });
    outgoing.on("timeout", () => outgoing.destroy(new Error("the server does not answer")));
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        resolve({ status: incoming.statusCode ?? 502, headers: incoming.headers, body: Buffer.concat(chunks) });
      });
    });
    if (SAFE_METHODS.includes(method)) outgoing.end();
    else request.pipe(outgoing);
  });
}

function reply(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, endToEnd(headers)).end(body);
}

function endToEnd(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  const kept = { ...headers };
  for (const name of HOP_BY_HOP) delete kept[name];
  return kept;
}
