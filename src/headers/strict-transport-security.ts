import type { SecurityHeader } from "./security-header.js";

interface Fields {
  readonly hsts: boolean;
  readonly hstsMaxAge: number;
  readonly hstsIncludeSubdomains: boolean;
  readonly hstsPreload: boolean;
}

/**
 * `Strict-Transport-Security` (RFC 6797): the browser speaks to this host by HTTPS only, for so many
 * seconds, and lets nobody click a certificate error away. Browsers ignore it over plain HTTP.
 *
 * `preload` is no part of the RFC: it asks for a place in the list that browsers are shipped with.
 */
export const strictTransportSecurity: SecurityHeader<Fields> = {
  name: "Strict-Transport-Security",
  field: "hsts",
  value: ({ hsts, hstsMaxAge, hstsIncludeSubdomains, hstsPreload }) => {
    if (!hsts) return undefined;
    const subdomains = hstsIncludeSubdomains ? "; includeSubDomains" : "";
    return `max-age=${hstsMaxAge}${subdomains}${hstsPreload ? "; preload" : ""}`;
  },
};
