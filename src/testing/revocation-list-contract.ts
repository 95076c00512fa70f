import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { strictFunction } from "../core/strict-calls.js";
import type { RevocationList } from "../jwt/revocation.js";
import {
  AWKWARD_TEXTS,
  type ContractCase,
  type ContractOptions,
  type ContractTrial,
  tryOne,
  tryTwo,
} from "./contract.js";
import { becomesTrue, inAnHour, waitExactly } from "./real-time.js";

/** How soon a revocation must hold on every machine, in milliseconds. */
const SPREAD_MS = 1000;
const HOUR = 3600;

/**
 * What every `RevocationList` must do, as cases for any test runner.
 *
 * @example
 * ```ts
 * import { it } from "vitest"; // or: import { test as it } from "node:test";
 * import { revocationListContract } from "cello/testing";
 *
 * for (const { name, run } of revocationListContract({ make: () => new MyList() })) it(name, run);
 * ```
 */
export const revocationListContract = strictFunction(
  "revocationListContract({ make, isShared })",
  function revocationListContract(options: ContractOptions<RevocationList>): readonly ContractCase[] {
    return [...tokenCases(options), ...subjectCases(options), ...sharingCases(options)];
  },
);

function tokenCases(options: ContractOptions<RevocationList>): readonly ContractCase[] {
  return [
    opened(options, "refuses a revoked token at once, and no other", async (list) => {
      const jti = randomUUID();
      assert.equal(list.isRevoked({ jti }), false);
      await list.revoke(jti, inAnHour());
      assert.equal(list.isRevoked({ jti }), true);
      assert.equal(list.isRevoked({ jti: `${jti}2` }), false);
      assert.equal(list.isRevoked({}), false);
    }),
    opened(options, "refuses a token that never ends", async (list) => {
      const jti = randomUUID();
      await list.revoke(jti, undefined);
      assert.equal(list.isRevoked({ jti }), true);
    }),
    opened(options, "tells tokens apart, whatever their characters", async (list) => {
      const suffix = randomUUID();
      for (const text of AWKWARD_TEXTS) {
        assert.equal(list.isRevoked({ jti: text + suffix }), false, text);
        await list.revoke(text + suffix, inAnHour());
        assert.equal(list.isRevoked({ jti: text + suffix }), true, text);
      }
    }),
    opened(options, "holds a revocation until the token has expired", async (list) => {
      const jti = randomUUID();
      const expiresAt = Date.now() / 1000 + 1.2;
      await list.revoke(jti, expiresAt);
      while (Date.now() / 1000 < expiresAt - 0.05) {
        assert.equal(list.isRevoked({ jti }), true);
        await waitExactly(20);
      }
    }),
    opened(options, "holds the longer of two revocations", async (list) => {
      const jti = randomUUID();
      await list.revoke(jti, inAnHour());
      await list.revoke(jti, Date.now() / 1000 + 0.3);
      await waitExactly(500);
      await list.revoke(randomUUID(), inAnHour());
      assert.equal(list.isRevoked({ jti }), true);
    }),
  ];
}

function subjectCases(options: ContractOptions<RevocationList>): readonly ContractCase[] {
  return [
    opened(options, "refuses what a subject was issued until now, and nothing later", async (list) => {
      const sub = randomUUID();
      const now = Date.now();
      const seconds = Math.floor(now / 1000);
      assert.equal(list.isRevoked({ sub, iat: seconds - 10 }), false);
      assert.equal(list.revokedUntilMs(sub), undefined);
      await list.revokeAll(sub, now, HOUR);
      assert.equal(list.revokedUntilMs(sub), now);
      assert.equal(list.isRevoked({ sub, iat: seconds - 10 }), true);
      assert.equal(list.isRevoked({ sub, iat: seconds }), true);
      assert.equal(list.isRevoked({ sub, iat: seconds + 1 }), false);
      assert.equal(list.isRevoked({ sub }), true, "it may be an old one");
      assert.equal(list.isRevoked({ sub: `${sub}2`, iat: seconds - 10 }), false);
      assert.equal(list.isRevoked({ iat: seconds - 10 }), false);
    }),
    opened(options, "remembers the latest of several moments", async (list) => {
      const sub = randomUUID();
      const now = Date.now();
      for (const moment of [now - 2000, now, now - 1000]) await list.revokeAll(sub, moment, HOUR);
      assert.equal(list.revokedUntilMs(sub), now);
    }),
    opened(options, "tells subjects apart, whatever their characters", async (list) => {
      const suffix = randomUUID();
      const now = Date.now();
      for (const text of AWKWARD_TEXTS) {
        assert.equal(list.isRevoked({ sub: text + suffix }), false, text);
        await list.revokeAll(text + suffix, now, HOUR);
        assert.equal(list.isRevoked({ sub: text + suffix }), true, text);
      }
    }),
  ];
}

function sharingCases(options: ContractOptions<RevocationList>): readonly ContractCase[] {
  const both: ContractTrial<RevocationList> = async (list, other) => {
    await Promise.all([list, other].map(open));
    const [jti, sub, now] = [randomUUID(), randomUUID(), Date.now()];
    await list.revoke(jti, inAnHour());
    await list.revokeAll(sub, now, HOUR);
    assert.ok(await becomesTrue(() => other.isRevoked({ jti }), SPREAD_MS), "a token, within a second");
    assert.ok(await becomesTrue(() => other.revokedUntilMs(sub) === now, SPREAD_MS), "a subject, within a second");
  };
  const later: ContractTrial<RevocationList> = async (list, other) => {
    await open(list);
    const [jti, sub, now] = [randomUUID(), randomUUID(), Date.now()];
    await list.revoke(jti, inAnHour());
    await list.revokeAll(sub, now, HOUR);
    await open(other);
    assert.ok(await becomesTrue(() => other.isCurrent !== false), "it catches up");
    assert.equal(other.isRevoked({ jti }), true);
    assert.equal(other.revokedUntilMs(sub), now);
  };
  return [
    ...tryTwo(options, "a revocation holds on another machine within a second", both),
    ...tryTwo(options, "a machine that comes later knows what was revoked before", later),
  ];
}

function opened(
  options: ContractOptions<RevocationList>,
  name: string,
  trial: (list: RevocationList) => Promise<void>,
): ContractCase {
  return tryOne(options, name, async (list) => {
    await open(list);
    await trial(list);
  });
}

async function open(list: RevocationList): Promise<void> {
  await list.open?.(() => {});
  assert.ok(await becomesTrue(() => list.isCurrent !== false), "the list becomes current");
}
