import type { SecurityHeader } from "./security-header.js";

export const CROSS_ORIGIN_OPENER_POLICIES = [
  "unsafe-none",
  "same-origin-allow-popups",
  "same-origin",
  "noopener-allow-popups",
] as const;
export type CrossOriginOpenerPolicy = (typeof CROSS_ORIGIN_OPENER_POLICIES)[number];

/**
 * `Cross-Origin-Opener-Policy` (HTML, "Cross-origin opener policies"): pages of other origins that open this one, or
 * that it opens, get no handle on its window (XS-Leaks, Spectre).
 */
export const crossOriginOpenerPolicy: SecurityHeader<{
  readonly crossOriginOpenerPolicy: CrossOriginOpenerPolicy | undefined;
}> = {
  name: "Cross-Origin-Opener-Policy",
  field: "crossOriginOpenerPolicy",
  value: (config) => config.crossOriginOpenerPolicy,
};
