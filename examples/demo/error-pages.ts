import type { FastifyReply, FastifyRequest } from "fastify";
import type { DemoApp } from "./demo-app.js";
import { problemPage } from "./pages/problem.js";

/** Gives people a page where programs get problem details, with the same status and header fields. */
export function errorPages(app: DemoApp): void {
  app.addHook("onSend", async (request, reply, payload) => {
    if (!isProblem(reply) || !isForPeople(request)) return payload;
    const retryAfter = Number(reply.getHeader("retry-after"));
    reply.removeHeader("content-length");
    reply.type("text/html; charset=utf-8");
    const page = problemPage({
      nonce: request.cspNonce,
      status: reply.statusCode,
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
    });
    return page.toString();
  });
}

function isProblem(reply: FastifyReply): boolean {
  return String(reply.getHeader("content-type")).startsWith("application/problem+json");
}

/** Browsers ask for HTML when a person goes somewhere; scripts and programs do not. */
function isForPeople(request: FastifyRequest): boolean {
  return request.headers.accept?.includes("text/html") === true;
}
