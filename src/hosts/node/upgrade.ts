import { type ServerResponse, STATUS_CODES } from "node:http";
import { Duplex } from "node:stream";
import type { Refusal } from "../../core/problem.js";
import { securityLines } from "../../policy/head.js";
import type { Passage } from "../../policy/passage.js";

/**
 * Sees to a request to change the protocol, as WebSockets begin. The pipeline decides about it as about any other, but
 * that the check for cross-site requests is not left out as it is for other GETs.
 *
 * Nobody reads requests from a connection any more whose client asked for another protocol. Who answers instead
 * of taking it over ends it: the client would keep it otherwise, and a server that closes would wait for that.
 */
export function endWithUpgrade(response: ServerResponse): void {
  const { socket } = response.req;
  response.shouldKeepAlive = false;
  response.once("finish", () => socket.end(() => socket.destroy()));
}

/**
 * Answers with a refusal on an object that stands in for a response and has no head of its own: what
 * socket.io gives to middleware for the handshake of a WebSocket. The connection is asked for it, so
 * that the client learns its status, and the stand-in is only told that it is over.
 */
export function refuseWithoutHead(response: ServerResponse, refusal: Refusal, passage: Passage): void {
  const socket: unknown = response.socket;
  if (socket instanceof Duplex) {
    // Not `response.end`: that of socket.io destroys the connection, with the answer still on the way.
    if (socket.writable) socket.end(textOf(refusal, passage), "latin1", () => socket.destroy());
    else socket.destroy();
    return;
  }
  response.statusCode = refusal.status;
  if (typeof response.setHeader === "function") {
    const fields = [...refusal.headers, ...securityLines(refusal.status, passage, undefined)];
    for (let index = 0; index < fields.length; index += 2) {
      response.setHeader(fields[index] ?? "", fields[index + 1] ?? "");
    }
  }
  if (typeof response.end === "function") response.end(refusal.body);
}

function textOf({ status, headers, body }: Refusal, passage: Passage): string {
  const fields = ["Connection", "close", ...headers, ...securityLines(status, passage, undefined)];
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n`;
  for (let index = 0; index < fields.length; index += 2) head += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return `${head}\r\n${body}`;
}
