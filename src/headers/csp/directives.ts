import { isHttpToken } from "../../core/options.js";
import { ANCESTOR_KEYWORDS, NONE, readSource, SOURCE_KEYWORDS, type SourceRules } from "./sources.js";
import { readWord, refuse, shown } from "./words.js";

/** A directive of CSP Level 3: its name in the header and how its values are read. */
interface Directive {
  readonly name: string;
  /** Checks the values of one call and gives them as they are written. */
  readonly read: (method: string, values: readonly unknown[]) => readonly string[];
  /** It has one value: another call with another value is a mistake. */
  readonly isSingle?: true;
}

/** The tokens of the `sandbox` attribute (HTML, "The `iframe` element"). */
const SANDBOX_TOKENS: readonly string[] = [
  "allow-downloads",
  "allow-forms",
  "allow-modals",
  "allow-orientation-lock",
  "allow-pointer-lock",
  "allow-popups",
  "allow-popups-to-escape-sandbox",
  "allow-presentation",
  "allow-same-origin",
  "allow-scripts",
  "allow-storage-access-by-user-activation",
  "allow-top-navigation",
  "allow-top-navigation-by-user-activation",
  "allow-top-navigation-to-custom-protocols",
];

/** URI reference: absolute with http(s), or a path of this origin; RFC 3986 without `;`, `,` and `'`. */
const REPORT_URI = /^(?:https?:\/\/[a-z0-9\-._[\]:]+|(?=\/(?!\/)))(?:[a-z0-9\-._~!$&()*+=:@/?]|%[0-9a-f]{2})*$/i;

/** tt-policy-name of the Trusted Types specification. */
const POLICY_NAME = /^[A-Za-z0-9\-#=_/@.%]+$/;

/** A directive of which each word is read by itself. */
function list(name: string, read: (method: string, word: unknown) => string, emptyCall?: EmptyCall): Directive {
  return {
    name,
    read: (method, words) => {
      if (words.length === 0 && emptyCall !== undefined) refuse(method, ...emptyCall(method));
      return words.map((word) => read(method, word));
    },
  };
}

/** What is wrong with a call without words, and the mend. */
type EmptyCall = (method: string) => [problem: string, mend: string];

function sourceList(name: string, rules: SourceRules): Directive {
  return list(
    name,
    (method, source) => readSource(rules, method, source),
    (method) => ["was called without a source", `write ${method}("'none'") to allow nothing`],
  );
}

/** Governs elements with code: nonces and hashes count. */
const ELEMENTS: SourceRules = { nonces: true, hashes: true, keywords: SOURCE_KEYWORDS };
/** Governs event handlers and style attributes, which cannot carry a nonce. */
const ATTRIBUTES: SourceRules = { nonces: false, hashes: true, keywords: SOURCE_KEYWORDS };
/** Governs where something is loaded from or sent to. */
const LOCATIONS: SourceRules = { nonces: false, hashes: false, keywords: SOURCE_KEYWORDS };
const ANCESTORS: SourceRules = { nonces: false, hashes: false, keywords: ANCESTOR_KEYWORDS };

/** Every directive, by the builder's method. */
export const DIRECTIVES = {
  defaultSrc: sourceList("default-src", ELEMENTS),
  scriptSrc: sourceList("script-src", ELEMENTS),
  scriptSrcElem: sourceList("script-src-elem", ELEMENTS),
  scriptSrcAttr: sourceList("script-src-attr", ATTRIBUTES),
  styleSrc: sourceList("style-src", ELEMENTS),
  styleSrcElem: sourceList("style-src-elem", ELEMENTS),
  styleSrcAttr: sourceList("style-src-attr", ATTRIBUTES),
  imgSrc: sourceList("img-src", LOCATIONS),
  connectSrc: sourceList("connect-src", LOCATIONS),
  fontSrc: sourceList("font-src", LOCATIONS),
  mediaSrc: sourceList("media-src", LOCATIONS),
  objectSrc: sourceList("object-src", LOCATIONS),
  frameSrc: sourceList("frame-src", LOCATIONS),
  childSrc: sourceList("child-src", LOCATIONS),
  workerSrc: sourceList("worker-src", LOCATIONS),
  manifestSrc: sourceList("manifest-src", LOCATIONS),
  frameAncestors: sourceList("frame-ancestors", ANCESTORS),
  formAction: sourceList("form-action", LOCATIONS),
  baseUri: sourceList("base-uri", LOCATIONS),
  sandbox: list("sandbox", readSandboxToken),
  reportTo: { name: "report-to", read: readReportTo, isSingle: true },
  reportUri: list("report-uri", readReportUri, () => [
    "was called without a URL",
    'give one, for example "/csp-reports"',
  ]),
  upgradeInsecureRequests: { name: "upgrade-insecure-requests", read: readNothing },
  requireTrustedTypesFor: list("require-trusted-types-for", readSink, (method) => [
    "was called without a value",
    `write ${method}("'script'")`,
  ]),
  trustedTypes: list("trusted-types", readPolicyName, (method) => [
    "was called without a policy name",
    `write ${method}("'none'") to allow no policy`,
  ]),
  webrtc: { name: "webrtc", read: readWebrtc, isSingle: true },
} satisfies Record<string, Directive>;

export type DirectiveMethod = keyof typeof DIRECTIVES;

export function directiveOf(method: DirectiveMethod): Directive {
  return DIRECTIVES[method];
}

/** One of HTML's tokens; none at all is the full sandbox. */
function readSandboxToken(method: string, token: unknown): string {
  const word = readWord(method, token);
  if (SANDBOX_TOKENS.includes(word)) return word;
  return refuse(method, `${shown(word)} is not a sandbox token`, `its tokens are ${SANDBOX_TOKENS.join(", ")}`);
}

function readReportTo(method: string, names: readonly unknown[]): readonly string[] {
  if (names.length !== 1) {
    refuse(method, `takes one name, got ${names.length}`, "name one of the reportingEndpoints");
  }
  const name = readWord(method, names[0]);
  if (isHttpToken(name)) return [name];
  return refuse(method, `${shown(name)} is not a token`, 'name one of the reportingEndpoints, for example "csp"');
}

function readReportUri(method: string, uri: unknown): string {
  const word = readWord(method, uri);
  if (REPORT_URI.test(word)) return word;
  return refuse(method, `${shown(word)} is not a URL`, 'write "https://..." or a path such as "/csp-reports"');
}

function readSink(method: string, sink: unknown): string {
  const word = readWord(method, sink);
  if (word === "'script'") return word;
  return refuse(method, `${shown(word)} is not defined`, `write ${method}("'script'")`);
}

function readPolicyName(method: string, name: unknown): string {
  const word = readWord(method, name);
  if (word === "*" || word === "'allow-duplicates'" || word === NONE) return word;
  if (word === "allow-duplicates" || word === "none") {
    refuse(method, `${shown(word)} without quotes is read as a policy name`, `write "'${word}'"`);
  }
  if (POLICY_NAME.test(word)) return word;
  return refuse(method, `${shown(word)} is not a policy name`, "use letters, digits and - # = _ / @ . %");
}

function readWebrtc(method: string, values: readonly unknown[]): readonly string[] {
  const [value] = values;
  if (values.length === 1 && (value === "'allow'" || value === "'block'")) return [value];
  return refuse(method, "takes one of two values", `write ${method}("'allow'") or ${method}("'block'")`);
}

function readNothing(method: string, values: readonly unknown[]): readonly string[] {
  if (values.length > 0) refuse(method, "takes no sources", `write ${method}()`);
  return [];
}
