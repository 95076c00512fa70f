import type { Csp } from "csp_evaluator/dist/csp.js";
import type { Type } from "csp_evaluator/dist/finding.js";

/**
 * How bad a finding is.
 *
 * - `high`: the policy does not stop script injection.
 * - `syntax`: browsers ignore this part.
 * - `medium`: a weakness that needs a further condition.
 * - `low`: a weakness in some applications, or a stricter form that exists.
 * - `info`: worth knowing.
 */
export type CspSeverity = "high" | "syntax" | "medium" | "low" | "info";

/** A weakness of a policy. */
export interface CspFinding {
  readonly severity: CspSeverity;
  /** The directive as it stands in the header, for example `script-src`. */
  readonly directive: string;
  /** The source that is the reason; absent when the directive as a whole is, or is missing. */
  readonly value?: string;
  readonly description: string;
}

/** A finding of which csp_evaluator has a kind: it may have found the same. */
export interface SharedFinding extends CspFinding {
  readonly type: keyof typeof Type;
}

/** Directives to which `default-src` is no fallback (CSP3 section 6.1.3), and what happens without them. */
const WITHOUT_FALLBACK: Readonly<Record<string, string>> = {
  "frame-ancestors": "any site may frame the page and trick its users into clicks (unless X-Frame-Options forbids it)",
  "form-action": "an injected form may send what users type, passwords among it, to any site",
  "base-uri": "an injected <base> may turn the page's relative URLs to any site",
};

/** Directives in which a foreign source can cover the page, frame it, or run code. */
const FAR_REACHING =
  /^(?:default-src|style-src(?:-elem|-attr)?|frame-src|child-src|worker-src|frame-ancestors|form-action|base-uri|script-src(?:-elem|-attr)?|object-src)$/;

const TAKES_SOURCES = /^(?:[a-z]+-src(?:-elem|-attr)?|frame-ancestors|form-action|base-uri)$/;

/** Content that comes in the URL itself, and shows only what the page could show anyhow. */
const HARMLESS_INLINE = /^(?:img|font|media)-src (?:data|blob):$/;

const SCHEME = /^[a-z][a-z0-9+.-]*:$/;
const ANY_HOST = /^(?:[a-z][a-z0-9+.-]*:\/\/)?\*(?::\*)?$/;

const CODE_DIRECTIVE = /^(?:default-src|(?:script|style)-src(?:-elem|-attr)?)$/;
const CODE_KEYWORD = /^'(?:unsafe-(?:inline|eval|hashes)|strict-dynamic|wasm-unsafe-eval)'$/;

/** csp_evaluator reads nonces as base64, so a value that no policy has fills the slot for it. */
export const LINTED_NONCE = "CELLO+NONCE+SLOT+AAAAA==";

/** A nonce of the builder that is not `CSP.NONCE` is the same in every response: anyone can read it there. */
export function findFixedNonces(csp: Csp): CspFinding[] {
  const description = "This nonce is the same in every response, so that injected code can carry it. Use CSP.NONCE.";
  return everyValue(csp)
    .filter(([, value]) => value.startsWith("'nonce-") && !value.includes(LINTED_NONCE))
    .map(([directive, value]) => ({ severity: "high", directive, value, description }));
}

