import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { strictFunction } from "../core/strict-calls.js";
import type { SaveOutcome, SessionRecord, SessionStore } from "../session/store.js";
import { AWKWARD_TEXTS, type ContractCase, type ContractOptions, tryOne, tryTwo } from "./contract.js";
import { becomesTrue } from "./real-time.js";

const HOUR_MS = 3_600_000;
/** So short that a case can wait for it. */
const SHORT_MS = 300;

/**
 * What every `SessionStore` must do, as cases for any test runner. What concerns `list` is tried where a
 * store has it. The clocks of the store and of the tests must agree.
 *
 * @example
 * ```ts
 * import { it } from "vitest"; // or: import { test as it } from "node:test";
 * import { sessionStoreContract } from "cello/testing";
 *
 * const make = () => new PostgresSessions(pool);
 * for (const { name, run } of sessionStoreContract({ make, isShared: true })) it(name, run);
 * ```
 */
export const sessionStoreContract = strictFunction(
  "sessionStoreContract({ make, isShared })",
  function sessionStoreContract(options: ContractOptions<SessionStore>): readonly ContractCase[] {
    return [
      ...savingCases(options),
      ...endingCases(options),
      ...movingCases(options),
      ...listingCases(options),
      ...sharingCases(options),
    ];
  },
);

function savingCases(options: ContractOptions<SessionStore>): readonly ContractCase[] {
  return [
    tryOne(options, "knows nothing of a session that was never saved", async (store) => {
      const id = newId();
      assert.equal(await store.load(id), undefined);
      assert.equal(await store.touch(id, timesFromNow(HOUR_MS)), false);
      await store.delete(id);
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "gone");
      assert.equal(await store.load(id), undefined);
    }),
    tryOne(options, "loads what was saved, whatever JSON it is", async (store) => {
      const record = recordOf({ data: AWKWARD_DATA, flashes: { notice: "Saved.", none: null }, userId: "u1" });
      const id = newId();
      assert.equal(await store.save(id, record, 0), "saved");
      checkRecord(await store.load(id), record);
    }),
    tryOne(options, "tells empty lists from empty objects, and no flashes from some", async (store) => {
      const id = newId();
      const first = recordOf({ data: {}, flashes: { list: [], object: {} } });
      await store.save(id, first, 0);
      checkRecord(await store.load(id), first);
      const second = recordOf({ data: { list: [], object: {}, nested: [[], {}] }, version: 2 });
      await store.save(id, second, 1);
      checkRecord(await store.load(id), second);
    }),
    tryOne(options, "shares no object with who saves and who loads", async (store) => {
      const id = newId();
      const list = [1];
      await store.save(id, recordOf({ data: { list } }), 0);
      list.push(2);
      const loaded = await store.load(id);
      assert.deepEqual(loaded?.data, { list: [1] });
      Reflect.set(loaded?.data ?? {}, "list", "changed");
      assert.deepEqual((await store.load(id))?.data, { list: [1] });
    }),
    tryOne(options, "saves onto the expected version only", async (store) => {
      const id = newId();
      const first = recordOf({ data: { by: "first" } });
      assert.equal(await store.save(id, first, 0), "saved");
      assert.equal(await store.save(id, recordOf({ data: { by: "another" } }), 0), "conflict");
      assert.equal(await store.save(id, recordOf({ version: 3 }), 2), "conflict");
      checkRecord(await store.load(id), first);
      const second = recordOf({ data: { by: "second" }, version: 2 });
      assert.equal(await store.save(id, second, 1), "saved");
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "conflict");
      checkRecord(await store.load(id), second);
    }),
    tryOne(options, "lets one of many saves at once onto a version", async (store) => {
      const id = newId();
      await store.save(id, recordOf({}), 0);
      const saves = Array.from({ length: 30 }, (_, by) => store.save(id, recordOf({ data: { by }, version: 2 }), 1));
      const outcomes = await Promise.all(saves);
      assert.equal(outcomes.filter((outcome) => outcome === "saved").length, 1);
      assert.equal(outcomes.filter((outcome) => outcome === "conflict").length, 29);
      assert.deepEqual((await store.load(id))?.data, { by: outcomes.indexOf("saved") });
    }),
    tryOne(options, "touches the times and nothing else", async (store) => {
      const id = newId();
      const record = recordOf({ data: { kept: true }, flashes: { also: 1 }, userId: "u1" });
      await store.save(id, record, 0);
      const times = { ...timesFromNow(2 * HOUR_MS), lastUsedAt: record.lastUsedAt + 5 };
      assert.equal(await store.touch(id, times), true);
      checkRecord(await store.load(id), { ...record, ...times });
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "saved");
    }),
  ];
}

