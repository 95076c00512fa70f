import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ConfigError, StoreUnavailableError } from "../core/errors.js";
import { EventHub, type SecurityEvents } from "../core/events.js";
import { JwtConfig, type JwtOptions } from "./config.js";
import { TokenError } from "./errors.js";
import { Jwt } from "./jwt.js";
import { MemoryReplayStore } from "./replay.js";
import { MemoryRevocationList, type RevocationList } from "./revocation.js";

const secret = "0123456789abcdef0123456789abcdef";
const NOW = 1_700_000_000;
const clock = { wallMs: () => NOW * 1000, monotonicMs: () => 0 };

/** A list elsewhere, with a copy here, that can be cut off. */
class SharedList implements RevocationList {
  isCurrent: boolean | undefined = true;
  failure = "cut off";
  isDown = false;
  isClosed = false;
  onChange = () => {};
  readonly lifetimes: (number | undefined)[] = [];
  readonly #copy = new MemoryRevocationList({ clock });

  open(onChange: () => void) {
    this.onChange = onChange;
  }
  close() {
    this.isClosed = true;
  }
  isRevoked(claims: { jti?: string | undefined; sub?: string | undefined; iat?: number | undefined }) {
    return this.#copy.isRevoked(claims);
  }
  revokedUntilMs(sub: string) {
    return this.#copy.revokedUntilMs(sub);
  }
  async revoke(jti: string, expiresAt: number | undefined) {
    this.#copy.revoke(jti, expiresAt);
    if (this.isDown) throw new Error("no answer");
  }
  async revokeAll(sub: string, nowMs: number, lifetime?: number) {
    this.lifetimes.push(lifetime);
    this.#copy.revokeAll(sub, nowMs, lifetime);
    if (this.isDown) throw new Error("no answer");
  }
}

function setUp(options: Partial<JwtOptions> = {}) {
  const list = new SharedList();
  const store = { revocations: list, replay: new MemoryReplayStore({ clock, maxEntries: 2 }) };
  const told: string[] = [];
  const events = new EventHub();
  events.on("store.error", ({ store, message }: SecurityEvents["store.error"]) => told.push(`${store}: ${message}`));
  events.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
  const jwt = new Jwt({ secret, store, ...options }, { clock, events });
  const code = (token: string) => {
    try {
      jwt.verify(token);
      return "good";
    } catch (error) {
      return error instanceof TokenError ? error.code : String(error);
    }
  };
  return { list, store, told, jwt, code };
}

