import { type ServerResponse as NodeResponse, type RequestListener, ServerResponse } from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import { serve, view } from "./serve.js";

const { writeHead } = ServerResponse.prototype;
const storeHeader: unknown = Reflect.get(ServerResponse.prototype, "_storeHeader");

afterEach(() => {
  ServerResponse.prototype.writeHead = writeHead;
  // Node has it one prototype further up.
  Reflect.deleteProperty(ServerResponse.prototype, "_storeHeader");
  Reflect.deleteProperty(process.versions, "bun");
  vi.resetModules();
});

/** The middleware as it is in a runtime: loaded after what makes the runtime has been put in place. */
async function loaded(): Promise<(handler: RequestListener) => RequestListener> {
  vi.resetModules();
  const { cello } = await import("cello/express");
  const { Security } = await import("cello");
  const layer = cello(
    new Security({ jwt: { secret: "a secret of more than thirty-two bytes, for tests" }, securityHeaders: {} }),
    {
      auth: "optional",
    },
  );
  return (handler) => (request, response) => layer(request, response, () => handler(request, response));
}

async function expectHeaders(behind: (handler: RequestListener) => RequestListener): Promise<void> {
  const served = await serve(
    behind((request, response) => response.writeHead(Number(request.url?.slice(1)), { "X-Own": "1" }).end("ok")),
  );
  try {
    // More than once: what one response has shown must hold for the next.
    for (const status of [200, 404, 429, 500, 200, 404]) {
      const answer = await view(served.port, [`GET /${status} HTTP/1.1`]);
      expect(answer).toContain(`HTTP/1.1 ${status} `);
      expect(answer.match(/^X-Frame-Options: DENY\r$/gm)).toHaveLength(1);
      expect(answer.match(/^X-Own: 1\r$/gm)).toHaveLength(1);
    }
    const refused = await view(served.port, ["GET /200 HTTP/1.1", "Authorization: Bearer x.y.z"]);
    expect(refused).toMatch(/^HTTP\/1.1 401 [\s\S]*X-Frame-Options: DENY/);
  } finally {
    await served.close();
  }
}

describe("security headers do not rest on what a runtime does inside", () => {
  it("in Node", async () => expectHeaders(await loaded()));

  it("in a runtime that has Node's inner method, and makes the heads of connections without it", async () => {
    // As Bun does: the method works on a response without a connection, and text about _storeHeader stands here.
    const bunLike = function (this: NodeResponse, ...args: readonly unknown[]): unknown {
      const own = Object.getOwnPropertyDescriptor(this, "_storeHeader");
      if (this.socket !== null) Reflect.set(this, "_storeHeader", storeHeader);
      try {
        return Reflect.apply(writeHead, this, args);
      } finally {
        if (own !== undefined) Object.defineProperty(this, "_storeHeader", own);
      }
    };
    Reflect.set(ServerResponse.prototype, "writeHead", bunLike);
    await expectHeaders(await loaded());
  });

  it("in one that makes heads with the method, and sends others", async () => {
    Reflect.set(ServerResponse.prototype, "_storeHeader", function (this: NodeResponse, line: string, fields: unknown) {
      if (typeof storeHeader !== "function") throw new Error("Node has no such method any more");
      Reflect.apply(storeHeader, this, [line.slice(0, line.indexOf("\r\n") + 2), fields]);
    });
    await expectHeaders(await loaded());
  });

  it("in one that says that it is another", async () => {
    Object.defineProperty(process.versions, "bun", { value: "1.0.0", configurable: true });
    await expectHeaders(await loaded());
  });
});
