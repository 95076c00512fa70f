import type { SecurityHeadersOptions } from "./config.js";
import { CSP } from "./csp/builder.js";

/** Powerful features that a page rarely needs, all denied; passkeys (`publickey-credentials-*`) are left alone. */
const NO_FEATURES: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  [
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "usb",
    "web-share",
    "xr-spatial-tracking",
  ].map((feature) => [feature, []]),
);

/** See `SecurityHeadersConfig.api`. */
export const API: SecurityHeadersOptions = {
  // A JSON answer that is opened as a page loads nothing, runs nothing and is not framed.
  csp: new CSP().defaultSrc("'none'").frameAncestors("'none'").baseUri("'none'").formAction("'none'"),
  xXssProtection: "0",
  referrerPolicy: "no-referrer",
  crossOriginOpenerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  permittedCrossDomainPolicies: "none",
};

/** See `SecurityHeadersConfig.web`. */
export const WEB: SecurityHeadersOptions = {
  csp: new CSP()
    .defaultSrc("'self'")
    .scriptSrc("'self'", CSP.NONCE)
    .styleSrc("'self'", CSP.NONCE)
    .imgSrc("'self'", "data:")
    .objectSrc("'none'")
    .baseUri("'self'")
    .formAction("'self'")
    .frameAncestors("'self'"),
  xFrameOptions: "SAMEORIGIN",
  xXssProtection: "0",
  // Sign-in and payment windows of other origins keep working.
  crossOriginOpenerPolicy: "same-origin-allow-popups",
  crossOriginResourcePolicy: "same-site",
  originAgentCluster: true,
  permittedCrossDomainPolicies: "none",
};

/** See `SecurityHeadersConfig.strict`. */
export const STRICT: SecurityHeadersOptions = {
  csp: new CSP()
    .defaultSrc("'none'")
    .scriptSrc(CSP.NONCE, "'strict-dynamic'")
    .styleSrc("'self'", CSP.NONCE)
    .imgSrc("'self'")
    .fontSrc("'self'")
    .connectSrc("'self'")
    .manifestSrc("'self'")
    .objectSrc("'none'")
    .baseUri("'none'")
    .formAction("'self'")
    .frameAncestors("'none'")
    .requireTrustedTypesFor("'script'"),
  xXssProtection: "0",
  referrerPolicy: "no-referrer",
  permissionsPolicy: NO_FEATURES,
  crossOriginOpenerPolicy: "same-origin",
  crossOriginEmbedderPolicy: "require-corp",
  crossOriginResourcePolicy: "same-origin",
  originAgentCluster: true,
  dnsPrefetchControl: false,
  downloadOptions: true,
  permittedCrossDomainPolicies: "none",
};
