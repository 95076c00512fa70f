import type { Attributes } from "@opentelemetry/api";
import type { EventHub, SecurityEventListener, SecurityEventName } from "../core/events.js";
import type { Tally } from "./tally.js";

/** A counter: its name, what it counts, and the event that it counts. */
export interface SecurityCounter {
  readonly name: string;
  readonly description: string;
  /** In UCUM, where braces hold what is counted. */
  readonly unit: string;
  /**
   * Counts from now on.
   *
   * @returns ends it
   */
  readonly listen: (events: EventHub, tally: Tally) => () => void;
}

/**
 * What every counter counts. Attributes come from the code or from the configuration, never from a
 * client: each series is kept for the life of the process.
 */
export const COUNTERS: readonly SecurityCounter[] = [
  counter("token.rejected", "cello.token.rejected", "{request}", "Requests whose token was refused", (event) => ({
    "cello.reason": event.reason,
  })),
  counter("ratelimit.exceeded", "cello.rate_limit.refused", "{request}", "Requests over a limit", (event) => ({
    "cello.limit": event.name,
    "cello.dry_run": event.dryRun,
  })),
  counter("ratelimit.shed", "cello.rate_limit.shed", "{request}", "Requests that found no place", (event) => ({
    "cello.limit": event.name,
    "cello.priority": event.priority,
    "cello.dry_run": event.dryRun,
  })),
  counter("session.created", "cello.session.created", "{session}", "Sessions begun"),
  counter("session.regenerated", "cello.session.regenerated", "{session}", "Sessions that got a new id"),
  counter("session.destroyed", "cello.session.destroyed", "{session}", "Sessions ended by the application"),
  counter("session.rejected", "cello.session.rejected", "{request}", "Session cookies not accepted", (event) => ({
    "cello.reason": event.reason,
  })),
  counter("csrf.rejected", "cello.csrf.rejected", "{request}", "Cross-site requests refused"),
  counter("store.error", "cello.store.errors", "{failure}", "Times that a store stopped to answer", (event) => ({
    "cello.store": event.store,
  })),
  counter("config.warning", "cello.config.warnings", "{warning}", "Doubts about the configuration", (event) => ({
    "cello.code": event.code,
  })),
];

const NO_ATTRIBUTES: Attributes = Object.freeze({});

function counter<Name extends SecurityEventName>(
  event: Name,
  name: string,
  unit: string,
  description: string,
  attributesOf: (event: Parameters<SecurityEventListener<Name>>[0]) => Attributes = () => NO_ATTRIBUTES,
): SecurityCounter {
  const listen = (events: EventHub, tally: Tally) => {
    const count: SecurityEventListener<Name> = (happened) => tally.add(attributesOf(happened));
    events.on(event, count);
    return () => events.off(event, count);
  };
  return { name, description, unit, listen };
}
