import type { SecurityHeader } from "./security-header.js";

export const CROSS_ORIGIN_EMBEDDER_POLICIES = ["unsafe-none", "require-corp", "credentialless"] as const;
export type CrossOriginEmbedderPolicy = (typeof CROSS_ORIGIN_EMBEDDER_POLICIES)[number];

/**
 * `Cross-Origin-Embedder-Policy` (HTML, "Cross-origin embedder policies"): the page loads from other origins only what
 * agrees to it. With an opener policy of `same-origin` the page is cross-origin isolated.
 */
export const crossOriginEmbedderPolicy: SecurityHeader<{
  readonly crossOriginEmbedderPolicy: CrossOriginEmbedderPolicy | undefined;
}> = {
  name: "Cross-Origin-Embedder-Policy",
  field: "crossOriginEmbedderPolicy",
  value: (config) => config.crossOriginEmbedderPolicy,
};
