import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { describe } from "../../core/options.js";
import { strictConstruction, strictMethods, strictStatics } from "../../core/strict-calls.js";
import { type DirectiveMethod, directiveOf } from "./directives.js";
import { type CspFinding, findFixedNonces } from "./findings.js";
import { lintPolicy } from "./lint.js";
import { NONCE_SLOT, NONCE_SOURCE, NONE } from "./sources.js";
import { refuse } from "./words.js";

/** The hash functions that browsers compare inline code with (CSP3 section 2.3.1). */
export type CspHashAlgorithm = "sha256" | "sha384" | "sha512";

/**
 * A Content Security Policy (W3C CSP Level 3), built directive by directive.
 *
 * Each method checks its sources, adds them to its directive and returns the builder; directives
 * stand in the header in the order of their first calls. A source that is already there is not
 * repeated. A configuration takes a snapshot, so that later calls do not change it.
 *
 * ```ts
 * const csp = new CSP()
 *   .defaultSrc("'self'")
 *   .scriptSrc("'self'", CSP.NONCE)
 *   .objectSrc("'none'")
 *   .baseUri("'none'");
 * csp.toString(); // default-src 'self'; script-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'none'
 * ```
 *
 * Every method throws `ConfigError` for a source that a browser would ignore or misread: an
 * unquoted keyword, `'none'` beside others, white space, `;`, `,`, control characters, characters
 * outside ASCII, a malformed nonce, hash or host, and a list without sources.
 */
export class CSP {
  /** Stands for this response's nonce, in the directives of scripts and styles. */
  static readonly NONCE: string = NONCE_SOURCE;

  readonly #directives = new Map<DirectiveMethod, readonly string[]>();

  constructor() {
    strictConstruction("new CSP()", arguments);
  }

  /**
   * The hash of an inline script or style, as a source.
   *
   * @param source exactly what stands between the tags, white space included; text is hashed as UTF-8
   * @throws ConfigError for an algorithm that CSP does not have
   *
   * ```ts
   * new CSP().scriptSrc(CSP.hash("alert(1)")); // script-src 'sha256-...'
   * ```
   */
  static hash(source: string | Uint8Array, algorithm: CspHashAlgorithm = "sha256"): string {
    if (!["sha256", "sha384", "sha512"].includes(algorithm)) {
      refuse("hash", `${describe(algorithm)} is not a hash of CSP`, "give one of sha256, sha384, sha512");
    }
    if (typeof source !== "string" && !(source instanceof Uint8Array)) {
      refuse("hash", `takes text or bytes, got ${describe(source)}`, "give the inline code", "CELLO_WRONG_TYPE");
    }
    return `'${algorithm}-${createHash(algorithm).update(source).digest("base64")}'`;
  }

  /** The weaknesses of a policy that is given as text, for example of a header that another server sent. */
  static lint(policy: string): readonly CspFinding[] {
    return lintPolicy(policy);
  }

  /** Fallback of the other fetch directives. */
  defaultSrc(...sources: readonly string[]): this {
    return this.#add("defaultSrc", sources);
  }

  /** Scripts. */
  scriptSrc(...sources: readonly string[]): this {
    return this.#add("scriptSrc", sources);
  }

  /** `<script>` elements, apart from event handlers. */
  scriptSrcElem(...sources: readonly string[]): this {
    return this.#add("scriptSrcElem", sources);
  }

  /** Event handler attributes such as `onclick`. */
  scriptSrcAttr(...sources: readonly string[]): this {
    return this.#add("scriptSrcAttr", sources);
  }

  /** Styles. */
  styleSrc(...sources: readonly string[]): this {
    return this.#add("styleSrc", sources);
  }

  /** `<style>` elements and style sheets, apart from style attributes. */
  styleSrcElem(...sources: readonly string[]): this {
    return this.#add("styleSrcElem", sources);
  }

  /** `style` attributes. */
  styleSrcAttr(...sources: readonly string[]): this {
    return this.#add("styleSrcAttr", sources);
  }

  /** Images and icons. */
  imgSrc(...sources: readonly string[]): this {
    return this.#add("imgSrc", sources);
  }

  /** Where scripts may connect to: fetch, WebSocket, EventSource, beacons. */
  connectSrc(...sources: readonly string[]): this {
    return this.#add("connectSrc", sources);
  }

  /** Fonts. */
  fontSrc(...sources: readonly string[]): this {
    return this.#add("fontSrc", sources);
  }

  /** Audio, video and their tracks. */
  mediaSrc(...sources: readonly string[]): this {
    return this.#add("mediaSrc", sources);
  }

  /** `<object>` and `<embed>`. Almost always `'none'`. */
  objectSrc(...sources: readonly string[]): this {
    return this.#add("objectSrc", sources);
  }

  /** What this page may frame. */
  frameSrc(...sources: readonly string[]): this {
    return this.#add("frameSrc", sources);
  }

  /** Fallback of `frameSrc` and `workerSrc`. */
  childSrc(...sources: readonly string[]): this {
    return this.#add("childSrc", sources);
  }

  /** Workers. */
  workerSrc(...sources: readonly string[]): this {
    return this.#add("workerSrc", sources);
  }

  /** Web app manifests. */
  manifestSrc(...sources: readonly string[]): this {
    return this.#add("manifestSrc", sources);
  }

  /** Who may frame this page. `defaultSrc` is no fallback for it. */
  frameAncestors(...sources: readonly string[]): this {
    return this.#add("frameAncestors", sources);
  }

  /** Where forms may be sent to. `defaultSrc` is no fallback for it. */
  formAction(...sources: readonly string[]): this {
    return this.#add("formAction", sources);
  }

  /** What `<base>` may name. `defaultSrc` is no fallback for it. */
  baseUri(...sources: readonly string[]): this {
    return this.#add("baseUri", sources);
  }

