import type { EventHub } from "../core/events.js";
import { secretFingerprint } from "../jws/keys.js";
import { type JwtConfig, keysOf } from "../jwt/config.js";
import type { SessionConfig } from "../session/config.js";

/**
 * Warns when a secret is used for tokens and for sessions.
 *
 * One does not open the other: session keys are derived for their purpose. But who verifies tokens
 * elsewhere needs their secret, and could then make sessions; and neither can be replaced alone.
 */
export function warnOfSharedSecret(
  jwt: JwtConfig | undefined,
  session: SessionConfig | undefined,
  events: EventHub,
): void {
  const ofTokens = new Set(jwt === undefined ? [] : keysOf(jwt).map(({ fingerprint }) => fingerprint));
  const ofSessions = session?.secret ?? [];
  if (!ofSessions.some((secret) => ofTokens.has(secretFingerprint(secret)))) return;
  events.emit("config.warning", {
    code: "CELLO_SHARED_SECRET",
    message: 'tokens and sessions have a secret in common; give each its own ("npx cello secret" makes one)',
  });
}
