export type { AlgorithmName } from "./algorithms.js";
export { signCompact, type VerifyCompactOptions, type VerifyCompactResult, verifyCompact } from "./compact.js";
export { JwsError, type JwsErrorCode } from "./errors.js";
export type { JwsHeader } from "./header.js";
export type { KeyInput } from "./key-import.js";
