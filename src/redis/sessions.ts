import {
  isSessionRecord,
  type ListedSession,
  type SaveOutcome,
  type SessionRecord,
  type SessionStore,
  type SessionTimes,
} from "../session/store.js";
import { redisClock } from "./clock.js";
import type { RedisConnection } from "./connection.js";
import { unexpectedReply } from "./script.js";
import { ADD_TO_INDEX, DELETE, END, READ_INDEX, SAVE, SHORTEN_IN_INDEX, TOUCH } from "./session-scripts.js";

/** What is read of a session, in this order. */
const FIELDS = ["v", "d", "c", "u", "e", "f", "n", "s"] as const;

/** Sessions that are read at a time to list those of a user, so that a batch is answered within the deadline. */
const LIST_BATCH = 100;

/** How often a session may change hands while it is touched; more is no accident. */
const MAX_ATTEMPTS = 16;

const ANSWER = "answer of a script of sessions";

/**
 * Sessions in Redis: one key each, that expires when the session may be forgotten, and one index for
 * each user who is logged in.
 *
 * A read, and nearly every write, is one round trip. Two or three are needed when a user logs in, and
 * about once in an idle time.
 */
export class RedisSessions implements SessionStore {
  readonly #connection: RedisConnection;
  /** The clock of Redis, by which keys expire. */
  readonly now: () => number | Promise<number>;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.now = redisClock(connection);
  }

  async load(id: string): Promise<SessionRecord | undefined> {
    const key = this.#keyOf(id);
    const fields = await this.#connection.send(key, (client) => client.hmget(key, ...FIELDS));
    return recordOf(fields);
  }

  async save(id: string, record: SessionRecord, expectedVersion: number): Promise<SaveOutcome> {
    if (record.successor === null) return this.#end(id, expectedVersion);
    const userId = record.userId ?? "";
    const successor = record.successor ?? "";
    const key = this.#keyOf(id);
    const session = [
      expectedVersion,
      record.version,
      JSON.stringify({ data: record.data, flashes: record.flashes }),
      record.createdAt,
      ...timesOf(record),
      userId,
    ];
    // A new session is in no index yet: asking first would be a round trip for nothing.
    const isNew = expectedVersion === 0 && userId !== "";
    let outcome = isNew ? "index" : await this.#connection.run(SAVE, [key], [...session, 0, successor]);
    if (outcome === "index") {
      const indexedUntil = await this.#addToIndex(userId, id, record);
      outcome = await this.#connection.run(SAVE, [key], [...session, indexedUntil, successor]);
    }
    if (outcome !== "saved" && outcome !== "conflict" && outcome !== "gone") throw unexpectedReply(ANSWER);
    if (outcome === "saved" && successor !== "" && userId !== "") {
      // Tidies up, which nobody waits for and nothing depends on.
      const args = [timesOf(record)[2], id];
      this.#connection.run(SHORTEN_IN_INDEX, [this.#indexOf(userId)], args).catch(() => {});
    }
    return outcome;
  }

  async #end(id: string, expectedVersion: number): Promise<SaveOutcome> {
    const outcome = await this.#connection.run(END, [this.#keyOf(id)], [expectedVersion]);
    if (outcome === "conflict" || outcome === "gone") return outcome;
    await this.#leaveIndex(listOfStrings(outcome)[1] ?? "", id);
    return "saved";
  }

  async touch(id: string, times: SessionTimes): Promise<boolean> {
    let userId = "";
    let indexedUntil = 0;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const args = [...timesOf(times), userId, indexedUntil];
      const outcome = await this.#connection.run(TOUCH, [this.#keyOf(id)], args);
      if (typeof outcome === "number") return outcome === 1;
      if (typeof outcome !== "string") throw unexpectedReply(ANSWER);
      userId = outcome;
      indexedUntil = await this.#addToIndex(userId, id, times);
    }
    throw new Error(`the session went to another user during each of ${MAX_ATTEMPTS} attempts to touch it`);
  }

  async delete(id: string): Promise<string | undefined> {
    const answer = await this.#connection.run(DELETE, [this.#keyOf(id)], []);
    const [userId = "", successor = ""] = listOfStrings(answer);
    await this.#leaveIndex(userId, id);
    return successor === "" ? undefined : successor;
  }

  async list(userId: string): Promise<readonly ListedSession[]> {
    const ids = listOfStrings(await this.#connection.run(READ_INDEX, [this.#indexOf(userId)], []));
    const listed: ListedSession[] = [];
    for (let start = 0; start < ids.length; start += LIST_BATCH) {
      const batch = ids.slice(start, start + LIST_BATCH);
      const records = await Promise.all(batch.map((id) => this.load(id)));
      for (const [index, id] of batch.entries()) {
        const record = records[index];
        // What is not there may be about to be saved: only time takes it out of the index.
        if (record?.userId === userId) listed.push({ id, record });
      }
    }
    return listed;
  }

  /**
   * The session is gone: that its place in the index is not yet must not look like a failure. It is passed
   * over when the index is read, and goes by itself.
   */
  async #leaveIndex(userId: string, id: string): Promise<void> {
    if (userId === "") return;
    const index = this.#indexOf(userId);
    await this.#connection.send(index, (client) => client.zrem(index, id)).catch(() => {});
  }

  /** @returns until when the session now is in the index */
  async #addToIndex(userId: string, id: string, times: SessionTimes): Promise<number> {
    const until = indexUntil(times);
    await this.#connection.run(ADD_TO_INDEX, [this.#indexOf(userId)], [until, id]);
    return until;
  }

  #keyOf(id: string): string {
    return `${this.#connection.prefix}:session:{${id}}`;
  }

  #indexOf(userId: string): string {
    return `${this.#connection.prefix}:session-user:{${userId}}`;
  }
}

