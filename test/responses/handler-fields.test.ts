import { ConfigError, CSP, EventHub, Security } from "cello";
import { secure } from "cello/fetch";
import { cello } from "cello/hono";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";

const secret = "a secret of more than thirty-two bytes, for tests";
const fields = ["claims", "clientIp", "cspNonce", "rateLimit", "session", "token"];

/** Every name that can be read of an object, but those that all objects have. */
function namesOf(value: object): string[] {
  const names: string[] = [];
  for (let level = value; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    names.push(...Object.getOwnPropertyNames(level));
  }
  return names.filter((name) => name !== "constructor").sort();
}

describe("what a handler is given", () => {
  it("by cello/fetch are the documented fields, and nothing of what the layer does", async () => {
    let given: object = {};
    const handler = secure(
      new Security({ session: { secret }, jwt: { secret, required: false } }),
      (_request, secured) => {
        given = secured;
        const { claims, clientIp, session } = secured;
        return Response.json({ claims, clientIp, isNew: session.isNew });
      },
    );
    const answer = await handler(new Request("http://localhost/"));
    expect(namesOf(given)).toEqual(fields);
    expect(await answer.json()).toMatchObject({ isNew: true });
  });

  it("by cello/hono are variables of the documented names", async () => {
    const app = new Hono();
    app.use(cello(new Security({ session: { secret }, jwt: { secret, required: false } })));
    app.get("/", (context) => context.json(Object.keys(context.var).sort()));
    const names: unknown = await (await app.request("/")).json();
    expect(fields).toEqual(expect.arrayContaining([names].flat()));
  });
});

describe("what a message or a type asks for can be imported", () => {
  it("a hub of events", () => {
    const events = new EventHub();
    const heard: string[] = [];
    events.on("config.warning", ({ code }) => heard.push(code));
    const security = new Security({ events });
    security.events.emit("config.warning", { code: "CELLO_TEST", message: "a test" });
    expect(heard).toEqual(["CELLO_TEST"]);
    const wrong: object = { events: {} };
    expect(() => new Security(wrong)).toThrow(/EventHub/);
  });

  it("a nonce", () => {
    const csp = new CSP().scriptSrc(CSP.NONCE);
    expect(() => csp.build("not base64!")).toThrow(ConfigError);
    expect(() => csp.build("not base64!")).toThrow(/request\.cspNonce/);
  });
});
