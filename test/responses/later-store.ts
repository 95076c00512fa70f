import { MemorySessionStore, type SessionRecord, type SessionStore } from "cello";

/** A store that answers later, as one over a network does, and can be down. */
export class LaterStore implements SessionStore {
  readonly #store = new MemorySessionStore();
  isDown = false;

  load(id: string) {
    return this.#later(() => this.#store.load(id));
  }
  save(id: string, record: SessionRecord, expectedVersion: number) {
    return this.#later(() => this.#store.save(id, record, expectedVersion));
  }
  touch(id: string, times: Parameters<SessionStore["touch"]>[1]) {
    return this.#later(() => this.#store.touch(id, times));
  }
  delete(id: string) {
    return this.#later(() => this.#store.delete(id));
  }

  async #later<Value>(answer: () => Value): Promise<Value> {
    // Two turns: long enough for whatever the handler does in one.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    if (this.isDown) throw new Error("connection refused");
    return answer();
  }
}
