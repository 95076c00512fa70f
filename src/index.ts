export { ConfigError, type ConfigErrorCode } from "./errors.js";
export type { Exchange } from "./exchange.ts";
