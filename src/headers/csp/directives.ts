import { ANCESTOR_KEYWORDS, readSources, SOURCE_KEYWORDS, type SourceRules } from "./sources.js";
import {
  readNothing,
  readReportTo,
  readReportUri,
  readSandbox,
  readTrustedTypes,
  readTrustedTypesSinks,
  readWebrtc,
} from "./words.js";

/** A directive of CSP Level 3: its name in the header and how its values are read. */
export interface Directive {
  readonly name: string;
  /** Checks the values of one call and gives them as they are written. */
  readonly read: (method: string, values: readonly unknown[]) => readonly string[];
  /** It has one value: another call with another value is a mistake. */
  readonly isSingle?: true;
}

function sourceList(name: string, rules: SourceRules): Directive {
  return { name, read: (method, sources) => readSources(rules, method, sources) };
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
  sandbox: { name: "sandbox", read: readSandbox },
  reportTo: { name: "report-to", read: readReportTo, isSingle: true },
  reportUri: { name: "report-uri", read: readReportUri },
  upgradeInsecureRequests: { name: "upgrade-insecure-requests", read: readNothing },
  requireTrustedTypesFor: { name: "require-trusted-types-for", read: readTrustedTypesSinks },
  trustedTypes: { name: "trusted-types", read: readTrustedTypes },
  webrtc: { name: "webrtc", read: readWebrtc, isSingle: true },
} as const satisfies Record<string, Directive>;

/** A method of the builder that adds to a directive. */
export type DirectiveMethod = keyof typeof DIRECTIVES;

/** The directive of a method. */
export function directiveOf(method: DirectiveMethod): Directive {
  return DIRECTIVES[method];
}
