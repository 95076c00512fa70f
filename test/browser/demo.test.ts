import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDemo, type Demo } from "../../examples/demo/server.js";
import { SHARED_MS, sharedChromium } from "../shared/shared.js";
import { chromiumPath } from "./chromium.js";

type StorageState = Awaited<ReturnType<BrowserContext["storageState"]>>;

describe.skipIf(chromiumPath === undefined)("the demo in Chromium", () => {
  let browser: Browser;
  let demo: Demo;
  /** The cookies of somebody who is signed in: signing in is limited, so it is done once. */
  let signedIn: StorageState;
  let context: BrowserContext;
  let page: Page;
  let consoleErrors: string[];

  beforeAll(async () => {
    [browser, demo] = await Promise.all([sharedChromium(), createDemo()]);
    await open();
    await page.goto(`${demo.url}/sign-in`);
    await signIn(page);
    signedIn = await context.storageState();
    await context.close();
  }, SHARED_MS);

  afterAll(async () => {
    await browser?.close();
    await demo?.close();
  });

  /** A page of somebody new, or of somebody who comes back. */
  async function open(storageState?: StorageState): Promise<void> {
    await context?.close();
    context = await browser.newContext(storageState === undefined ? {} : { storageState });
    page = await context.newPage();
    consoleErrors = [];
    page.on("console", (message) => {
      if (message.type() === "error") consoleErrors.push(message.text());
    });
    page.on("pageerror", (error) => consoleErrors.push(error.message));
  }

  /** What the app says about the client of a page. */
  async function whoAmI(from: Page): Promise<{ signedIn: boolean; session?: string }> {
    return (await from.request.get(`${demo.url}/locks/whoami`)).json();
  }

  describe("Content Security Policy", () => {
    const MARKUP = "<script>window.injected = true</script><img src='data:,x' onerror='window.injected = true'>";
    const RECORD =
      "window.blocked = []; addEventListener('securitypolicyviolation', (e) => blocked.push(e.effectiveDirective))";

    async function openInjected(path: string): Promise<void> {
      await open();
      await page.addInitScript(RECORD);
      await page.goto(`${demo.url}${path}?text=${encodeURIComponent(MARKUP)}`, { waitUntil: "load" });
    }

    it("stops an injected script and an injected event handler, and reports both", async () => {
      await openInjected("/locks/injection");
      await expect
        .poll(() => page.evaluate("blocked"))
        .toEqual(expect.arrayContaining(["script-src-elem", "script-src-attr"]));
      expect(await page.evaluate("window.injected")).toBeUndefined();
    });

    it("is what stops them: without it the same markup runs", async () => {
      await openInjected("/locks/injection-unlocked");
      await expect.poll(() => page.evaluate("window.injected")).toBe(true);
      expect(await page.evaluate("blocked")).toEqual([]);
    });

    it("lets the page's own scripts run, which have the nonce", async () => {
      await open();
      await page.goto(`${demo.url}/sign-in`);
      await page.click("button[data-name=ada]");
      expect(await page.inputValue("input[name=name]")).toBe("ada");
    });

    it("has another nonce in every response", async () => {
      await open();
      const nonces = new Set<string | null>();
      for (let times = 0; times < 5; times++) {
        const response = await page.goto(`${demo.url}/sign-in`);
        nonces.add(/'nonce-[^']+'/.exec(response?.headers()["content-security-policy"] ?? "")?.[0] ?? null);
      }
      expect(nonces.size).toBe(5);
      expect(nonces.has(null)).toBe(false);
    });

    it("stops text that becomes markup in a script (Trusted Types)", async () => {
      await open();
      await page.goto(`${demo.url}/sign-in`);
      await expect(page.evaluate("document.body.innerHTML = '<p>replaced</p>'")).rejects.toThrow("TrustedHTML");
    });
  });

  describe("the session cookie", () => {
    it("is HttpOnly, SameSite=Lax, for this host and every path, and ends", async () => {
      await open(signedIn);
      await page.goto(`${demo.url}/account`);
      const [cookie, ...others] = await context.cookies();
      expect(others).toEqual([]);
      expect(cookie).toMatchObject({
        name: "session_id",
        domain: "localhost",
        path: "/",
        httpOnly: true,
        sameSite: "Lax",
      });
      expect(cookie?.expires).toBeGreaterThan(Date.now() / 1000);
    });

    it("cannot be seen by a script, although requests carry it", async () => {
      await open(signedIn);
      await page.goto(`${demo.url}/account`);
      expect(await page.evaluate("document.cookie")).toBe("");
      expect(await whoAmI(page)).toMatchObject({ signedIn: true });
    });

    it("is not set for a visitor of whom there is nothing to remember", async () => {
      await open();
      await page.goto(`${demo.url}/sign-in`);
      expect(await context.cookies()).toEqual([]);
    });
  });

  describe("signing in", () => {
    it("gives the session a new id, so that a planted one is worthless, and goes where one wanted to go", async () => {
      await open();
      await page.goto(`${demo.url}/locks`);
      expect(page.url()).toBe(`${demo.url}/sign-in`);
      const before = await whoAmI(page);
      const planted = await context.storageState();
      expect(before).toMatchObject({ signedIn: false, session: expect.any(String) });

      await signIn(page);
      expect(page.url()).toBe(`${demo.url}/locks`);
      const after = await whoAmI(page);
      expect(after).toMatchObject({ signedIn: true, session: expect.any(String) });
      expect(after.session).not.toBe(before.session);

      await open(planted);
      expect(await whoAmI(page)).toMatchObject({ signedIn: false });
    });

    it("shows a message once, the session, and leaves no trace after signing out", async () => {
      await open(signedIn);
      await page.goto(`${demo.url}/account`);
      expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Hello, Ada");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.waitForURL(`${demo.url}/sign-in`);
      expect(await context.cookies()).toEqual([]);
      expect(consoleErrors).toEqual([]);
    });

    it("escapes what was typed", async () => {
      await open();
      await page.goto(`${demo.url}/sign-in`);
      const typed = `"><script>window.injected = true</script>'&`;
      await signIn(page, typed, "wrong");
      expect(await page.getByRole("alert").textContent()).toContain("do not belong together");
      expect(await page.inputValue("input[name=name]")).toBe(typed);
      expect(await page.locator("main script").count()).toBe(0);
    });

    it("is limited to five tries in five minutes, and then shows a page that says when to come back", async () => {
      await open();
      const fresh = await createDemo();
      try {
        const statuses: (number | undefined)[] = [];
        for (let tries = 0; tries < 6; tries++) {
          await page.goto(`${fresh.url}/sign-in`);
          const answer = page.waitForResponse((response) => response.request().method() === "POST");
          await signIn(page, "ada", `guess ${tries}`);
          statuses.push((await answer).status());
        }
        expect(statuses).toEqual([403, 403, 403, 403, 403, 429]);
        expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Too many tries");
        expect(await page.locator("main").textContent()).toContain("Please wait 5 minutes");
      } finally {
        await fresh.close();
      }
    });
  });

  describe("other sites", () => {
    it("cannot post a form: the cookie stays away, the answer is 403, nothing changes", async () => {
      await open(signedIn);
      const sent = page.waitForRequest((request) => request.method() === "POST");
      await page.goto(`${demo.attackerUrl}/form?target=${encodeURIComponent(demo.url)}`);
      const request = await sent;
      const headers = await request.allHeaders();
      expect(headers).toMatchObject({ origin: demo.attackerUrl, "sec-fetch-site": "cross-site" });
      expect(headers.cookie).toBeUndefined();
      expect((await request.response())?.status()).toBe(403);
      expect(await whoAmI(page)).toMatchObject({ signedIn: true, displayName: "Ada" });
    });

    it("cannot post a form even with the cookie, from another port of the same host", async () => {
      await open(signedIn);
      const sent = page.waitForRequest((request) => request.method() === "POST");
      const neighbour = demo.attackerUrl.replace("127.0.0.1", "localhost");
      await page.goto(`${neighbour}/form?target=${encodeURIComponent(demo.url)}`);
      const request = await sent;
      const headers = await request.allHeaders();
      expect(headers).toMatchObject({ "sec-fetch-site": "same-site", cookie: expect.stringContaining("session_id=") });
      expect((await request.response())?.status()).toBe(403);
      expect(await whoAmI(page)).toMatchObject({ displayName: "Ada" });
    });

    it("cannot frame the account page, only one without the lock", async () => {
      await open(signedIn);
      await page.goto(`${demo.attackerUrl}/frame?target=${encodeURIComponent(demo.url)}`);
      await expect.poll(() => page.frames().length).toBe(3);
      const [, account, unlocked] = page.frames();
      await expect.poll(() => unlocked?.locator("body").textContent()).toContain("may be framed by anybody");
      expect(account?.url()).toMatch(/^chrome-error:/);
      expect(consoleErrors).toEqual([expect.stringContaining("frame")]);
    });
  });

  it("calls the JSON API from the account page, and shows what a token may and may not do", async () => {
    await open(signedIn);
    await page.goto(`${demo.url}/account`);
    for (const [name, status] of [
      ["GET /api/me", "200 OK"],
      ["GET /api/reports", "200 OK"],
      ["DELETE /api/reports/1", "403 Forbidden"],
      ["GET /api/me without a token", "401 Unauthorized"],
    ] as const) {
      await page.getByRole("button", { name, exact: true }).click();
      await expect.poll(() => page.locator("#answer pre").last().textContent()).toContain(status);
    }
  });

  it.each(["/sign-in", "/account", "/locks", "/nowhere"])("fits a phone at %s, without errors", async (path) => {
    await open(path === "/sign-in" ? undefined : signedIn);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(demo.url + path);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    // What is not there is an error for the browser, too.
    expect(consoleErrors.filter((text) => !text.includes("status of 401"))).toEqual([]);
  });
});

async function signIn(page: Page, name = "ada", password = "prelude-in-g"): Promise<void> {
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForLoadState("load");
}