  /** Puts the page into a sandbox, as `<iframe sandbox>` does; each token gives something back. */
  sandbox(...tokens: readonly string[]): this {
    return this.#add("sandbox", tokens);
  }

  /** Sends violation reports to one of the `reportingEndpoints`, by its name. */
  reportTo(...name: readonly string[]): this {
    return this.#add("reportTo", name);
  }

  /** Sends violation reports to URLs: the older form, for browsers without `reportTo`. */
  reportUri(...uris: readonly string[]): this {
    return this.#add("reportUri", uris);
  }

  /** Loads `http:` subresources by `https:` (W3C Upgrade Insecure Requests). */
  upgradeInsecureRequests(...nothing: readonly never[]): this {
    return this.#add("upgradeInsecureRequests", nothing);
  }

  /** `'script'`: DOM sinks of scripts take trusted types only. */
  requireTrustedTypesFor(...sinks: readonly string[]): this {
    return this.#add("requireTrustedTypesFor", sinks);
  }

  /** Names of the Trusted Types policies that may be made, `'allow-duplicates'`, `*`, or `'none'`. */
  trustedTypes(...names: readonly string[]): this {
    return this.#add("trustedTypes", names);
  }

  /** `'allow'` or `'block'` WebRTC connections. */
  webrtc(...value: readonly string[]): this {
    return this.#add("webrtc", value);
  }

  /** No directive was added yet. */
  get isEmpty(): boolean {
    return this.#directives.size === 0;
  }

  /** The policy holds `CSP.NONCE`. */
  get usesNonce(): boolean {
    return [...this.#directives.values()].some((sources) => sources.includes(NONCE_SOURCE));
  }

  /** The policy holds a nonce that was written out, and is good for one response only. */
  get hasFixedNonce(): boolean {
    const isFixed = (source: string) => source.startsWith("'nonce-") && source !== NONCE_SOURCE;
    return [...this.#directives.values()].some((sources) => sources.some(isFixed));
  }

  /**
   * A new policy with the directives of both: per directive the union of the sources, in the order
   * of this one and then the other.
   *
   * `'none'` gives way to any source; for `reportTo` and `webrtc`, which have one value, the other's
   * counts. A directive that only the other has stands alone: it does not take in what `defaultSrc`
   * allowed before.
   *
   * ```ts
   * const page = base.extend(new CSP().scriptSrc("https://cdn.example.com"));
   * ```
   *
   * @throws ConfigError when the other is not a `CSP`
   */
  extend(other: CSP): CSP {
    if (!(other instanceof CSP)) {
      refuse("extend", `takes a CSP, got ${describe(other)}`, "give new CSP()...", "CELLO_WRONG_TYPE");
    }
    const extended = this.#copy();
    for (const [method, added] of other.#directives) {
      const present = extended.#directives.get(method);
      const isReplaced = present === undefined || directiveOf(method).isSingle === true;
      const union = isReplaced ? added : [...new Set([...present, ...added])];
      extended.#directives.set(method, union.length > 1 ? union.filter((source) => source !== NONE) : union);
    }
    return extended;
  }

  /** A copy that can no longer be changed: adding to it throws `ConfigError`. */
  snapshot(): CSP {
    if (Object.isFrozen(this)) return this;
    const copy = this.#copy();
    Object.freeze(copy);
    return copy;
  }

  /**
   * The header's value, with a nonce in the place of `CSP.NONCE`.
   *
   * @param nonce base64, at least 128 random bits, new for each response; without it the place is shown as `{nonce}`
   * @throws ConfigError for a nonce that is not base64
   */
  build(nonce?: string): string {
    const policy = this.toString();
    if (nonce === undefined) return policy;
    if (typeof nonce !== "string" || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(nonce)) {
      refuse("build", "the nonce is not base64", "give request.cspNonce, or 128 random bits in base64");
    }
    return policy.replaceAll(NONCE_SLOT, nonce);
  }

  /** The header's value; the nonce of the response is shown as `{nonce}`. */
  toString(): string {
    return [...this.#directives].map(([method, values]) => [directiveOf(method).name, ...values].join(" ")).join("; ");
  }

  /** The weaknesses of the policy, worst first. Empty: none is known. */
  lint(): readonly CspFinding[] {
    return lintPolicy(this.toString(), findFixedNonces);
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return `CSP { ${inspect(this.toString())} }`;
  }

  #copy(): CSP {
    const copy = new CSP();
    for (const [method, sources] of this.#directives) copy.#directives.set(method, sources);
    return copy;
  }

  #add(method: DirectiveMethod, values: readonly unknown[]): this {
    if (Object.isFrozen(this)) {
      refuse(method, "this policy belongs to a configuration", "make a new one: csp.extend(new CSP()...)");
    }
    const directive = directiveOf(method);
    const added = directive.read(method, values);
    const union = [...new Set([...(this.#directives.get(method) ?? []), ...added])];
    if (union.length > 1 && union.includes(NONE)) {
      refuse(
        method,
        "'none' stands beside other sources, and browsers then ignore it",
        "write 'none' alone, or leave it out",
        "CELLO_CONFLICT",
      );
    }
    if (union.length > 1 && directive.isSingle === true) {
      refuse(method, "has one value and got another before", `call ${method} once`, "CELLO_CONFLICT");
    }
    this.#directives.set(method, union);
    return this;
  }
}

strictStatics(CSP, { hash: "source, algorithm", lint: "policy" });
strictMethods(CSP, {
  build: "nonce",
  toString: { takes: "", hint: "build(nonce) fills the nonce in" },
  lint: { takes: "", hint: "CSP.lint(policy) takes a policy as text" },
  extend: "other",
  snapshot: "",
});
