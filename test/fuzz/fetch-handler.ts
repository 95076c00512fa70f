import type { Session } from "cello";
import { later } from "./node-handler.js";
import { PAGE, REDACTED, SECRET_WORD } from "./wrappers.js";

/** Answers the requests of a scenario with responses of the Fetch standard. */
export async function answerFetch(request: Request, session: Session): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/quick":
      return new Response("quick");
    case "/page":
      // Nobody wraps these responses, so the page is served as those that redact make it.
      return new Response(streamOf(PAGE.replaceAll(SECRET_WORD, REDACTED)), {
        headers: { "content-type": "text/plain" },
      });
    case "/session":
      session.set("visits", Number(session.get("visits") ?? 0) + 1);
      return new Response("visited");
    case "/login":
      await request.json();
      await session.regenerate();
      session.set("user", "u1");
      return Response.json({ ok: true });
    case "/upload":
      return new Response(String((await request.arrayBuffer()).byteLength));
    case "/unread":
      return new Response("unread");
    case "/hints":
      return new Response("hinted");
    case "/slow":
      await later(Number(searchParams.get("ms")));
      return new Response("slow");
    case "/stream":
      return new Response(streamOf("data: 1\n\ndata: 2\n\n"), { headers: { "content-type": "text/event-stream" } });
    case "/empty":
      return new Response(null, { status: 204 });
    case "/destroyed":
      return new Response(brokenStream(), { headers: { "content-type": "text/plain" } });
    case "/fails":
      throw new Error("on purpose");
    case "/never":
      return new Promise(() => {});
    default:
      return new Response("unknown", { status: 404 });
  }
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await later(at % 5600 === 0 ? 1 : 0);
      controller.enqueue(bytes.slice(at, at + 2800));
      at += 2800;
      if (at >= bytes.length) controller.close();
    },
  });
}

function brokenStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("a part"));
    },
    async pull(controller) {
      await later(1);
      controller.error(new Error("the response breaks off, on purpose"));
    },
  });
}