/** Injected styles read the page's secrets (attribute selectors) and draw over it. */
export function findInlineStyles(csp: Csp): CspFinding[] {
  const directive = csp.getEffectiveDirective("style-src");
  const values = csp.directives[directive] ?? [];
  const isReplaced = values.some((value) => /^'(?:nonce|sha(?:256|384|512))-/.test(value));
  if (!values.includes("'unsafe-inline'") || isReplaced) return [];
  const description = "'unsafe-inline' allows injected styles, which can read values of the page and cover it.";
  return [{ severity: "low", directive, value: "'unsafe-inline'", description }];
}

export function findIneffectiveKeywords(csp: Csp): CspFinding[] {
  return everyValue(csp)
    .filter(([directive, value]) => CODE_KEYWORD.test(value) && !CODE_DIRECTIVE.test(directive))
    .map(([directive, value]) => {
      return { severity: "info", directive, value, description: `${value} has no effect in ${directive}.` };
    });
}

/** What csp_evaluator leaves out, because it looks at scripts alone. */
export function findBreadth(csp: Csp): SharedFinding[] {
  return [findMissing, findBroadSources, findContradictions, findStyleHashes, findOpenSandbox].flatMap((find) =>
    find(csp),
  );
}

function findMissing(csp: Csp): SharedFinding[] {
  return Object.entries(WITHOUT_FALLBACK)
    .filter(([directive]) => !Object.hasOwn(csp.directives, directive))
    .map(([directive, consequence]) => {
      const description = `${directive} is missing: ${consequence}.`;
      return { type: "MISSING_DIRECTIVES", severity: "medium", directive, description };
    });
}

/** `*` and whole schemes allow every site, in whatever directive they stand. */
function findBroadSources(csp: Csp): SharedFinding[] {
  return sourcesOf(csp)
    .filter(([, value]) => SCHEME.test(value) || ANY_HOST.test(value))
    .map(([directive, value]) => {
      const severity = breadthOf(directive, value);
      const description =
        value === "data:" || value === "blob:"
          ? `${value} allows content that an injection brings along.`
          : `${value} allows every site in ${directive}, also one of an attacker. Name the hosts.`;
      return {
        type: SCHEME.test(value) ? "PLAIN_URL_SCHEMES" : "PLAIN_WILDCARD",
        severity,
        directive,
        value,
        description,
      };
    });
}

function breadthOf(directive: string, value: string): CspSeverity {
  if (HARMLESS_INLINE.test(`${directive} ${value}`)) return "info";
  return FAR_REACHING.test(directive) ? "medium" : "low";
}

/** Sources that say the opposite of each other: one of them is ignored, and not the one that was meant. */
function findContradictions(csp: Csp): SharedFinding[] {
  return Object.entries(csp.directives).flatMap(([directive, values = []]): SharedFinding[] => {
    if (!TAKES_SOURCES.test(directive) || values.length < 2) return [];
    const ignored = { type: "IGNORED", directive } as const;
    const lower = values.map((value) => value.toLowerCase());
    if (lower.includes("'none'")) {
      const description = "'none' is ignored beside other sources.";
      return [{ ...ignored, severity: "syntax", value: "'none'", description }];
    }
    if (!lower.includes("*")) return [];
    return values
      .filter((value) => value.toLowerCase() === "'self'" || /^(?:https?|wss?):/i.test(value))
      .map((value) => ({ ...ignored, severity: "info", value, description: `${value} restricts nothing beside *.` }));
  });
}

function findStyleHashes(csp: Csp): SharedFinding[] {
  const description = "'unsafe-hashes' lets an injection use the styles of other elements' attributes.";
  return sourcesOf(csp)
    .filter(([directive, value]) => directive.startsWith("style-src") && value === "'unsafe-hashes'")
    .map(([directive, value]) => ({ type: "SCRIPT_UNSAFE_HASHES", severity: "low", directive, value, description }));
}

/** A frame that may run scripts of its own origin can take its sandbox away (HTML, the iframe element). */
function findOpenSandbox(csp: Csp): SharedFinding[] {
  const tokens = csp.directives.sandbox ?? [];
  if (!tokens.includes("allow-scripts") || !tokens.includes("allow-same-origin")) return [];
  const description = "allow-scripts together with allow-same-origin lets the page leave its sandbox.";
  return [{ type: "IGNORED", severity: "medium", directive: "sandbox", value: "allow-same-origin", description }];
}

/**
 * What is lost when a policy is read: of a directive that stands twice browsers take the first (CSP3
 * section 2.2.1), and a comma begins another policy.
 */
export function findLost(policy: string): CspFinding[] {
  const findings: CspFinding[] = [];
  if (policy.includes(",")) {
    const description = "A comma begins another policy. Write ; between directives.";
    findings.push({ severity: "syntax", directive: "", description });
  }
  const seen = new Set<string>();
  for (const part of policy.split(";")) {
    const directive = part.trim().split(/\s+/, 1)[0]?.toLowerCase() ?? "";
    if (directive === "") continue;
    if (seen.has(directive)) {
      const description = `${directive} stands here again, and browsers read only the first. Put all sources into one.`;
      findings.push({ severity: "syntax", directive, description });
    }
    seen.add(directive);
  }
  return findings;
}

function everyValue(csp: Csp): (readonly [directive: string, value: string])[] {
  return Object.entries(csp.directives).flatMap(([directive, values = []]) =>
    values.map((value) => [directive, value] as const),
  );
}

function sourcesOf(csp: Csp): (readonly [directive: string, source: string])[] {
  return everyValue(csp)
    .filter(([directive]) => TAKES_SOURCES.test(directive))
    .map(([directive, value]) => [directive, value.toLowerCase()]);
}
