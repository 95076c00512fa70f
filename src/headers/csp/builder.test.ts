import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import fc, { runs } from "../../../test/fast-check.js";
import { ConfigError } from "../../core/errors.js";
import { CSP } from "./builder.js";
import { DIRECTIVES } from "./directives.js";

const SHA256 = CSP.hash("alert(1)");

const LOCATIONS = {
  imgSrc: "img-src",
  connectSrc: "connect-src",
  fontSrc: "font-src",
  mediaSrc: "media-src",
  objectSrc: "object-src",
  frameSrc: "frame-src",
  childSrc: "child-src",
  workerSrc: "worker-src",
  manifestSrc: "manifest-src",
  formAction: "form-action",
  baseUri: "base-uri",
  frameAncestors: "frame-ancestors",
} as const;
const ELEMENTS = {
  defaultSrc: "default-src",
  scriptSrc: "script-src",
  scriptSrcElem: "script-src-elem",
  styleSrc: "style-src",
  styleSrcElem: "style-src-elem",
} as const;
const ATTRIBUTES = { scriptSrcAttr: "script-src-attr", styleSrcAttr: "style-src-attr" } as const;
const SOURCE_LISTS = { ...ELEMENTS, ...ATTRIBUTES, ...LOCATIONS } as const;

type SourceMethod = keyof typeof SOURCE_LISTS;
const keysOf = <Key extends string>(record: Readonly<Record<Key, unknown>>): readonly Key[] =>
  Object.keys(record).filter((key): key is Key => key in record);
const SOURCE_METHODS = keysOf(SOURCE_LISTS);

describe("CSP", () => {
  it("writes directives in the order of their first calls", () => {
    const csp = new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE).imgSrc("https:").scriptSrc("https://a.b");
    expect(csp.toString()).toBe("default-src 'self'; script-src 'self' 'nonce-{nonce}' https://a.b; img-src https:");
    expect(`${csp}`).toBe(csp.build());
  });

  it("puts the nonce in each of its places", () => {
    const csp = new CSP().scriptSrc(CSP.NONCE).styleSrc("'self'", CSP.NONCE);
    expect(csp.build("bm9uY2U=")).toBe("script-src 'nonce-bm9uY2U='; style-src 'self' 'nonce-bm9uY2U='");
  });

  it.each(["", "a b", "a'; script-src *", "a\r\nb", "a;b", "é", "a,b", "===", "{nonce}"])(
    "refuses %o as a nonce",
    (nonce) => {
      const error = refusal(() => new CSP().scriptSrc(CSP.NONCE).build(nonce));
      expect(error).toMatchObject({ subject: "CSP", field: "build" });
    },
  );

  it.each(SOURCE_METHODS)("has %s, which returns the builder", (method) => {
    const csp = new CSP();
    expect(csp[method]("'self'", "https://*.example.com:*/path/")).toBe(csp);
    expect(csp.toString()).toBe(`${SOURCE_LISTS[method]} 'self' https://*.example.com:*/path/`);
  });

  it("has the directives that are no lists of sources", () => {
    const csp = new CSP()
      .sandbox("allow-scripts", "allow-forms")
      .reportTo("csp")
      .reportUri("/csp-reports?v=1", "https://r.example/csp")
      .upgradeInsecureRequests()
      .requireTrustedTypesFor("'script'")
      .trustedTypes("default", "dompurify#1", "'allow-duplicates'")
      .webrtc("'block'");
    expect(csp.toString().split("; ")).toEqual([
      "sandbox allow-scripts allow-forms",
      "report-to csp",
      "report-uri /csp-reports?v=1 https://r.example/csp",
      "upgrade-insecure-requests",
      "require-trusted-types-for 'script'",
      "trusted-types default dompurify#1 'allow-duplicates'",
      "webrtc 'block'",
    ]);
    expect(new CSP().sandbox().toString()).toBe("sandbox");
    expect(new CSP().trustedTypes("*").toString()).toBe("trusted-types *");
  });

  it("has a method for every directive of its table", () => {
    for (const method of keysOf(DIRECTIVES)) expect(new CSP()[method]).toBeTypeOf("function");
  });

  it.each([
    "*",
    "https:",
    "data:",
    "wss://live.example.com",
    "https://example.com",
    "example.com:443",
    "localhost:3000",
    "*.example.com",
    "*:8080",
    "https://*",
    "https://xn--bcher-kva.example/a%20b/~c",
    "https://cdn.example.com/npm/@scope/pkg@1.2.3/dist/a.js",
    "'unsafe-hashes'",
    "'strict-dynamic'",
    "'wasm-unsafe-eval'",
    "'report-sample'",
    "'none'",
  ])("accepts %s", (source) => {
    expect(new CSP().scriptSrc(source).toString()).toBe(`script-src ${source}`);
  });

  it("writes keywords and the names of hashes in lower case", () => {
    const upper = SHA256.replace("sha256", "SHA256");
    expect(new CSP().scriptSrc("'SELF'", upper, "'NONCE-Abc'").toString()).toBe(
      `script-src 'self' ${SHA256} 'nonce-Abc'`,
    );
  });

  it("does not repeat a source", () => {
    expect(new CSP().imgSrc("'self'", "'self'").imgSrc("'SELF'").toString()).toBe("img-src 'self'");
    expect(new CSP().imgSrc("'none'").imgSrc("'none'").toString()).toBe("img-src 'none'");
  });

  it("is unchanged by a call that was refused", () => {
    const csp = new CSP().scriptSrc("'self'");
    expect(() => csp.scriptSrc("https://a.example", "self")).toThrow(ConfigError);
    expect(() => csp.imgSrc()).toThrow(ConfigError);
    expect(csp.toString()).toBe("script-src 'self'");
  });
});

