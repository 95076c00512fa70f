/**
 * Contracts that stores of one's own can be tried against: the same that those of Cello keep.
 */
export type { ContractCase, ContractOptions } from "./contract.js";
export { rateLimitStoreContract } from "./rate-limit-store-contract.js";
export { replayStoreContract } from "./replay-store-contract.js";
export { revocationListContract } from "./revocation-list-contract.js";
export { sessionStoreContract } from "./session-store-contract.js";
