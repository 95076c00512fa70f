import type { SecurityHeader } from "./security-header.js";

/**
 * `X-Download-Options: noopen` (no specification; Internet Explorer): a download is saved, not
 * opened in the context of the site.
 */
export const downloadOptions: SecurityHeader<{ readonly downloadOptions: boolean | undefined }> = {
  name: "X-Download-Options",
  field: "downloadOptions",
  value: (config) => (config.downloadOptions === true ? "noopen" : undefined),
};
