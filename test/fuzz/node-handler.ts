import type { IncomingMessage, ServerResponse } from "node:http";
import type { Session } from "cello";
import { PAGE } from "./wrappers.js";

/** Answers the requests of a scenario on a Node server, in as many ways as handlers have. */
export async function answerNode(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://fuzz");
  switch (pathname) {
    case "/quick":
      response.setHeader("Content-Type", "text/plain");
      response.end("quick");
      return;
    case "/page":
      return writePage(response);
    case "/session": {
      const session = sessionOf(request);
      session?.set("visits", Number(session.get("visits") ?? 0) + 1);
      response.writeHead(200, { "content-type": "text/plain" }).end("visited");
      return;
    }
    case "/login": {
      if (!request.readableEnded) await bytesOf(request);
      const session = sessionOf(request);
      await session?.regenerate();
      session?.set("user", "u1");
      response.writeHead(200, ["Content-Type", "application/json"]);
      response.end('{"ok":true}');
      return;
    }
    case "/upload":
      response.writeHead(200, "Fine", { "content-type": "text/plain" }).end(String(await bytesOf(request)));
      return;
    case "/unread":
      // An answer before the body was looked at.
      response.writeHead(200, { "content-type": "text/plain" }).end("unread");
      return;
    case "/slow":
      await later(Number(searchParams.get("ms")));
      response.end("slow");
      return;
    case "/stream":
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n");
      await later(3);
      response.end("data: 2\n\n");
      return;
    case "/hints":
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      await later(1);
      response.end("hinted");
      return;
    case "/empty":
      response.statusCode = 204;
      response.end();
      return;
    case "/destroyed":
      response.writeHead(200, { "content-type": "text/plain" });
      response.write("a part");
      await later(1);
      response.destroy();
      return;
    case "/fails":
      throw new Error("on purpose");
    case "/never":
      return;
    default:
      response.writeHead(404, { "content-type": "text/plain" }).end("unknown");
  }
}

async function writePage(response: ServerResponse): Promise<void> {
  response.setHeader("Content-Type", "text/plain");
  for (let at = 0; at < PAGE.length; at += 2800) {
    response.write(PAGE.slice(at, at + 2800));
    if (at % 5600 === 0) await later(0);
  }
  response.end();
}

async function bytesOf(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const chunk of request) bytes += Buffer.byteLength(chunk);
  return bytes;
}

function sessionOf(request: IncomingMessage): Session | undefined {
  const session: Session | undefined = Reflect.get(request, "session");
  return session;
}

export function later(ms: number): Promise<void> {
  return new Promise((resolve) => (ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)));
}
