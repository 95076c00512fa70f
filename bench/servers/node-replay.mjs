// node:http that sends the very bytes of another server's answer: the limit of what that server can reach.
import { createServer } from "node:http";
import { listening } from "./contract.mjs";

export function start({ replay }) {
  const { status, headers, body, keepAliveSeconds } = replay;
  const server = createServer((_request, response) => {
    response.writeHead(status, headers);
    response.end(body);
  });
  server.keepAliveTimeout = keepAliveSeconds * 1000;
  return listening(server);
}