function endingCases(options: ContractOptions<SessionStore>): readonly ContractCase[] {
  return [
    tryOne(options, "never brings a deleted session back", async (store) => {
      const id = newId();
      await store.save(id, recordOf({}), 0);
      await store.delete(id);
      await store.delete(id);
      assert.equal(await store.load(id), undefined);
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "gone");
      assert.equal(await store.touch(id, timesFromNow(HOUR_MS)), false);
      assert.equal(await store.load(id), undefined);
    }),
    tryOne(options, "never brings a session back that is deleted while others save it", async (store) => {
      for (let round = 0; round < 20; round++) {
        const id = newId();
        await store.save(id, recordOf({}), 0);
        const writers = [saveOften(store, id), saveOften(store, id)];
        await Promise.all([store.delete(id), ...writers]);
        assert.equal(await store.load(id), undefined);
      }
    }),
    tryOne(options, "forgets a session at forgetAt, however long it could have lasted", async (store) => {
      const id = newId();
      const record = { ...recordOf({ userId: newId() }), forgetAt: Date.now() + SHORT_MS };
      await store.save(id, record, 0);
      assert.ok(await becomesTrue(async () => (await store.load(id)) === undefined), "it is forgotten");
      assert.ok(Date.now() >= record.forgetAt - 1, "and not before");
      assert.equal(await store.touch(id, timesFromNow(HOUR_MS)), false);
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "gone");
      if (store.list !== undefined) assert.deepEqual(await store.list(record.userId ?? ""), []);
    }),
    tryOne(options, "keeps a session that is touched or saved in time", async (store) => {
      const [touched, saved] = [newId(), newId()];
      const shortLived = { ...recordOf({}), forgetAt: Date.now() + 4 * SHORT_MS };
      await store.save(touched, shortLived, 0);
      await store.save(saved, shortLived, 0);
      assert.equal(await store.touch(touched, timesFromNow(HOUR_MS)), true);
      assert.equal(await store.save(saved, recordOf({ version: 2 }), 1), "saved");
      await becomesTrue(() => Date.now() > shortLived.forgetAt + SHORT_MS);
      assert.notEqual(await store.load(touched), undefined);
      assert.notEqual(await store.load(saved), undefined);
    }),
  ];
}

/** How `regenerate` and `destroy` leave word of what they did: by saves like any other. */
function movingCases(options: ContractOptions<SessionStore>): readonly ContractCase[] {
  return [
    tryOne(options, "keeps word of where a session has moved to", async (store) => {
      const [from, to] = [newId(), newId()];
      await store.save(from, recordOf({ data: { cart: 1 } }), 0);
      const moved = recordOf({ version: 2, successor: to });
      assert.equal(await store.save(from, moved, 1), "saved");
      checkRecord(await store.load(from), moved);
      assert.equal(await store.save(from, recordOf({ version: 2 }), 1), "conflict");
      assert.equal(await store.touch(from, timesFromNow(2 * HOUR_MS)), false);
      checkRecord(await store.load(from), moved);
    }),
    tryOne(options, "tells where a session has moved to when it deletes it", async (store) => {
      const [from, to] = [newId(), newId()];
      assert.equal((await store.delete(from)) ?? undefined, undefined);
      await store.save(from, recordOf({}), 0);
      await store.save(from, recordOf({ version: 2, successor: to }), 1);
      assert.equal(await store.delete(from), to);
      assert.equal(await store.load(from), undefined);
    }),
    tryOne(options, "ends a session by a save onto its version", async (store) => {
      const id = newId();
      await store.save(id, recordOf({ userId: newId() }), 0);
      assert.equal(await store.save(id, recordOf({ version: 3, successor: null }), 2), "conflict");
      assert.equal((await store.load(id))?.version, 1);
      assert.equal(await store.save(id, recordOf({ version: 2, successor: null }), 1), "saved");
      // A store may keep word of the end or drop it; what it must not do is to bring the session back.
      const left = await store.load(id);
      assert.ok(left === undefined || left.successor === null, "the session is over");
      assert.notEqual(await store.save(id, recordOf({ version: 2 }), 1), "saved");
      assert.equal(await store.touch(id, timesFromNow(HOUR_MS)), false);
    }),
    tryOne(options, "lets either a move or an end or a change come first", async (store) => {
      for (let round = 0; round < 10; round++) {
        const id = newId();
        await store.save(id, recordOf({}), 0);
        const successors = [newId(), null, undefined, newId(), null, undefined];
        const saves = successors.map((successor) => store.save(id, recordOf({ version: 2, successor }), 1));
        const outcomes = await Promise.all(saves);
        assert.equal(outcomes.filter((outcome) => outcome === "saved").length, 1);
        assert.equal(
          (await store.load(id))?.successor ?? undefined,
          successors[outcomes.indexOf("saved")] ?? undefined,
        );
      }
    }),
  ];
}

