import type { Csp } from "csp_evaluator/dist/csp.js";
import type { Finding, Severity } from "csp_evaluator/dist/finding.js";
import { loadPackage } from "../../core/load-package.js";
import { describe } from "../../core/options.js";
import {
  type CspFinding,
  type CspSeverity,
  findBreadth,
  findIneffectiveKeywords,
  findInlineStyles,
  findLost,
  LINTED_NONCE,
  type SharedFinding,
} from "./findings.js";
import { NONCE_SLOT, SOURCE_KEYWORDS } from "./sources.js";
import { refuse } from "./words.js";

const WORST_FIRST: readonly CspSeverity[] = ["high", "syntax", "medium", "low", "info"];

const SEVERITIES: Readonly<Record<keyof typeof Severity, CspSeverity>> = {
  HIGH: "high",
  SYNTAX: "syntax",
  MEDIUM: "medium",
  HIGH_MAYBE: "low",
  STRICT_CSP: "low",
  MEDIUM_MAYBE: "low",
  INFO: "info",
  NONE: "info",
};

/**
 * The weaknesses of a policy, worst first: those of scripts, which csp_evaluator knows, and besides them
 * inline styles, sources and gaps that let in every site, and what browsers do not read.
 *
 * @param policy the value of a Content-Security-Policy header
 * @param further finds what is wrong in this kind of policy
 */
export function lintPolicy(policy: string, further?: (csp: Csp) => CspFinding[]): readonly CspFinding[] {
  if (typeof policy !== "string") {
    refuse("lint", `takes the policy as text, got ${describe(policy)}`, "give a header's value", "CELLO_WRONG_TYPE");
  }
  library ??= loadLibrary();
  const { Severity, Type } = library;
  const toFinding = ({ severity, directive, value, description }: Finding): CspFinding => {
    const name = Severity[severity] as keyof typeof Severity; // an enum of numbers maps both ways
    return { severity: SEVERITIES[name], directive, description, ...(value === undefined ? {} : { value }) };
  };
  const isKnownKeyword = ({ type, value = "" }: Finding) =>
    type === Type.INVALID_KEYWORD && SOURCE_KEYWORDS.has(value.toLowerCase());

  const csp = new library.CspParser(policy.replaceAll(NONCE_SLOT, LINTED_NONCE)).csp;
  const unreadable = removeUnreadable(csp, library);
  const ignored: Finding[] = [];
  const effective = csp.getEffectiveCsp(library.Version.CSP3, ignored);
  const strictness = [...ignored, ...library.strictnessChecks.flatMap((check) => check(csp))];
  // Its list of keywords is older than ours.
  const usual = library.DEFAULT_CHECKS.flatMap((check) => check(effective)).filter((one) => !isKnownKeyword(one));
  // What csp_evaluator has found too it judges with more knowledge.
  const known = [...strictness, ...usual];
  const isKnown = ({ type, directive, value }: SharedFinding) =>
    known.some((one) => one.type === Type[type] && one.directive === directive && one.value?.toLowerCase() === value);
  const findings = [
    ...findLost(policy),
    ...unreadable,
    ...strictness.map(toFinding),
    ...findInlineStyles(csp),
    ...findIneffectiveKeywords(csp),
    ...(further?.(csp) ?? []),
    ...usual.map(toFinding),
    ...findBreadth(csp).filter((one) => !isKnown(one)),
  ];
  const rank = ({ severity }: CspFinding) => WORST_FIRST.indexOf(severity);
  return Object.freeze(findings.map(withSlot).sort((a, b) => rank(a) - rank(b)));
}

let library: ReturnType<typeof loadLibrary> | undefined;

/** Eleven files of 59 kB, which an application that serves requests and does not lint need not load. */
function loadLibrary() {
  const load = <Module>(path: string): Module =>
    loadPackage(`csp_evaluator/dist/${path}`, "lint needs it to judge scripts", "install it, or do not call lint()");
  const { CspParser } = load<typeof import("csp_evaluator/dist/parser.js")>("parser.js");
  const { Version } = load<typeof import("csp_evaluator/dist/csp.js")>("csp.js");
  const { DEFAULT_CHECKS } = load<typeof import("csp_evaluator/dist/evaluator.js")>("evaluator.js");
  const { Severity, Type } = load<typeof import("csp_evaluator/dist/finding.js")>("finding.js");
  const urls = load<typeof import("csp_evaluator/dist/utils.js")>("utils.js");
  const strict = load<typeof import("csp_evaluator/dist/checks/strictcsp_checks.js")>("checks/strictcsp_checks.js");
  // It has two more, which ask for 'unsafe-inline' and https: as fallbacks for browsers that know no nonces.
  // Those of today all do, and the advice reads as a weakening.
  const strictnessChecks = [
    strict.checkStrictDynamic,
    strict.checkStrictDynamicNotStandalone,
    strict.checkRequiresTrustedTypesForScripts,
  ];
  return { CspParser, Version, DEFAULT_CHECKS, Severity, Type, urls, strictnessChecks };
}

function withSlot({ severity, directive, value, description }: CspFinding): CspFinding {
  const withNonceSlot = (text: string) => text.replaceAll(LINTED_NONCE, NONCE_SLOT);
  const shown = value === undefined ? {} : { value: withNonceSlot(value) };
  return Object.freeze({ severity, directive, ...shown, description: withNonceSlot(description) });
}

/** Takes out the values on which csp_evaluator throws; in a list of sources they are findings. */
function removeUnreadable(csp: Csp, { urls }: ReturnType<typeof loadLibrary>): CspFinding[] {
  const isReadable = (value: string) => {
    try {
      urls.getHostname(value);
      urls.matchWildcardUrls(`//${urls.getSchemeFreeUrl(value)}`, []);
      return true;
    } catch {
      return false;
    }
  };
  return Object.entries(csp.directives).flatMap(([directive, values = []]): CspFinding[] => {
    const unreadable = values.filter((value) => !isReadable(value));
    csp.directives[directive] = values.filter((value) => !unreadable.includes(value));
    if (!directive.endsWith("-src") && directive !== "frame-ancestors" && directive !== "base-uri") return [];
    return unreadable.map((value) => {
      return { severity: "syntax", directive, value, description: `${value} is not a source.` };
    });
  });
}
