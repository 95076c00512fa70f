export type { AlgorithmName } from "./algorithms.js";
export { JwsError, type JwsErrorCode } from "./errors.js";
export type { JwsHeader } from "./header.js";
export type { KeyInput } from "./key-import.js";
export { signCompact } from "./sign-compact.js";
export { type VerifyCompactOptions, type VerifyCompactResult, verifyCompact } from "./verify-compact.js";