describe("CSP.hash", () => {
  it("hashes text as UTF-8, and bytes as they are", () => {
    const digest = (algorithm: string) => createHash(algorithm).update("ä = 1").digest("base64");
    expect(CSP.hash("ä = 1")).toBe(`'sha256-${digest("sha256")}'`);
    expect(CSP.hash("ä = 1", "sha384")).toBe(`'sha384-${digest("sha384")}'`);
    expect(CSP.hash(new TextEncoder().encode("ä = 1"), "sha512")).toBe(`'sha512-${digest("sha512")}'`);
  });

  it("agrees with the example of CSP3 section 6.7.3.3", () => {
    expect(CSP.hash("alert('Hello, world.');")).toBe("'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
  });

  it("makes sources that the builder accepts", () => {
    for (const algorithm of ["sha256", "sha384", "sha512"] as const) {
      const hash = CSP.hash("x", algorithm);
      expect(new CSP().scriptSrc(hash).styleSrcAttr(hash).toString()).toBe(
        `script-src ${hash}; style-src-attr ${hash}`,
      );
    }
  });

  it.each([["md5"], ["SHA256"], [1], [null]])("refuses the algorithm %o", (algorithm) => {
    expect(refusal(() => Reflect.apply(CSP.hash, CSP, ["x", algorithm]))).toMatchObject({ field: "hash" });
  });

  it("refuses what is neither text nor bytes", () => {
    expect(refusal(() => Reflect.apply(CSP.hash, CSP, [{}]))).toMatchObject({
      field: "hash",
      code: "CELLO_WRONG_TYPE",
    });
  });
});

type Call = (csp: CSP) => unknown;
const WRONG: readonly (readonly [call: Call, field: string, message: RegExp])[] = [
  [(csp) => csp.defaultSrc(), "defaultSrc", /without a source; write defaultSrc\("'none'"\)/],
  [(csp) => csp.imgSrc(""), "imgSrc", /empty string/],
  [(csp) => csp.imgSrc("'self' https://a.example"), "imgSrc", /white space; write each one as an argument/],
  [(csp) => csp.imgSrc("\u00a0"), "imgSrc", /white space/],
  [(csp) => csp.imgSrc("'self';script-src"), "imgSrc", /contains ";"/],
  [(csp) => csp.imgSrc("https://a.example,https://b.example"), "imgSrc", /contains ","/],
  [(csp) => csp.imgSrc("'self'\r\nX: y"), "imgSrc", /control character/],
  [(csp) => csp.imgSrc("a\u0000"), "imgSrc", /control character/],
  [(csp) => csp.imgSrc("https://bücher.example"), "imgSrc", /not ASCII; .*punycode/],
  [(csp) => csp.scriptSrc("self"), "scriptSrc", /"self" without quotes .*write "'self'"/],
  [(csp) => csp.scriptSrc("None"), "scriptSrc", /write "'none'"/],
  [(csp) => csp.scriptSrc("unsafe-inline"), "scriptSrc", /write "'unsafe-inline'"/],
  [(csp) => csp.scriptSrc("unsafe-eval"), "scriptSrc", /write "'unsafe-eval'"/],
  [(csp) => csp.scriptSrc("strict-dynamic"), "scriptSrc", /write "'strict-dynamic'"/],
  [(csp) => csp.scriptSrc('"self"'), "scriptSrc", /write "'self'"/],
  [(csp) => csp.scriptSrc("nonce-abc"), "scriptSrc", /write "'nonce-abc'"/],
  [(csp) => csp.scriptSrc(`sha256-${"A".repeat(43)}=`), "scriptSrc", /without quotes/],
  [(csp) => csp.scriptSrc("'slef'"), "scriptSrc", /"'slef'" is not a keyword/],
  [(csp) => csp.scriptSrc("'self"), "scriptSrc", /not a keyword/],
  [(csp) => csp.scriptSrc("''"), "scriptSrc", /not a keyword/],
  [(csp) => csp.scriptSrc("'nonce-'"), "scriptSrc", /not a nonce.*CSP\.NONCE/],
  [(csp) => csp.scriptSrc("'nonce-{abc}'"), "scriptSrc", /not a nonce/],
  [(csp) => csp.scriptSrc("'nonce-abc"), "scriptSrc", /not a nonce/],
  [(csp) => csp.scriptSrc("'sha256-abc'"), "scriptSrc", /not a sha256 hash.*CSP\.hash/],
  [(csp) => csp.scriptSrc(`'sha384-${SHA256.slice(8)}`), "scriptSrc", /not a sha384 hash/],
  [(csp) => csp.scriptSrc(SHA256.replace("=", "")), "scriptSrc", /not a sha256 hash/],
  [(csp) => csp.scriptSrc("'sha1-abc'"), "scriptSrc", /not a keyword/],
  [(csp) => csp.scriptSrc("'none'", "'self'"), "scriptSrc", /'none' stands beside/],
  [(csp) => csp.scriptSrc("'none'").scriptSrc("'self'"), "scriptSrc", /'none' stands beside/],
  [(csp) => csp.scriptSrc("'self'").scriptSrc("'none'"), "scriptSrc", /'none' stands beside/],
  [(csp) => csp.imgSrc(CSP.NONCE), "imgSrc", /CSP\.NONCE: a nonce means nothing here/],
  [(csp) => csp.scriptSrcAttr(CSP.NONCE), "scriptSrcAttr", /means nothing here/],
  [(csp) => csp.connectSrc("'nonce-abc'"), "connectSrc", /means nothing here/],
  [(csp) => csp.connectSrc(SHA256), "connectSrc", /a hash means nothing here/],
  [(csp) => csp.frameAncestors("'unsafe-inline'"), "frameAncestors", /means nothing here/],
  [(csp) => csp.imgSrc("data"), "imgSrc", /write the scheme as "data:"/],
  [(csp) => csp.imgSrc("https"), "imgSrc", /"https:"/],
  [(csp) => csp.imgSrc("//cdn.example.com"), "imgSrc", /write "cdn\.example\.com"/],
  [(csp) => csp.imgSrc("https://"), "imgSrc", /not a source/],
  [(csp) => csp.imgSrc("https://a.example/?q=1"), "imgSrc", /query/],
  [(csp) => csp.imgSrc("https://a.*.example"), "imgSrc", /at the front/],
  [(csp) => csp.imgSrc("https://[::1]"), "imgSrc", /IPv6/],
  [(csp) => csp.imgSrc("a.example:99999"), "imgSrc", /no such port/],
  [(csp) => csp.imgSrc("/images"), "imgSrc", /not a source/],
  [(csp) => csp.imgSrc("{nonce}"), "imgSrc", /not a source/],
  [(csp) => csp.defaultSrc("'self'", "script-src"), "defaultSrc", /name of a directive/],
  [(csp) => csp.sandbox("allow-everything"), "sandbox", /not a sandbox token/],
  [(csp) => csp.reportTo(), "reportTo", /takes one name, got 0/],
  [(csp) => csp.reportTo("a", "b"), "reportTo", /takes one name, got 2/],
  [(csp) => csp.reportTo("a").reportTo("b"), "reportTo", /call reportTo once/],
  [(csp) => csp.reportTo("a/b"), "reportTo", /not a token/],
  [(csp) => csp.reportUri(), "reportUri", /without a URL/],
  [(csp) => csp.reportUri("reports"), "reportUri", /not a URL/],
  [(csp) => csp.reportUri("//r.example/a"), "reportUri", /not a URL/],
  [(csp) => csp.reportUri("/{nonce}"), "reportUri", /not a URL/],
  [(csp) => csp.requireTrustedTypesFor(), "requireTrustedTypesFor", /'script'/],
  [(csp) => csp.requireTrustedTypesFor("script"), "requireTrustedTypesFor", /'script'/],
  [(csp) => csp.trustedTypes(), "trustedTypes", /without a policy name/],
  [(csp) => csp.trustedTypes("allow-duplicates"), "trustedTypes", /write "'allow-duplicates'"/],
  [(csp) => csp.trustedTypes("a!"), "trustedTypes", /not a policy name/],
  [(csp) => csp.trustedTypes("'none'", "a"), "trustedTypes", /beside/],
  [(csp) => csp.webrtc("allow"), "webrtc", /one of two values/],
  [(csp) => csp.webrtc("'allow'").webrtc("'block'"), "webrtc", /call webrtc once/],
  [(csp) => Reflect.apply(csp.upgradeInsecureRequests, csp, ["'self'"]), "upgradeInsecureRequests", /takes no sources/],
  [(csp) => Reflect.apply(csp.scriptSrc, csp, [["'self'"]]), "scriptSrc", /takes strings, got a list/],
  [(csp) => Reflect.apply(csp.scriptSrc, csp, [undefined]), "scriptSrc", /takes strings/],
  [(csp) => Reflect.apply(csp.extend, csp, ["img-src *"]), "extend", /takes a CSP/],
  [(csp) => csp.snapshot().imgSrc("*"), "imgSrc", /belongs to a configuration/],
];

describe("a wrong call", () => {
  it.each(WRONG)("%s is refused with method, problem and mend", (call, field, message) => {
    const error = refusal(() => call(new CSP()));
    expect(error).toMatchObject({ subject: "CSP", field });
    expect(error.message).toMatch(/^CSP\.[A-Za-z]+: .+; .+$/);
    expect(error.message).toMatch(message);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no control character may reach a terminal.
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe("CSP.extend", () => {
  it("makes a new policy with the union of each directive", () => {
    const base = new CSP().defaultSrc("'self'").scriptSrc("'self'", CSP.NONCE);
    const other = new CSP().imgSrc("data:").scriptSrc("https://cdn.example.com", "'self'");
    expect(base.extend(other).toString()).toBe(
      "default-src 'self'; script-src 'self' 'nonce-{nonce}' https://cdn.example.com; img-src data:",
    );
    expect(base.toString()).toBe("default-src 'self'; script-src 'self' 'nonce-{nonce}'");
    expect(other.toString()).toBe("img-src data:; script-src https://cdn.example.com 'self'");
  });

  it("lets 'none' give way to sources, on either side", () => {
    const none = new CSP().imgSrc("'none'");
    const some = new CSP().imgSrc("'self'");
    expect(none.extend(some).toString()).toBe("img-src 'self'");
    expect(some.extend(none).toString()).toBe("img-src 'self'");
    expect(none.extend(none).toString()).toBe("img-src 'none'");
  });

  it("takes the other's value where there can be only one", () => {
    expect(new CSP().reportTo("a").extend(new CSP().reportTo("b")).toString()).toBe("report-to b");
  });

  it("gives a policy that can be changed, also from a snapshot", () => {
    expect(new CSP().imgSrc("'self'").snapshot().extend(new CSP()).imgSrc("data:").toString()).toBe(
      "img-src 'self' data:",
    );
  });
});

/** A call of the builder, as data. */
interface Step {
  readonly method: SourceMethod;
  readonly sources: readonly string[];
}

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
const host = fc
  .tuple(
    fc.constantFrom("", "https://", "wss://", "*.", "https://*."),
    label,
    fc.constantFrom("", ":443", ":*"),
    fc.constantFrom("", "/", "/a/b.js"),
  )
  .map(([start, name, port, path]) => `${start}${name}.example${port}${path}`);
const source = fc.oneof(host, fc.constantFrom("'self'", "'unsafe-inline'", "https:", "data:", "*", "'report-sample'"));
const step: fc.Arbitrary<Step> = fc
  .record({ method: fc.constantFrom(...SOURCE_METHODS), sources: fc.array(source, { minLength: 1, maxLength: 4 }) })
  .map(({ method, sources }) => ({
    method,
    sources: method === "frameAncestors" ? sources.map((text) => (/^'(?!self)/.test(text) ? "*" : text)) : sources,
  }));

/** The oracle: an ordered record of lists, written with string functions alone. */
function expectedPolicy(steps: readonly Step[]): string {
  const record: Record<string, string[]> = {};
  for (const { method, sources } of steps) {
    const name = SOURCE_LISTS[method];
    const list = record[name] ?? [];
    for (const text of sources) if (list.indexOf(text) === -1) list.push(text);
    record[name] = list;
  }
  return Object.keys(record)
    .map((name) => `${name} ${record[name]?.join(" ")}`)
    .join("; ");
}

describe("any sequence of calls", () => {
  it("gives the policy of an ordered record", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const csp = new CSP();
        for (const { method, sources } of steps) csp[method](...sources);
        expect(csp.toString()).toBe(expectedPolicy(steps));
      }),
      runs(500),
    );
  });

  it("extends to the same as if it had been one sequence", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), fc.array(step, { maxLength: 8 }), (first, second) => {
        const built = [first, second].map((steps) =>
          steps.reduce((csp, { method, sources }) => csp[method](...sources), new CSP()),
        );
        const [base = new CSP(), other = new CSP()] = built;
        expect(base.extend(other).toString()).toBe(expectedPolicy([...first, ...second]));
      }),
      runs(200),
    );
  });

  it("never lets text end a word, a directive or the header", () => {
    const hostile = fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc
        .tuple(source, fc.constantFrom(" ", ";", ",", "\r\n", "\t", "'", "\u0000", "\u2028", "é", "%", "{nonce}"), host)
        .map((parts) => parts.join("")),
    );
    const methods = fc.constantFrom(...keysOf(DIRECTIVES));
    fc.assert(
      fc.property(methods, fc.array(hostile, { minLength: 1, maxLength: 3 }), (method, words) => {
        const csp = new CSP();
        try {
          Reflect.apply(csp[method], csp, words);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        const [name, ...rest] = csp.toString().split(" ");
        expect(name).toBe(DIRECTIVES[method].name);
        for (const word of rest) expect(word).toMatch(/^[!-+\--:<-~]+$/);
        expect(rest.length).toBeLessThanOrEqual(words.length);
        expect(csp.toString()).not.toContain("{nonce}");
      }),
      runs(2000),
    );
  });
});

function refusal(action: () => unknown): ConfigError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