describe("a Jwt with a store", () => {
  it("asks and tells its list, and answers when the others can know", async () => {
    const { jwt, code } = setUp();
    const token = jwt.sign({ sub: "u" }, { jti: true });
    expect(code(token)).toBe("good");
    const telling = jwt.revoke(jwt.verify(token));
    expect(telling).toBeInstanceOf(Promise);
    expect(code(token)).toBe("revoked");
    await telling;
    const other = jwt.sign({ sub: "v" });
    await jwt.revokeAll("v");
    expect(code(other)).toBe("revoked");
  });

  it("answers at once without one", () => {
    const jwt = new Jwt({ secret }, { clock });
    expect(jwt.revoke("a")).toBe(undefined);
    expect(jwt.revokeAll("u")).toBe(undefined);
  });

  it("says that the others could not be told, and refuses the token all the same", async () => {
    const { jwt, list, code } = setUp();
    list.isDown = true;
    const token = jwt.sign({ sub: "u", jti: "t" });
    await expect(jwt.revoke("t", NOW + 9)).rejects.toThrow(StoreUnavailableError);
    expect(code(token)).toBe("revoked");
    await expect(jwt.revokeAll("u")).rejects.toThrow(/no answer/);
    // Nobody waits for this one: it must not end the process.
    void jwt.revoke("x");
    await new Promise((resolve) => setImmediate(resolve));
  });

  it("refuses all tokens while the list may be out of date, and tells it once", () => {
    const { jwt, list, told, code } = setUp();
    const token = jwt.sign({ sub: "u" });
    expect(code(token)).toBe("good");
    list.isCurrent = false;
    for (let index = 0; index < 3; index++) expect(code(token)).toBe("revocations_unavailable");
    list.isCurrent = true;
    for (let index = 0; index < 3; index++) expect(code(token)).toBe("good");
    expect(told).toEqual(["revocation: cut off", "revocation recovered"]);
  });

  it("tells it also when no request comes", () => {
    const { list, told } = setUp();
    list.isCurrent = false;
    list.onChange();
    list.isCurrent = true;
    list.onChange();
    expect(told).toEqual(["revocation: cut off", "revocation recovered"]);
  });

  it('goes on with what is known here when onStoreError is "allow"', async () => {
    const { jwt, list, told, code } = setUp({ onStoreError: "allow" });
    const [good, bad] = [jwt.sign({ jti: "g" }), jwt.sign({ jti: "b" })];
    list.isCurrent = false;
    await jwt.revoke("b");
    expect([code(good), code(bad)]).toEqual(["good", "revoked"]);
    expect(told).toEqual(["revocation: cut off"]);
  });

  it("tells of a list that fails without saying whether it is current", async () => {
    const { jwt, list, told } = setUp();
    list.isCurrent = undefined;
    list.isDown = true;
    await expect(jwt.revoke("a")).rejects.toThrow(StoreUnavailableError);
    await expect(jwt.revoke("b")).rejects.toThrow(StoreUnavailableError);
    list.isDown = false;
    await jwt.revoke("c");
    expect(told).toEqual(["revocation: no answer", "revocation recovered"]);
  });

  it("has subjects remembered for as long as any of their tokens can live, and a day at least", async () => {
    const { jwt, list } = setUp({ clockTolerance: 5, requireExpiration: false });
    const day = 86_400;
    await jwt.revokeAll("u");
    jwt.sign({ sub: "u" }, { expiration: 2 * day });
    await jwt.revokeAll("u");
    const other = new Jwt({ secret }, { clock });
    jwt.verify(other.sign({ sub: "w" }, { expiration: 3 * day }));
    await jwt.revokeAll("u");
    expect(list.lifetimes).toEqual([day + 5, 2 * day + 5, 3 * day + 5]);
  });

  it("opens the list at once, and closes it", async () => {
    const { jwt, list, told } = setUp();
    await jwt.open();
    await jwt.close();
    expect(list.isClosed).toBe(true);
    const broken = Object.assign(new SharedList(), { open: () => Promise.reject(new Error("no such host")) });
    const events = new EventHub();
    events.on("store.error", ({ message }) => told.push(message));
    await new Jwt({ secret, store: { revocations: broken } }, { events }).open();
    expect(told).toEqual(["no such host"]);
  });

  it("prefers a list that was given beside the configuration", () => {
    const { store, list } = setUp();
    const revocations = new MemoryRevocationList();
    const jwt = new Jwt({ secret, store }, { clock, revocations });
    jwt.revoke("a");
    expect(revocations.isRevoked({ jti: "a" })).toBe(true);
    expect(list.isRevoked({ jti: "a" })).toBe(false);
  });

  it("does not show the store, which may hold a password", () => {
    const store = { ...setUp().store, url: "redis://:hide-me@host" };
    const config = new JwtConfig({ secret, store });
    for (const text of [inspect(config, { depth: 9, showHidden: true }), JSON.stringify(config)]) {
      expect(text).not.toContain("hide-me");
      expect(text).toContain("[Object]");
    }
  });
});

describe("Jwt.useOnce", () => {
  it("is true the first time, and false from then on", async () => {
    const { jwt } = setUp();
    const claims = jwt.verify(jwt.sign({ sub: "u" }, { jti: true }));
    expect([await jwt.useOnce(claims), await jwt.useOnce(claims)]).toEqual([true, false]);
    expect(await new Jwt({ secret }, { clock }).useOnce(claims)).toBe(true);
  });

  it("does not mix up the tokens of two issuers", async () => {
    const { jwt } = setUp();
    const exp = NOW + 9;
    expect(await jwt.useOnce({ iss: "a", jti: "1", exp })).toBe(true);
    expect(await jwt.useOnce({ iss: "b", jti: "1", exp })).toBe(true);
    expect(await jwt.useOnce({ iss: "b", jti: "1", exp })).toBe(false);
  });

  it("needs jti and exp", async () => {
    const { jwt } = setUp();
    await expect(jwt.useOnce({ exp: NOW + 9 })).rejects.toThrow(TypeError);
    await expect(jwt.useOnce({ jti: "a" })).rejects.toThrow(TypeError);
  });

  it("rejects when the store cannot tell", async () => {
    const { jwt, told } = setUp();
    for (const jti of ["a", "b"]) await jwt.useOnce({ jti, exp: NOW + 9 });
    await expect(jwt.useOnce({ jti: "c", exp: NOW + 9 })).rejects.toThrow(StoreUnavailableError);
    expect(await jwt.useOnce({ jti: "a", exp: NOW + 9 })).toBe(false);
    expect(told).toEqual([expect.stringMatching(/^replay: .*maxEntries/), "replay recovered"]);
  });

  it("takes no other answer than true or false", async () => {
    const lawless = { revocations: new MemoryRevocationList(), replay: new MemoryReplayStore() };
    Object.assign(lawless.replay, { claim: () => "OK" });
    await expect(new Jwt({ secret, store: lawless }).useOnce({ jti: "a", exp: 9e9 })).rejects.toThrow(/neither/);
  });

  it("does not fall back to the memory of one process when the store keeps no used tokens", async () => {
    const jwt = new Jwt({ secret, store: { revocations: new MemoryRevocationList() } });
    await expect(jwt.useOnce({ jti: "a", exp: 9e9 })).rejects.toThrow(ConfigError);
  });
});
