import type { SecurityHeader } from "./security-header.js";

/**
 * `X-DNS-Prefetch-Control: off` (no specification; Chromium and Firefox): links on the page are not
 * looked up in advance, which would tell the resolver what the page links to. `true` asks for it.
 */
export const dnsPrefetchControl: SecurityHeader<{ readonly dnsPrefetchControl: boolean | undefined }> = {
  name: "X-DNS-Prefetch-Control",
  field: "dnsPrefetchControl",
  value: ({ dnsPrefetchControl }) => {
    if (dnsPrefetchControl === undefined) return undefined;
    return dnsPrefetchControl ? "on" : "off";
  },
};
