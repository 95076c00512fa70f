import { readWord, refuse, shown } from "./words.js";

/** The part of a policy's text that each response replaces with its nonce. */
export const NONCE_SLOT = "{nonce}";

/** The source that stands for the nonce of the response. Braces are not base64, so nothing else is like it. */
export const NONCE_SOURCE = "'nonce-{nonce}'";

/** The source that allows nothing. It stands alone: beside another source browsers ignore it. */
export const NONE = "'none'";

/** Which kinds of sources mean something in a directive. */
export interface SourceRules {
  /** Nonces are compared for elements (`<script>`, `<style>`), not for attributes or fetches. */
  readonly nonces: boolean;
  /** Hashes are compared for inline code, in elements and attributes. */
  readonly hashes: boolean;
  /** The quoted keywords that the directive's grammar has. */
  readonly keywords: ReadonlySet<string>;
}

/** The keyword-source production of CSP3 section 2.3.1, with those that later drafts added. */
export const SOURCE_KEYWORDS: ReadonlySet<string> = new Set([
  "'self'",
  NONE,
  "'unsafe-inline'",
  "'unsafe-eval'",
  "'strict-dynamic'",
  "'unsafe-hashes'",
  "'report-sample'",
  "'wasm-unsafe-eval'",
  "'trusted-types-eval'",
  "'inline-speculation-rules'",
  "'report-sha256'",
  "'report-sha384'",
  "'report-sha512'",
]);

/** `frame-ancestors` has a grammar of its own: CSP3 section 6.4.2. */
export const ANCESTOR_KEYWORDS: ReadonlySet<string> = new Set(["'self'", NONE]);

/** Nonces and hashes are base64 or base64url (CSP3 section 2.3.1). */
const NONCE = /^'nonce-[A-Za-z0-9+/_-]+={0,2}'$/i;

/** Browsers compare hashes as text, so that one without its padding, or of the wrong length, never matches. */
const HASHES: Readonly<Record<string, RegExp>> = {
  sha256: /^[A-Za-z0-9+/_-]{43}=$/,
  sha384: /^[A-Za-z0-9+/_-]{64}$/,
  sha512: /^[A-Za-z0-9+/_-]{86}==$/,
};

const SCHEME_SOURCE = /^[a-z][a-z0-9+.-]*:$/i;

/** host-source of CSP3 section 2.3.1: scheme, host with an optional leading wildcard, port, path. */
const HOST_SOURCE =
  /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:\*|(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?)(?::(?:\d{1,5}|\*))?(?:\/(?:[a-z0-9\-._~!$&()*+=:@/]|%[0-9a-f]{2})*)?$/i;

/** Words that browsers read as a host name, and that are never meant as one. */
const SCHEMES_WITHOUT_COLON = /^(?:https?|wss?|data|blob|filesystem|mediastream)$/i;
const UNQUOTED_NONCE_OR_HASH = /^(?:nonce|sha256|sha384|sha512)-[A-Za-z0-9+/_=-]*$/i;
const DIRECTIVE_NAME =
  /^(?:[a-z]+-src(?:-elem|-attr)?|base-uri|form-action|frame-ancestors|sandbox|report-to|report-uri|upgrade-insecure-requests|require-trusted-types-for|trusted-types)$/i;

/**
 * Checks a source, and gives it as it is written in the header.
 *
 * @throws ConfigError for one that browsers would ignore, or that would end the directive
 */
export function readSource(rules: SourceRules, method: string, value: unknown): string {
  const source = readWord(method, value);
  if (source === NONCE_SOURCE) {
    checkNonceAllowed(rules, method, "CSP.NONCE");
    return source;
  }
  return source.includes("'") ? readQuoted(rules, method, source) : readUnquoted(method, source);
}

function readQuoted(rules: SourceRules, method: string, source: string): string {
  const keyword = source.toLowerCase();
  if (rules.keywords.has(keyword)) return keyword;
  if (SOURCE_KEYWORDS.has(keyword)) {
    refuse(method, `${source} means nothing here`, `its keywords are ${[...rules.keywords].join(" and ")}`);
  }
  if (keyword.startsWith("'nonce-")) {
    if (!NONCE.test(source)) {
      refuse(method, `${shown(source)} is not a nonce in base64`, "use CSP.NONCE, which is new in each response");
    }
    checkNonceAllowed(rules, method, source);
    return `'nonce-${source.slice("'nonce-".length)}`;
  }
  const algorithm = /^'(sha(?:256|384|512))-/.exec(keyword)?.[1];
  if (algorithm !== undefined) return readHash(rules, method, source, algorithm);
  return refuse(
    method,
    `${shown(source)} is not a keyword of CSP`,
    `its keywords are ${[...rules.keywords].join(", ")}`,
  );
}

function readHash(rules: SourceRules, method: string, source: string, algorithm: string): string {
  const digest = source.slice(`'${algorithm}-`.length, -1);
  if (!source.endsWith("'") || HASHES[algorithm]?.test(digest) !== true) {
    refuse(
      method,
      `${shown(source)} is not a ${algorithm} hash in base64`,
      `make it with CSP.hash(source, "${algorithm}")`,
    );
  }
  if (!rules.hashes) {
    refuse(method, "a hash means nothing here", "use it in scriptSrc, styleSrc or defaultSrc");
  }
  return `'${algorithm}-${digest}'`;
}

function checkNonceAllowed(rules: SourceRules, method: string, source: string): void {
  if (rules.nonces) return;
  const mend = "use it in scriptSrc, scriptSrcElem, styleSrc, styleSrcElem or defaultSrc";
  refuse(method, `${source}: a nonce means nothing here`, mend);
}

function readUnquoted(method: string, source: string): string {
  const bare = source.replace(/^"(.*)"$/, "$1");
  const quoted = `'${bare.toLowerCase()}'`;
  if (SOURCE_KEYWORDS.has(quoted)) {
    refuse(method, `${shown(source)} without quotes is read as a host name`, `write "${quoted}"`);
  }
  if (UNQUOTED_NONCE_OR_HASH.test(bare)) {
    refuse(method, `${shown(source)} without quotes is read as a host name`, `write "'${bare}'"`);
  }
  if (SCHEMES_WITHOUT_COLON.test(source)) {
    refuse(method, `${shown(source)} is read as a host name`, `write the scheme as "${source}:"`);
  }
  if (DIRECTIVE_NAME.test(source)) {
    refuse(method, `${shown(source)} is the name of a directive`, "call the method of that directive");
  }
  if (SCHEME_SOURCE.test(source)) return source;
  if (!HOST_SOURCE.test(source)) refuse(method, `${shown(source)} is not a source`, hostMend(source));
  const port = Number(/:(\d+)(?:\/|$)/.exec(source)?.[1] ?? 0);
  if (port > 65_535) refuse(method, `${shown(source)} has no such port`, "give a port from 0 to 65535, or *");
  return source;
}

function hostMend(source: string): string {
  if (source.startsWith("//")) return `write "${source.slice(2)}", without the slashes`;
  if (/[?#]/.test(source)) return "leave out the query and the fragment, which browsers never compare";
  if (source.includes("[")) return "name a host: CSP has no IPv6 addresses";
  if (source.lastIndexOf("*") > 0) return 'write "*" for all hosts or at the front, as in "https://*.example.com"';
  return "write a host (https://cdn.example.com), a scheme (https:), or a keyword in quotes ('self')";
}
