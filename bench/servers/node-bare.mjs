// node:http and nothing else: what a server costs before anybody thinks of security.
import { createServer } from "node:http";
import { listening, NOBODY } from "./contract.mjs";

export function start() {
  return listening(
    createServer((_request, response) => {
      const body = JSON.stringify(NOBODY);
      response.writeHead(200, {
        "content-type": "application/json; charset=utf-8",
        "content-length": Buffer.byteLength(body),
      });
      response.end(body);
    }),
  );
}
