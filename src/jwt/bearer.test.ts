import { describe, expect, it } from "vitest";
import fc, { runs } from "../../test/fast-check.js";
import type { RequestView } from "../core/request-view.js";
import { BearerSource, type RefusedCredentials } from "./bearer.js";
import { JwtConfig, type JwtOptions } from "./config.js";

type Headers = Readonly<Record<string, string | readonly string[]>>;

function exchangeOf(headers: Headers): RequestView {
  const values = (name: string) => [headers[name] ?? []].flat();
  return {
    method: "GET",
    request: { method: "GET", url: "/", headers: {}, clientIp: "192.0.2.1" },
    requestId: "r1",
    rawPath: "/",
    peerAddress: "192.0.2.1",
    clientIp: "192.0.2.1",
    isSecure: true,
    host: "app.example",
    header: (name) => values(name)[0],
    headerCount: (name) => values(name).length,
  };
}

function read(headers: Headers, options: JwtOptions = {}): string | RefusedCredentials | undefined {
  const config = new JwtConfig({ secret: "s".repeat(32), maxTokenLength: 20, ...options });
  return new BearerSource(config).read(exchangeOf(headers));
}

const duplicate = { rejection: "duplicate_header" };
const malformed = { rejection: "malformed" };
const tooLong = { rejection: "too_long" };

describe("BearerSource", () => {
  it.each<[string, Headers, unknown]>([
    ["no header", {}, undefined],
    ["a token", { authorization: "Bearer a.b.c" }, "a.b.c"],
    ["the scheme in other letters", { authorization: "bEARER a.b.c" }, "a.b.c"],
    ["several spaces, which RFC 7235 allows", { authorization: "Bearer   a.b.c" }, "a.b.c"],
    ["another scheme", { authorization: "Basic dTpw" }, undefined],
    ["a scheme that only begins alike", { authorization: "Bearerx a.b.c" }, undefined],
    ["a shorter scheme", { authorization: "Bear" }, undefined],
    ["an empty header", { authorization: "" }, undefined],
    ["a scheme alone", { authorization: "Bearer" }, malformed],
    ["a scheme and spaces", { authorization: "Bearer  " }, malformed],
    ["a tab in place of the space", { authorization: "Bearer\ta.b.c" }, undefined],
    ["a token of the greatest length", { authorization: `Bearer ${"a".repeat(20)}` }, "a".repeat(20)],
    ["a longer token", { authorization: `Bearer ${"a".repeat(21)}` }, tooLong],
    ["two headers", { authorization: ["Bearer a.b.c", "Bearer d.e.f"] }, duplicate],
    ["two equal headers", { authorization: ["Bearer a.b.c", "Bearer a.b.c"] }, duplicate],
    ["two headers, the first of another scheme", { authorization: ["Basic x", "Bearer a.b.c"] }, duplicate],
    ["a cookie that was not asked for", { cookie: "token=a.b.c" }, undefined],
  ])("reads %s", (_, headers, expected) => {
    expect(read(headers)).toEqual(expected);
  });

  it("leaves a second credential in the text, where it fails as base64url", () => {
    expect(read({ authorization: "Bearer a.b.c d.e.f" })).toBe("a.b.c d.e.f");
    expect(read({ authorization: "Bearer a.b.c,Bearer d" })).toBe("a.b.c,Bearer d");
  });

  it("reads another header, with another scheme or none", () => {
    expect(read({ "x-token": "a.b.c" }, { headerName: "X-Token", headerPrefix: "" })).toBe("a.b.c");
    expect(read({ "x-token": "Bearer a" }, { headerName: "X-Token", headerPrefix: "" })).toBe("Bearer a");
    expect(read({ "x-token": "" }, { headerName: "X-Token", headerPrefix: "" })).toBeUndefined();
    expect(read({ authorization: "token a.b.c" }, { headerPrefix: "Token" })).toBe("a.b.c");
    expect(read({ authorization: "Bearer a.b.c" }, { headerPrefix: "Token" })).toBeUndefined();
  });

  it.each<[string, string, unknown]>([
    ["the cookie alone", "token=a.b.c", "a.b.c"],
    ["the cookie among others", "x=1; token=a.b.c; y=2", "a.b.c"],
    ["no space between", "x=1;token=a.b.c;y=2", "a.b.c"],
    ["white space around", "x=1;  \ttoken=a.b.c ; y=2", "a.b.c"],
    ["a name that ends alike", "xtoken=1; token=a.b.c", "a.b.c"],
    ["a name that begins alike", "token2=1; token=a.b.c", "a.b.c"],
    ["the name as a value", "x=token; y=token=1; token=a.b.c", "a.b.c"],
    ["only names that are alike", "xtoken=1; token2=2; Token=3", undefined],
    ["an empty value", "token=; x=1", undefined],
    ["no value", "token", undefined],
    ["the same cookie twice", "token=a.b.c; token=a.b.c", "a.b.c"],
    ["two values", "token=a.b.c; token=d.e.f", duplicate],
    ["an empty and a full one", "token=; token=a.b.c", "a.b.c"],
    ["a value in quotes", 'x="1"; token="a.b.c"', "a.b.c"],
    ["the same value with and without quotes", 'token="a.b.c"; token=a.b.c', "a.b.c"],
    ["quotes around nothing", 'token=""; x=1', undefined],
    ["a quote at one end only", 'token="a.b.c', '"a.b.c'],
    ["another cookie inside of quotes, which end at the semicolon", 'x="1; token=a.b.c; y=2"', "a.b.c"],
    ["a long one", `token=${"a".repeat(21)}`, tooLong],
  ])("reads of the cookies %s", (_, cookie, expected) => {
    expect(read({ cookie }, { cookieName: "token" })).toEqual(expected);
  });

  it("prefers the header; another scheme there leaves the cookie", () => {
    const cookie = "token=cookie";
    expect(read({ cookie, authorization: "Bearer header" }, { cookieName: "token" })).toBe("header");
    expect(read({ cookie, authorization: "Bearer" }, { cookieName: "token" })).toEqual(malformed);
    expect(read({ cookie, authorization: "Basic x" }, { cookieName: "token" })).toBe("cookie");
  });

  it("finds in any cookie header what taking it apart finds", () => {
    const part = fc.oneof(
      fc.constantFrom(
        "token=1",
        "token=2",
        "token=",
        "token",
        " token=1",
        "xtoken=3",
        "token =4",
        "x=token=1",
        "",
        "y=5",
      ),
      fc.string({ unit: fc.constantFrom(..."token=; "), maxLength: 10 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.constantFrom("; ", ";"), (parts, separator) => {
        const cookie = parts.join(separator);
        const values = cookie
          .split(";")
          .map((pair) => pair.trimStart())
          .filter((pair) => pair.startsWith("token="))
          .map((pair) => pair.slice("token=".length).trim())
          .filter((value) => value !== "" && value.length <= 20);
        const distinct = new Set(values);
        const expected = distinct.size > 1 ? duplicate : values[0];
        expect(read({ cookie }, { cookieName: "token", maxTokenLength: 1000 })).toEqual(expected);
      }),
      runs(500),
    );
  });
});
