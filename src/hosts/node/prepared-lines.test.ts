import { createServer, IncomingMessage, type RequestListener, ServerResponse } from "node:http";
import { type AddressInfo, connect, Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { Security } from "../../policy/security.js";
import { cello } from "../express/index.js";
import { prepareLines } from "./prepared-lines.js";

/** The head as it is on the wire, behind the middleware with the default security headers. */
async function headOf(handler: RequestListener): Promise<string> {
  const layer = cello(new Security({ securityHeaders: {} }));
  const server = createServer((request, response) => layer(request, response, () => handler(request, response)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  try {
    return await new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(address.port, "127.0.0.1");
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
      });
      socket.on("end", () => resolve(text.slice(0, text.indexOf("\r\n\r\n"))));
      socket.on("error", reject);
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    });
  } finally {
    server.close();
  }
}

const arePrepared = (writeHead: unknown) =>
  prepareLines(new ServerResponse(new IncomingMessage(new Socket())), writeHead, "");

const count = (head: string, name: string) => head.split("\r\n").filter((line) => line.startsWith(`${name}:`)).length;

describe("prepared lines", () => {
  it("are used once a response on a real connection has shown that they arrive, and heads look alike before", async () => {
    expect(arePrepared(ServerResponse.prototype.writeHead)).toBe(false);
    const undated = (head: string) => head.replace(/^Date: .*$/m, "Date: today");
    const first = await headOf((_request, given) => given.writeHead(200, { "X-Own": "1" }).end("ok"));
    expect(arePrepared(ServerResponse.prototype.writeHead)).toBe(true);
    const second = await headOf((_request, given) => given.writeHead(200, { "X-Own": "1" }).end("ok"));
    expect(undated(second)).toBe(undated(first));
    expect(count(first, "X-Frame-Options")).toBe(1);
  });

  it("are not for a response with a writeHead of its own, which must see all fields", () => {
    expect(arePrepared(() => {})).toBe(false);
  });

  it("stand between the status line and the handler's fields, and leave those that Node adds alone", async () => {
    const head = await headOf((_request, response) => response.writeHead(200, { "X-Own": "1" }).end("ok"));
    const names = head.split("\r\n").map((line) => line.split(":")[0]);
    expect(names[0]).toBe("HTTP/1.1 200 OK");
    expect(names).toContain("X-Frame-Options");
    expect(names.indexOf("X-Frame-Options")).toBeLessThan(names.indexOf("X-Own"));
    for (const name of ["Date", "Connection", "Transfer-Encoding", "X-Own", "X-Frame-Options"]) {
      expect([name, count(head, name)]).toEqual([name, 1]);
    }
  });

  it("come once after a head that Node refused, whichever way the next one is written", async () => {
    for (const next of [{ "X-Own": "1" }, { "X-Frame-Options": "SAMEORIGIN" }]) {
      const head = await headOf((_request, response) => {
        expect(() => response.writeHead(200, { "X-Own": "a\r\nb" })).toThrow();
        response.writeHead(500, next).end();
      });
      expect(head).toMatch(/^HTTP\/1.1 500 Internal Server Error\r\n/);
      for (const name of ["X-Frame-Options", "X-Content-Type-Options"]) expect(count(head, name)).toBe(1);
      if ("X-Frame-Options" in next) expect(head).toContain("X-Frame-Options: SAMEORIGIN");
    }
  });

  it("give way to fields that were set before", async () => {
    const head = await headOf((_request, response) => {
      response.setHeader("X-Frame-Options", "SAMEORIGIN");
      response.end("ok");
    });
    expect(count(head, "X-Frame-Options")).toBe(1);
    expect(head).toContain("X-Frame-Options: SAMEORIGIN");
    expect(count(head, "X-Content-Type-Options")).toBe(1);
  });
});