/** The times as whole milliseconds, as expiry in Redis wants them. */
function timesOf({ lastUsedAt, expiresAt, forgetAt }: SessionTimes): [number, number, number] {
  return [Math.ceil(lastUsedAt), Math.ceil(expiresAt), Math.ceil(forgetAt)];
}

/**
 * Until when a session is put into the index: for a session with idle time, one idle time longer than
 * it needs, so that the index need not be written at each use.
 */
function indexUntil(times: SessionTimes): number {
  const [lastUsedAt, expiresAt, forgetAt] = timesOf(times);
  return Math.max(forgetAt, Math.min(expiresAt, forgetAt + Math.max(0, forgetAt - lastUsedAt)));
}

/** What a key held, as a record; `undefined` for a key that does not exist. */
function recordOf(fields: readonly (string | null)[]): SessionRecord | undefined {
  const [version, content, createdAt, lastUsedAt, expiresAt, forgetAt, userId, successor] = fields;
  if (fields.every((field) => field === null)) return undefined;
  const record: unknown = {
    ...contentOf(content),
    version: numberOf(version),
    createdAt: numberOf(createdAt),
    lastUsedAt: numberOf(lastUsedAt),
    expiresAt: numberOf(expiresAt),
    forgetAt: numberOf(forgetAt),
    userId: userId ?? undefined,
    successor: successor ?? undefined,
  };
  if (!isSessionRecord(record)) throw new Error("a key of a session holds something else");
  return record;
}

function contentOf(text: string | null | undefined): object {
  try {
    const content: unknown = JSON.parse(text ?? "");
    return typeof content === "object" && content !== null ? content : {};
  } catch {
    // Not the parser's message: it quotes what is stored.
    return {};
  }
}

/** NaN, which no record may have, for what is no number. */
function numberOf(text: string | null | undefined): number {
  return text == null || text === "" ? Number.NaN : Number(text);
}

function listOfStrings(answer: unknown): readonly string[] {
  if (Array.isArray(answer) && answer.every((entry) => typeof entry === "string")) return answer;
  throw unexpectedReply(ANSWER);
}
