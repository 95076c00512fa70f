import { afterEach, describe, expect, it, vi } from "vitest";
import { EventHub, SECURITY_EVENT_NAMES, type SecurityEventListener } from "./events.js";

const warning = (code: string) => ({ code, message: "x" });

afterEach(() => {
  vi.restoreAllMocks();
});

describe("EventHub", () => {
  it("tells every listener, in order, also when one throws, rejects, or is rejected by a thenable", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const hub = new EventHub();
    const told: number[] = [];
    const failures: unknown[] = [new Error("one"), "two", undefined, Object.create(null), Symbol("five")];
    failures.forEach((failure, index) => {
      hub.on("store.recovered", () => {
        told.push(index);
        throw failure;
      });
      // An async function, which the type of listeners admits.
      const rejecting: SecurityEventListener<"store.recovered"> = async () => {
        throw failure;
      };
      hub.on("store.recovered", rejecting);
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library is what is tried.
      hub.on("store.recovered", () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(failure) }));
    });
    hub.emit("store.recovered", { store: "jwks" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual([0, 1, 2, 3, 4]);
    expect(warn).toHaveBeenCalledTimes(3 * failures.length);
    expect(warn).toHaveBeenCalledWith('a listener of "store.recovered" threw: one', { code: "CELLO_LISTENER_THREW" });
  });

  it("calls a listener as often as it was added, and removes it once", () => {
    const hub = new EventHub();
    const listener = vi.fn();
    hub.on("store.recovered", listener);
    hub.on("store.recovered", listener);
    hub.emit("store.recovered", { store: "jwks" });
    expect(listener).toHaveBeenCalledTimes(2);
    hub.off("store.recovered", listener);
    hub.emit("store.recovered", { store: "jwks" });
    expect(listener).toHaveBeenCalledTimes(3);
    hub.off("store.recovered", listener);
    hub.off("store.recovered", listener);
    hub.emit("store.recovered", { store: "jwks" });
    expect(listener).toHaveBeenCalledTimes(3);
    expect(hub.has("store.recovered")).toBe(false);
  });

  it("may be changed by a listener while it tells an event", () => {
    const hub = new EventHub();
    const late = vi.fn();
    const first = () => {
      hub.off("store.recovered", first);
      hub.on("store.recovered", late);
    };
    hub.on("store.recovered", first);
    hub.emit("store.recovered", { store: "jwks" });
    expect(late).not.toHaveBeenCalled();
    hub.emit("store.recovered", { store: "jwks" });
    expect(late).toHaveBeenCalledTimes(1);
  });

  it("hands out what no listener can change for the next", () => {
    const hub = new EventHub();
    vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const seen: unknown[] = [];
    hub.on("config.warning", (event) => Reflect.set(event, "message", "changed"));
    hub.on("config.warning", (event) => seen.push(event));
    hub.emit("config.warning", warning("A"));
    expect(seen).toEqual([warning("A")]);
  });

  it("keeps warnings about the configuration for the first who listens, a few of them", () => {
    const hub = new EventHub();
    for (let number = 0; number < 100; number++) hub.emit("config.warning", warning(`W${number}`));
    const codes: string[] = [];
    hub.on("config.warning", ({ code }) => codes.push(code));
    expect(codes).toHaveLength(32);
    hub.on("config.warning", ({ code }) => codes.push(code));
    expect(codes).toHaveLength(32);
    hub.emit("store.recovered", { store: "jwks" });
    hub.on("store.recovered", () => codes.push("never"));
    expect(codes).toHaveLength(32);
  });

  it.each([
    ["token.rejectd", /there is no event "token.rejectd"; did you mean "token.rejected"\?/],
    ["tokenRejected", /did you mean "token.rejected"\?/],
    ["error", /its events are token.rejected, ratelimit.exceeded/],
    ["__proto__", /there is no event "__proto__"/],
    ["", /there is no event ""/],
    [undefined, /there is no event a undefined/],
    [Symbol("x"), /there is no event a symbol/],
  ])("refuses the event %s", (name, message) => {
    const hub = new EventHub();
    for (const method of [hub.on, hub.off]) {
      expect(() => Reflect.apply(method, hub, [name, () => {}])).toThrow(TypeError);
      expect(() => Reflect.apply(method, hub, [name, () => {}])).toThrow(message);
    }
  });

  it("refuses what is no listener", () => {
    const hub = new EventHub();
    for (const listener of [undefined, null, "x", {}]) {
      expect(() => Reflect.apply(hub.on, hub, ["token.rejected", listener])).toThrow(/must be a function/);
    }
    expect(SECURITY_EVENT_NAMES.some((name) => hub.has(name))).toBe(false);
  });
});
