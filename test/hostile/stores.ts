import { MemorySessionStore, type SessionRecord, type SessionStore, type SessionTimes } from "cello";

/** A store over a network: answers later, and fails when told to. */
export class RemoteStore implements SessionStore {
  isDown = false;
  delayMs = 1;
  readonly #store = new MemorySessionStore();

  load(id: string) {
    return this.#later(() => this.#store.load(id));
  }
  save(id: string, record: SessionRecord, expectedVersion: number) {
    return this.#later(() => this.#store.save(id, record, expectedVersion));
  }
  touch(id: string, times: SessionTimes) {
    return this.#later(() => this.#store.touch(id, times));
  }
  delete(id: string) {
    return this.#later(() => this.#store.delete(id));
  }

  async #later<Value>(answer: () => Value): Promise<Value> {
    await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (this.isDown) throw new Error("connect ECONNREFUSED 10.1.2.3:6379");
    return answer();
  }
}

/** A store in a file of this machine: answers at once, and throws when told to. */
export class LocalStore implements SessionStore {
  readonly isSynchronous: boolean;
  isDown = false;
  readonly #store = new MemorySessionStore();

  /** @param isSynchronous `false`: it does not say that it answers at once */
  constructor(isSynchronous = true) {
    this.isSynchronous = isSynchronous;
  }

  load(id: string) {
    this.#check();
    return this.#store.load(id);
  }
  save(id: string, record: SessionRecord, expectedVersion: number) {
    this.#check();
    return this.#store.save(id, record, expectedVersion);
  }
  touch(id: string, times: SessionTimes) {
    this.#check();
    return this.#store.touch(id, times);
  }
  delete(id: string) {
    this.#check();
    return this.#store.delete(id);
  }

  #check(): void {
    if (this.isDown) throw new Error("database is locked");
  }
}
