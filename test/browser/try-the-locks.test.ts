import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDemo, type Demo } from "../../examples/demo/server.js";
import { SHARED_MS, sharedChromium } from "../shared/shared.js";
import { chromiumPath } from "./chromium.js";

const ATTACKS = [
  "injection",
  "forged-token",
  "expired-token",
  "cross-site-form",
  "tampered-cookie",
  "framing",
  "flood",
] as const;

/** What Chromium writes to the console about attacks that were stopped. */
const EXPECTED_ERRORS = [
  /violates the following Content Security Policy directive/,
  /^Refused to display .* in a frame/,
  /Framing .* violates/,
  /server responded with a status of (?:401|403|429)/,
];

describe.skipIf(chromiumPath === undefined)('the page "Try the locks" in Chromium', () => {
  let browser: Browser;
  let demo: Demo;
  let page: Page;
  let consoleErrors: string[];

  beforeAll(async () => {
    [browser, demo] = await Promise.all([sharedChromium(), createDemo()]);
    page = await browser.newPage();
    await page.goto(`${demo.url}/locks`);
    await page.getByRole("button", { name: "Fill in" }).first().click();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(`${demo.url}/locks`);
  }, SHARED_MS);

  afterAll(async () => {
    await browser?.close();
    await demo?.close();
  });

  /** Carries one attack out and gives the verdict on its card. */
  async function run(attack: string): Promise<string | null> {
    const card = page.locator(`#${attack}`);
    await card.getByRole("button").click();
    await card.locator(".badge").waitFor();
    return card.locator(".badge").textContent();
  }

  describe("shows a lock that is off", () => {
    let signedIn: Page;
    beforeEach(async () => {
      signedIn = page;
      const context = await browser.newContext({ storageState: await signedIn.context().storageState() });
      page = await context.newPage();
      await page.goto(`${demo.url}/locks`);
    });
    afterEach(async () => {
      await page.context().close();
      page = signedIn;
    });

    /** Passes answers on without some of their header fields, as if they had never been set. */
    async function without(fields: readonly string[], path: RegExp): Promise<void> {
      await page.route(path, async (route) => {
        const response = await route.fetch();
        const headers = Object.entries(response.headers()).filter(([name]) => !fields.includes(name));
        await route.fulfill({ response, headers: Object.fromEntries(headers) });
      });
    }

    it("when pages have no Content Security Policy", async () => {
      await without(["content-security-policy"], /\/locks\/injection\?/);
      expect(await run("injection")).toBe("NOT STOPPED");
      expect(await page.locator("#injection .fails").allTextContents()).toContainEqual(
        expect.stringContaining("The injected scripts did not run."),
      );
      expect(await page.locator("#injection .why").isVisible()).toBe(false);
    });

    it("when the account page may be framed", async () => {
      await without(["content-security-policy", "x-frame-options"], /\/account\?/);
      expect(await run("framing")).toBe("NOT STOPPED");
    });

    it("when forged and expired tokens are taken", async () => {
      await page.route(/\/api\/(?:me|reports\/1)\?/, (route) => route.fulfill({ status: 200, json: {} }));
      expect(await run("forged-token")).toBe("NOT STOPPED");
      expect(await run("expired-token")).toBe("NOT STOPPED");
    });

    it("when a form of another site changes the name", async () => {
      await page.route(/\/locks\/whoami$/, (route) => route.fulfill({ json: { displayName: crypto.randomUUID() } }));
      expect(await run("cross-site-form")).toBe("NOT STOPPED");
    });

    it("when scripts can see the session cookie", async () => {
      await page.evaluate("document.cookie = 'session_id_copy=1'");
      expect(await run("tampered-cookie")).toBe("NOT STOPPED");
    });

    it("when nothing limits a flood", async () => {
      const headers = { "ratelimit-policy": '"default";q=100;w=10', ratelimit: '"default";r=99;t=1' };
      await page.route(/\/locks\/ping/, (route) => route.fulfill({ status: 200, headers, json: { pong: true } }));
      expect(await run("flood")).toBe("NOT STOPPED");
    });

    it("and gives no verdict when an attack cannot be carried out", async () => {
      await page.route(/\/locks\/short-token/, (route) => route.abort());
      expect(await run("expired-token")).toBe("No verdict");
    });
  });

  // The last, since its flood leaves nothing of the limit for others.
  describe("after all attacks", () => {
    beforeAll(async () => {
      consoleErrors = [];
      page.on("console", (message) => {
        if (message.type() === "error") consoleErrors.push(message.text());
      });
      page.on("pageerror", (error) => consoleErrors.push(error.message));
      await page.getByRole("button", { name: "Run all attacks" }).click();
      await page.locator("#summary", { hasText: "were stopped" }).waitFor({ timeout: 60_000 });
    }, 90_000);

    it.each(ATTACKS)("says of %s that it was stopped, by what, and shows request and answer", async (attack) => {
      const card = page.locator(`#${attack}`);
      expect(await card.locator(".checks .fails").allTextContents()).toEqual([]);
      expect(await card.locator(".checks .holds").count()).toBeGreaterThan(1);
      expect(await card.locator(".badge").textContent()).toBe("Stopped");
      expect(await card.locator(".why").isVisible()).toBe(true);
      await card.locator("summary").first().click();
      const [request, answer] = await card.locator("details[open] pre").allTextContents();
      expect(request).toMatch(/^(?:GET|POST|DELETE) \//);
      expect(answer).toMatch(/^\d{3} /);
    });

    it("counts them", async () => {
      expect(await page.locator("#summary").textContent()).toBe("7 of 7 attacks were stopped.");
    });

    it.each([
      ["forged-token", /token\.rejected: signature \(2 times\), token\.rejected: algorithm/],
      ["expired-token", /token\.rejected: expired/],
      ["cross-site-form", /csrf\.rejected: cross-site/],
      ["tampered-cookie", /session\.rejected: signature/],
      ["flood", /ratelimit\.exceeded: default \(\d+ times\)/],
    ] as const)("shows what the server's log says about %s", async (attack, log) => {
      expect(await page.locator(`#${attack} .log`).textContent()).toMatch(log);
    });

    it("has no errors in the console but those of the attacks", () => {
      const unexpected = consoleErrors.filter((text) => !EXPECTED_ERRORS.some((pattern) => pattern.test(text)));
      expect(unexpected).toEqual([]);
    });

    it("fits a phone with everything unfolded", async () => {
      for (const details of await page.locator("details").all()) {
        if ((await details.getAttribute("open")) === null) await details.locator("summary").click();
      }
      await page.setViewportSize({ width: 390, height: 844 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    });
  });
});