function listingCases(options: ContractOptions<SessionStore>): readonly ContractCase[] {
  const one = (name: string, trial: (store: Listing, user: string) => Promise<void>) =>
    tryOne(options, name, async (store) => {
      if (canList(store)) await trial(store, `user ${randomUUID()}`);
    });
  return [
    one("lists the sessions of a user, and of nobody else", async (store, user) => {
      assert.deepEqual(await store.list(user), []);
      const ids = [newId(), newId(), newId()];
      for (const id of ids) await store.save(id, recordOf({ data: { id }, userId: user }), 0);
      await store.save(newId(), recordOf({ userId: `${user}2` }), 0);
      await store.save(newId(), recordOf({}), 0);
      assert.deepEqual(await idsOf(store, user), ids.toSorted());
      for (const { id, record } of await store.list(user)) checkRecord(await store.load(id), record);
    }),
    one("lists no session that was deleted", async (store, user) => {
      const [first, second] = [newId(), newId()];
      await store.save(first, recordOf({ userId: user }), 0);
      await store.save(second, recordOf({ userId: user }), 0);
      await store.delete(first);
      assert.deepEqual(await idsOf(store, user), [second]);
      assert.equal(await store.save(first, recordOf({ userId: user, version: 2 }), 1), "gone");
      assert.deepEqual(await idsOf(store, user), [second]);
    }),
    one("lists what has moved as long as word of it is kept, with the id to which it went", async (store, user) => {
      const [from, to] = [newId(), newId()];
      await store.save(from, recordOf({ userId: user }), 0);
      const forgetAt = Date.now() + 4 * SHORT_MS;
      await store.save(from, { ...recordOf({ version: 2, userId: user, successor: to }), forgetAt }, 1);
      await store.save(to, recordOf({ userId: user }), 0);
      const listed = await store.list(user);
      assert.deepEqual(
        new Map(listed.map(({ id, record }) => [id, record.successor ?? undefined])),
        new Map([
          [from, to],
          [to, undefined],
        ]),
      );
      assert.ok(await becomesTrue(async () => (await store.list(user)).length === 1), "and no longer");
      assert.deepEqual(await idsOf(store, user), [to]);
    }),
    one("lists a session under its user of now", async (store, user) => {
      const id = newId();
      const [other, users] = [`${user} other`, [undefined, user, `${user} other`, user, undefined, user]];
      for (const [version, userId] of users.entries()) {
        assert.equal(await store.save(id, recordOf({ userId, version: version + 1 }), version), "saved");
        assert.deepEqual(await idsOf(store, user), userId === user ? [id] : []);
        assert.deepEqual(await idsOf(store, other), userId === other ? [id] : []);
      }
    }),
    one("lists a session as long as it lasts", async (store, user) => {
      const id = newId();
      const start = Date.now();
      let forgetAt = start + 4 * SHORT_MS;
      await store.save(id, { ...recordOf({ userId: user }), lastUsedAt: start, forgetAt }, 0);
      while (Date.now() < start + 12 * SHORT_MS) {
        const now = Date.now();
        forgetAt = now + 4 * SHORT_MS;
        assert.equal(await store.touch(id, { lastUsedAt: now, expiresAt: now + HOUR_MS, forgetAt }), true);
        assert.deepEqual(await idsOf(store, user), [id]);
        await becomesTrue(() => Date.now() >= now + SHORT_MS);
      }
      assert.ok(await becomesTrue(async () => (await idsOf(store, user)).length === 0), "and no longer");
    }),
    one("lists many sessions", async (store, user) => {
      const ids = Array.from({ length: 250 }, newId);
      await Promise.all(ids.map((id) => store.save(id, recordOf({ userId: user }), 0)));
      assert.deepEqual(await idsOf(store, user), ids.toSorted());
    }),
    one("tells users apart, whatever their characters", async (store, user) => {
      const users = AWKWARD_TEXTS.map((text) => ({ userId: `${text}${user}`, id: newId() }));
      for (const { userId, id } of users) await store.save(id, recordOf({ userId }), 0);
      for (const { userId, id } of users) assert.deepEqual(await idsOf(store, userId), [id], userId);
    }),
  ];
}

