import type { FastifyBaseLogger } from "fastify";
import type { EventHub, SecurityEventName } from "../../core/events.js";

type Level = "info" | "warn" | "error";

/** At which level each event is logged: what an operator must act on stands out. */
const LEVELS: Readonly<Record<SecurityEventName, Level>> = Object.freeze({
  "token.rejected": "info",
  "ratelimit.exceeded": "info",
  "ratelimit.shed": "info",
  "ratelimit.adapted": "warn",
  "session.created": "info",
  "session.regenerated": "info",
  "session.destroyed": "info",
  "session.rejected": "info",
  "csrf.rejected": "info",
  "store.error": "error",
  "store.recovered": "info",
  "config.warning": "warn",
});

/** The part of pino that Fastify's silent logger does not have. */
interface LevelledLogger extends FastifyBaseLogger {
  isLevelEnabled(level: Level): boolean;
}

/**
 * Writes security events to Fastify's logger, each as one line with `event` and its payload.
 * Events whose level is not logged get no listener, so that they are not even built.
 */
export function logSecurityEvents(log: FastifyBaseLogger, events: EventHub): void {
  if (!isLevelled(log)) return;
  for (const [name, level] of entriesOf(LEVELS)) {
    if (log.isLevelEnabled(level)) events.on(name, (event) => log[level]({ event: name, ...event }, name));
  }
}

/** Whether Fastify writes a log: where none was asked for, it has a logger that does nothing. */
export function isLevelled(log: FastifyBaseLogger): log is LevelledLogger {
  return "isLevelEnabled" in log && typeof log.isLevelEnabled === "function";
}

function entriesOf(levels: typeof LEVELS): [SecurityEventName, Level][] {
  const names = Object.keys(levels).filter((name): name is SecurityEventName => name in levels);
  return names.map((name) => [name, levels[name]]);
}
