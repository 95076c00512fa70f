import { ServerResponse, STATUS_CODES, validateHeaderName, validateHeaderValue } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import { StoreUnavailableError } from "../../core/errors.js";
import { PROBLEM_CONTENT_TYPE, type Refusal, refusal, STORE_UNAVAILABLE } from "../../core/problem.js";
import { securityLinesWithoutRequest } from "../../policy/head.js";
import { admit } from "../../policy/pipeline.js";
import type { Security } from "../../policy/security.js";
import { reportError } from "../report-error.js";
import { settle } from "../settle.js";
import { asItIs, refuse, secure } from "./install.js";

/** Options of {@link problemHandlers}. */
export interface ProblemOptions {
  /** Whether Fastify has a log to which errors go. */
  readonly isLogged: boolean;
}

/**
 * Answers unknown paths and errors with problem details (RFC 9457), as refusals are, unless the
 * application sets its own handlers.
 *
 * Registered as a plugin, so that it runs after the application's own synchronous set-up and sees
 * what that has set.
 */
export const problemHandlers = fp(async (fastify: FastifyInstance, { isLogged }: ProblemOptions): Promise<void> => {
  if (fastify.errorHandler.name.includes("defaultErrorHandler")) {
    fastify.setErrorHandler(isLogged ? answerError : reportAndAnswerError);
  }
  try {
    fastify.setNotFoundHandler((_request, reply) => sendProblem(reply, 404));
  } catch {
    // The application set its own, and Fastify takes one only: its own is what we want.
  }
});

/** Without a log nobody would learn what was behind a 500. */
function reportAndAnswerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  // A store that does not answer is told of by `store.error`, once and not with every request.
  if (statusOf(error) >= 500 && !(error instanceof StoreUnavailableError)) reportError(error);
  answerError(error, request, reply);
}

/** The same for an application whose answers to errors are Fastify's own: it writes them to a log that is not there. */
export async function reportUnlogged(_request: FastifyRequest, reply: FastifyReply, error: unknown): Promise<void> {
  if (!reply.server.errorHandler.name.includes("defaultErrorHandler")) return;
  const status = reply.statusCode >= 400 ? reply.statusCode : statusOf(error);
  if (status >= 500 && !(error instanceof StoreUnavailableError)) reportError(error);
}

/** What went wrong inside is for the log; a client learns the status, and what was wrong with its request. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  removeUnwritable(reply);
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : undefined;
  if (status >= 500) {
    request.log.error({ err: error }, message);
    // A store that answers at once fails in the handler; to the client it is the same as one that answers later.
    if (error instanceof StoreUnavailableError) refuse(reply, STORE_UNAVAILABLE);
    else sendProblem(reply, status);
    return;
  }
  request.log.info({ err: error }, message);
  sendProblem(reply, status, message);
}

/** Anything can be thrown: an error's own status when it is one of errors, else 500. */
function statusOf(error: unknown): number {
  const status = typeof error === "object" && error !== null && "statusCode" in error ? error.statusCode : undefined;
  return typeof status === "number" && STATUS_CODES[status] !== undefined && status >= 400 ? status : 500;
}

/** A header that Node refuses to write is perhaps what the error is about; the answer must not fail for it too. */
function removeUnwritable(reply: FastifyReply): void {
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    try {
      validateHeaderName(name);
      for (const line of [value].flat()) validateHeaderValue(name, String(line));
    } catch {
      reply.removeHeader(name);
    }
  }
}

function sendProblem(reply: FastifyReply, status: number, detail?: string): void {
  const problem = { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail };
  reply.code(status).serializer(asItIs).header("Content-Type", PROBLEM_CONTENT_TYPE).send(JSON.stringify(problem));
}

/**
 * Requests that the router cannot read (a broken percent-encoding, a parameter too long) reach no
 * hook: this takes them through the pipeline all the same.
 *
 * @param answerOf the application's own answer, where it has one
 */
export function answerUnroutable(
  security: Security,
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  answerOf: ((error: FastifyError, request: FastifyRequest, reply: FastifyReply) => void) | undefined,
): void {
  const passage = secure(security, security.defaultRoute, request, reply);
  settle(
    admit(passage),
    reply,
    () => (answerOf === undefined ? sendProblem(reply, error.statusCode ?? 400) : answerOf(error, request, reply)),
    refuse,
    () => sendProblem(reply, 500),
  );
}

/**
 * Answers a request with an `Expect` that nobody can meet (RFC 9110 section 10.1.1): Node hands it to
 * no framework, and by itself answers without the security headers.
 */
export function answerExpectation(security: Security, response: ServerResponse): void {
  const { origin } = response.req.headers;
  const { status, headers, body } = EXPECTATION_FAILED;
  response.writeHead(status, [...headers, ...securityLinesWithoutRequest(security.policy, origin)]);
  response.end(body);
}

const EXPECTATION_FAILED: Refusal = refusal({ type: "about:blank", title: "Expectation Failed", status: 417 });

/** Status by the code of Node's HTTP parser error; everything else is 400. */
const PARSER_STATUS: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};

/** Answers what is not even HTTP, on the bare socket, with the security headers. */
export function answerParserError(security: Security, error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (socket.writable && !isAnswering(socket)) {
    const status = PARSER_STATUS[error.code ?? ""] ?? 400;
    const body = JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status });
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, "Connection: close"];
    lines.push(`Content-Type: ${PROBLEM_CONTENT_TYPE}`, `Content-Length: ${body.length}`);
    const fields = securityLinesWithoutRequest(security.policy);
    for (let index = 0; index < fields.length; index += 2) lines.push(`${fields[index]}: ${fields[index + 1]}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  }
  socket.destroy(error);
}

/** Whether a response has begun on this socket: another head in the middle of it would be read as its body. */
function isAnswering(socket: Socket): boolean {
  // What Node's own handler of such errors looks at.
  const response: unknown = Reflect.get(socket, "_httpMessage");
  return response instanceof ServerResponse && response.headersSent;
}
