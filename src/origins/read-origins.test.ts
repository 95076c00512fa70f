import { describe, expect, it } from "vitest";
import { ConfigError } from "../core/errors.js";
import { Fields } from "../core/options.js";
import { OriginList } from "./origin-list.js";
import { readOrigins } from "./read-origins.js";

const read = (...texts: string[]) => readOrigins(new Fields("TestConfig", {}, {}), "origins", texts);
const list = (...texts: string[]) => new OriginList(read(...texts));

describe("a list of origins", () => {
  it.each([
    ["https://app.example", "https://app.example"],
    ["HTTPS://App.Example", "https://app.example"],
    ["https://app.example:443", "https://app.example"],
    ["http://app.example:80", "http://app.example"],
    ["http://app.example:443", "http://app.example:443"],
    ["http://localhost:5173", "http://localhost:5173"],
    ["https://bücher.example", "https://xn--bcher-kva.example"],
    ["https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"],
    ["http://127.1", "http://127.0.0.1"],
    ["capacitor://localhost", "capacitor://localhost"],
    ["chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"],
    ["https://*.Example.com:443", "https://*.example.com"],
    ["https://*.example.co.uk", "https://*.example.co.uk"],
    ["https://*.user.github.io", "https://*.user.github.io"],
    ["https://*.www.ck", "https://*.www.ck"],
    ["http://*.localhost:3000", "http://*.localhost:3000"],
    ["*", "*"],
  ])("takes %s for %s", (text, entry) => {
    expect(read(text)).toEqual([entry]);
  });

  it.each([
    "app.example",
    "//app.example",
    "https://",
    "https://app.example/",
    "https://app.example/path",
    "https://app.example?x",
    "https://app.example#x",
    "https://user@app.example",
    "https://user:password@app.example",
    "https://app.example:99999",
    "https://app.example:*",
    "https://app .example",
    "https://app.example, https://b.example",
    "https://app%2eexample",
    "https://app.example\\x",
    "null",
    "ftp://app.example",
    "file://app.example",
    "ws://app.example",
    "wss://app.example",
    "data:text/html,x",
    "htps://app.example",
    "httpss://app.example",
    `https://${"a.".repeat(200)}example`,
  ])("refuses %s, which no browser sends", (text) => {
    expect(() => read(text)).toThrow(ConfigError);
  });

  it.each([
    "https://*",
    "https://*.",
    "*.example.com",
    "*://*.example.com",
    "https://*example.com",
    "https://a*.example.com",
    "https://a.*.example.com",
    "https://*.*.example.com",
    "https://**.example.com",
    "https://*.example.com/",
    "https://*.example.com:*",
    "https://*.example.com.",
    "https://x@*.example.com",
    "https://＊.example.com",
  ])("refuses %s, which is no pattern", (text) => {
    expect(() => read(text)).toThrow(ConfigError);
  });

  it.each([
    "https://*.com",
    "https://*.uk",
    "https://*.co.uk",
    "https://*.CO.UK",
    "https://*.github.io",
    "https://*.s3.amazonaws.com",
    "https://*.compute.amazonaws.com",
    "https://*.kawasaki.jp",
    "https://*.ck",
    "https://*.公司.cn",
    "https://*.internal",
    "https://*.127.0.0.1",
    "https://*.0.0.1",
    "https://*.[::1]",
  ])("refuses %s, below which strangers have names", (text) => {
    expect(() => read(text)).toThrow(ConfigError);
  });

  it("does not follow a pattern into names that the domain's owner gives away", () => {
    const origins = list("https://*.amazonaws.com");
    expect(origins.find("https://console.amazonaws.com")).toBe("https://console.amazonaws.com");
    expect(origins.find("https://bucket.s3.amazonaws.com")).toBeUndefined();
    expect(origins.find("https://s3.amazonaws.com")).toBeUndefined();
  });

  it("answers the same when it is asked again, and whatever it was asked meanwhile", () => {
    const origins = list("https://*.example.com", "https://app.example");
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 600; index++) {
        expect(origins.find(`https://a${index}.example.com`)).toBe(`https://a${index}.example.com`);
        expect(origins.find(`https://a${index}.evil.example`)).toBeUndefined();
      }
    }
    expect(origins.find("https://APP.example:443")).toBe("https://app.example");
  });

  it("says what is wrong and what to write", () => {
    expect(() => read("https://*.github.io")).toThrow(
      'TestConfig.origins: "https://*.github.io" matches names that anybody can register; name the domain',
    );
    expect(() => read("htps://app.example")).toThrow('write "https://" if that is meant');
  });
});