function sharingCases(options: ContractOptions<SessionStore>): readonly ContractCase[] {
  return [
    ...tryTwo(options, "two stores have their sessions together", async (store, other) => {
      const id = newId();
      const userId = newId();
      await store.save(id, recordOf({ data: { by: "one" }, userId }), 0);
      assert.deepEqual((await other.load(id))?.data, { by: "one" });
      assert.equal(await other.save(id, recordOf({ data: { by: "other" }, userId, version: 2 }), 1), "saved");
      assert.equal(await store.save(id, recordOf({ version: 2 }), 1), "conflict");
      if (canList(store)) assert.deepEqual(await idsOf(store, userId), [id]);
      await other.delete(id);
      assert.equal(await store.load(id), undefined);
      assert.equal(await store.save(id, recordOf({ version: 3 }), 2), "gone");
      if (canList(store)) assert.deepEqual(await idsOf(store, userId), []);
    }),
  ];
}

type Listing = SessionStore & Required<Pick<SessionStore, "list">>;

function canList(store: SessionStore): store is Listing {
  return store.list !== undefined;
}

async function idsOf(store: Listing, userId: string): Promise<readonly string[]> {
  return (await store.list(userId)).map(({ id }) => id).sort();
}

/** Saves version after version, until the session is gone or somebody else was quicker often enough. */
async function saveOften(store: SessionStore, id: string): Promise<void> {
  let version = 1;
  for (let times = 0; times < 10; times++) {
    const outcome: SaveOutcome = await store.save(id, recordOf({ version: version + 1 }), version);
    if (outcome === "gone") return;
    version++;
  }
}

function newId(): string {
  return randomBytes(32).toString("base64url");
}

function timesFromNow(milliseconds: number) {
  const now = Date.now();
  return { lastUsedAt: now, expiresAt: now + milliseconds, forgetAt: now + milliseconds };
}

function recordOf(parts: Partial<SessionRecord>): SessionRecord {
  const now = Date.now();
  return {
    data: {},
    version: 1,
    createdAt: now - 1000,
    ...timesFromNow(HOUR_MS),
    ...parts,
  };
}

/** Compares what counts: a store may leave out what is `undefined`. */
function checkRecord(actual: SessionRecord | undefined, expected: SessionRecord): void {
  assert.ok(actual !== undefined, "there is a record");
  for (const name of ["version", "createdAt", "userId", "lastUsedAt", "expiresAt", "successor"] as const) {
    assert.equal(actual[name], expected[name], name);
  }
  assert.deepEqual(plain(actual.data), plain(expected.data));
  assert.deepEqual(plain(actual.flashes), plain(expected.flashes));
}

/** As JSON would carry it: without regard to prototypes and frozenness. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** What encoders of their own make of JSON goes wrong here first. */
const AWKWARD_DATA: SessionRecord["data"] = Object.freeze({
  ...Object.fromEntries(AWKWARD_TEXTS.filter((text) => text !== "__proto__").map((text) => [text, text])),
  numbers: [0, -1, 0.1, 1e21, 5e-324, Number.MAX_SAFE_INTEGER, 1_764_000_000_000],
  nothing: null,
  empty: "",
  lists: [[], [[]], [{}], {}],
  deep: { a: { b: { c: [{ d: true }, false, null] } } },
  long: "é".repeat(20_000),
});
