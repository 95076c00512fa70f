import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import { PROBLEM_CONTENT_TYPE } from "../../problem.js";
import type { Security } from "../../security.js";
import { asItIs, refuse, secure } from "./install.js";

/**
 * Answers unknown paths and errors with problem details (RFC 9457), as refusals are, unless the
 * application sets its own handlers.
 *
 * Registered as a plugin, so that it runs after the application's own synchronous set-up and sees
 * what that has set.
 */
export const problemHandlers = fp(async (fastify: FastifyInstance): Promise<void> => {
  if (fastify.errorHandler.name.includes("defaultErrorHandler")) fastify.setErrorHandler(answerError);
  try {
    fastify.setNotFoundHandler((_request, reply) => sendProblem(reply, 404));
  } catch {
    // The application set its own, and Fastify takes one only: its own is what we want.
  }
});

/** What went wrong inside is for the log; a client learns the status, and what was wrong with its request. */
function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const status = error.statusCode !== undefined && error.statusCode >= 400 ? error.statusCode : 500;
  if (status >= 500) {
    request.log.error({ err: error }, error.message);
    sendProblem(reply, status);
    return;
  }
  request.log.info({ err: error }, error.message);
  sendProblem(reply, status, error.message);
}

function sendProblem(reply: FastifyReply, status: number, detail?: string): void {
  const problem = { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail };
  reply.code(status).serializer(asItIs).header("Content-Type", PROBLEM_CONTENT_TYPE).send(JSON.stringify(problem));
}

/**
 * Requests that the router cannot read (a broken percent-encoding, a parameter too long) reach no
 * hook: this takes them through the pipeline all the same.
 */
export function answerUnroutable(
  security: Security,
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const secured = secure(security, security.defaultRoute, request, reply);
  const answer = () => sendProblem(reply, error.statusCode ?? 400);
  const result = security.admit(secured);
  if (result === undefined) answer();
  else if (!(result instanceof Promise)) refuse(reply, result);
  else result.then((settled) => (settled === undefined ? answer() : refuse(reply, settled)), answer);
}

/** Status by the code of Node's HTTP parser error; everything else is 400. */
const PARSER_STATUS: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** Answers what is not even HTTP, on the bare socket, with the fixed security headers. */
export function answerParserError(security: Security, error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (socket.writable) {
    const status = PARSER_STATUS[error.code ?? ""] ?? 400;
    const body = JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status });
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "Connection: close"];
    lines.push(`Content-Type: ${PROBLEM_CONTENT_TYPE}`, `Content-Length: ${body.length}`);
    const fixed = security.headers?.lines ?? [];
    for (let index = 0; index < fixed.length; index += 2) lines.push(`${fixed[index]}: ${fixed[index + 1]}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  }
  socket.destroy(error);
}
