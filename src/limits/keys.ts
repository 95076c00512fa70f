import { ClientKeys } from "../client/key.js";
import { ApplicationFunction } from "../core/application-function.js";
import type { EventHub } from "../core/events.js";
import type { RateLimitConfig, RateLimitRequest } from "./config.js";

/**
 * What a limit counts requests by, and how many units each takes.
 *
 * Where addresses take the place of identities or of the application's own keys, each kind is marked, so
 * that nobody can be named like an address and use up its quota.
 */
export class RequestKeys {
  readonly #config: RateLimitConfig;
  readonly #clientKeys: ClientKeys;
  readonly #ownKey: ApplicationFunction<RateLimitRequest, string | undefined> | undefined;
  /** How many units a request takes. */
  readonly costOf: (request: RateLimitRequest) => number;

  /** @param ipv6Prefix IPv6 clients are counted by it, in bits */
  constructor(config: RateLimitConfig, events: EventHub, ipv6Prefix: number) {
    const { name, key, cost } = config;
    const warn = (code: string, problem: string) =>
      events.emit("config.warning", { code, message: `rate limit "${name}": the ${problem}` });
    this.#config = config;
    this.#clientKeys = new ClientKeys(ipv6Prefix);
    this.#ownKey =
      key &&
      new ApplicationFunction(key, {
        isAnswer: (answer) => answer === undefined || typeof answer === "string",
        warn: (problem) => warn("CELLO_RATE_LIMIT_KEY", `key function ${problem}; the client's address counted`),
      });
    if (typeof cost === "number") {
      this.costOf = () => cost;
      return;
    }
    const ownCost = new ApplicationFunction(cost, {
      isAnswer: (answer) => typeof answer === "number" && Number.isSafeInteger(answer) && answer >= 0,
      warn: (problem) => warn("CELLO_RATE_LIMIT_COST", `cost function ${problem}; the request counted as 1`),
    });
    this.costOf = (request) => ownCost.answer(request, 1);
  }

  /** What a request is counted by; `undefined`: not at all. */
  keyOf(request: RateLimitRequest, clientIp: string, identity: string | undefined): string | undefined {
    if (this.#ownKey !== undefined) {
      const key = this.#ownKey.answer(request, null);
      if (key === null) return this.addressKey(clientIp);
      return key === undefined ? undefined : ownKey(key);
    }
    if (this.#config.keyBy === "client") return this.#clientKeys.of(clientIp);
    return identity === undefined ? this.addressKey(clientIp) : identityKey(identity);
  }

  /** The key under which a client of this address, or an identity, is counted. */
  keyFor(clientOrIdentity: string): string {
    if (this.#ownKey !== undefined) return ownKey(clientOrIdentity);
    return this.#config.keyBy === "client" ? this.#clientKeys.of(clientOrIdentity) : identityKey(clientOrIdentity);
  }

  /** The key of an address where the limit counts by something else. */
  addressKey(clientIp: string): string {
    return `ip:${this.#clientKeys.of(clientIp)}`;
  }
}

function identityKey(identity: string): string {
  return `sub:${identity}`;
}

function ownKey(key: string): string {
  return `key:${key}`;
}
