import { App, CSP, Security } from "cello";
import { cello } from "cello/express";
import express from "express";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serve } from "../responses/serve.js";
import { sharedChromium } from "../shared/shared.js";
import { chromiumPath } from "./chromium.js";

const policy = () => new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE);
const securityHeaders = { csp: policy(), cspReportOnly: policy() };
const page = (nonce: string) =>
  `<!doctype html><title>no</title><script nonce="${nonce}">document.title = "ran"</script>`;

interface Site {
  readonly url: string;
  readonly statuses: number[];
  close(): Promise<unknown>;
}

const sites: Readonly<Record<string, () => Promise<Site>>> = {
  App: async () => {
    const statuses: number[] = [];
    const app = new App();
    app.enableSecurityHeaders(securityHeaders);
    app.addHook("onResponse", async (request, reply) => {
      // A browser asks for an icon too.
      if (request.url === "/") statuses.push(reply.statusCode);
    });
    app.get("/", (request, reply) => {
      reply.header("ETag", '"1"').header("Cache-Control", "no-cache").type("text/html");
      return request.headers["if-none-match"] === '"1"' ? reply.code(304).send() : page(request.cspNonce);
    });
    const url = await app.listen({ port: 0, host: "127.0.0.1" });
    return { url, statuses, close: () => app.close() };
  },
  Express: async () => {
    const statuses: number[] = [];
    const app = express();
    app.use(cello(new Security({ securityHeaders })));
    app.get("/", (request, response) => {
      response.on("finish", () => statuses.push(response.statusCode));
      response.set({ ETag: '"1"', "Cache-Control": "no-cache" }).send(page(request.cspNonce));
    });
    const served = await serve(app);
    return { url: served.url, statuses, close: served.close };
  },
};

describe.skipIf(chromiumPath === undefined)("a page that the browser keeps", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await sharedChromium();
  }, 60_000);
  afterAll(() => browser.close());

  it.each(Object.entries(sites))(
    "still runs its script after a 304, from %s",
    async (_name, start) => {
      const site = await start();
      try {
        const tab = await (await browser.newContext()).newPage();
        const blocked: string[] = [];
        tab.on("console", (message) => {
          if (message.text().includes("Content Security Policy")) blocked.push(message.text());
        });
        for (let visit = 0; visit < 3; visit++) {
          await tab.goto("about:blank");
          await tab.goto(site.url);
          expect(await tab.title()).toBe("ran");
          // Neither does what the browser asks without a body change what it keeps.
          await tab.evaluate(async () => void (await fetch("/", { method: "HEAD" })));
        }
        expect(blocked).toEqual([]);
        expect(site.statuses.slice(1)).toEqual(site.statuses.slice(1).map(() => 304));
      } finally {
        await site.close();
      }
    },
    60_000,
  );
});
