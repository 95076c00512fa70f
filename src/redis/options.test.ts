import { inspect } from "node:util";
import { expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { readRedisOptions } from "./options.js";
import { RedisStore } from "./redis-store.js";

/** As JavaScript gives them, which no compiler stops. */
function read(options: object): unknown {
  return Reflect.apply(readRedisOptions, undefined, [options]);
}

const url = "redis://127.0.0.1:1";

it.each([
  ["no server at all", {}, "CELLO_MISSING", "url"],
  ["two servers", { url, cluster: [{ port: 1 }] }, "CELLO_CONFLICT", "url"],
  ["an address of another protocol", { url: "http://127.0.0.1" }, "CELLO_INVALID_VALUE", "url"],
  ["an address that is no text", { url: 6379 }, "CELLO_WRONG_TYPE", "url"],
  ["a client that is none", { client: { get: () => "x" } }, "CELLO_WRONG_TYPE", "client"],
  ["a Cluster without nodes", { cluster: [] }, "CELLO_WRONG_TYPE", "cluster"],
  ["a Cluster that is no list", { cluster: "10.0.0.1" }, "CELLO_WRONG_TYPE", "cluster"],
  ["Sentinels without a name", { sentinel: { sentinels: [{ host: "a", port: 1 }] } }, "CELLO_WRONG_TYPE", "sentinel"],
  ["null for Sentinels", { sentinel: null }, "CELLO_WRONG_TYPE", "sentinel"],
  ["a name without Sentinels", { sentinel: { name: "primary" } }, "CELLO_WRONG_TYPE", "sentinel"],
  ["a prefix with braces", { url, prefix: "{a}" }, "CELLO_INVALID_VALUE", "prefix"],
  ["a prefix with spaces", { url, prefix: "a b" }, "CELLO_INVALID_VALUE", "prefix"],
  ["no time at all", { url, deadline: 0 }, "CELLO_OUT_OF_RANGE", "deadline"],
  ["a deadline in words", { url, deadline: "50ms" }, "CELLO_WRONG_TYPE", "deadline"],
  ["half a lease", { url, lease: 1.5 }, "CELLO_OUT_OF_RANGE", "lease"],
  ["a lease in words", { url, lease: "many" }, "CELLO_WRONG_TYPE", "lease"],
  ["a field of another library", { url, keyPrefix: "x" }, "CELLO_UNKNOWN_FIELD", "keyPrefix"],
])("refuses %s", (_name, options, code, field) => {
  try {
    read(options);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ code, field, subject: "RedisStore" });
    return;
  }
  expect.unreachable("it was taken");
});

it("does not repeat an address, which may hold a password", () => {
  expect(() => read({ url: "https://user:hunter2@10.0.0.1" })).toThrow(/^(?!.*hunter2).*url/);
});

it("hides the password of a store from logs", async () => {
  const store = new RedisStore({ url: "redis://user:hunter2@127.0.0.1:1" });
  expect(inspect(store, { depth: 10, showHidden: true })).not.toContain("hunter2");
  expect(JSON.stringify(store)).not.toContain("hunter2");
  await store.close();
});
