import type { SecurityHeader } from "./security-header.js";

/**
 * `X-XSS-Protection` (no specification; a filter that Internet Explorer, older Chrome and older
 * Safari had). `mode=block` blanks the page, where the filter's repair mode could be used to switch
 * off chosen scripts. `"0"` switches the filter off, which is enough where a CSP is sent.
 */
export const xXssProtection: SecurityHeader<{ readonly xXssProtection: boolean | "0" }> = {
  name: "X-XSS-Protection",
  field: "xXssProtection",
  value: ({ xXssProtection }) => {
    if (xXssProtection === "0") return "0";
    return xXssProtection ? "1; mode=block" : undefined;
  },
};
