import { registrableDomain } from "./public-suffix.js";

const LABELS = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** `https://*.example.com`: all origins of a scheme, a port and the names below a name. */
export class OriginPattern {
  readonly #start: string;
  readonly #end: string;
  readonly #portLength: number;
  readonly #domain: string | null;

  /**
   * @param scheme with its colon, `https:`
   * @param host the name below which all names are meant
   * @param port with its colon; empty for the scheme's own
   */
  constructor(scheme: string, host: string, port: string) {
    this.#start = `${scheme}//`;
    this.#end = `.${host}${port}`;
    this.#portLength = port.length;
    this.#domain = registrableDomain(host);
  }

  /**
   * Whether an origin is one of the pattern's: one or more whole labels in front of its name, and in the
   * same hands. Below a domain there may be names that its owner gives away (`s3.amazonaws.com`): what
   * stands below those is not his.
   *
   * @param origin as `canonicalOrigin` writes it
   */
  matches(origin: string): boolean {
    if (!origin.startsWith(this.#start) || !origin.endsWith(this.#end)) return false;
    if (!LABELS.test(origin.slice(this.#start.length, origin.length - this.#end.length))) return false;
    const host = origin.slice(this.#start.length, origin.length - this.#portLength);
    return this.#domain === null ? host.endsWith(".localhost") : registrableDomain(host) === this.#domain;
  }
}
