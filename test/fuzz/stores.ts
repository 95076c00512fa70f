import type { MemoryRateLimitStore, MemorySessionStore, RateLimitDecision, RateLimitStore, SessionStore } from "cello";
import type { StoreMood } from "./scenario.js";

/** Slows questions to a store down, and leaves some unanswered, as it is told. */
export class Moody {
  mood: StoreMood = { stallMs: 0, failEvery: 0 };
  #asked = 0;

  async ask<Answer>(question: () => Answer | Promise<Answer>): Promise<Answer> {
    const { stallMs, failEvery } = this.mood;
    this.#asked++;
    const fails = failEvery > 0 && this.#asked % failEvery === 0;
    if (stallMs > 0) await new Promise((resolve) => setTimeout(resolve, stallMs));
    else await undefined;
    if (fails) throw new Error("the store does not answer, on purpose");
    return question();
  }
}

/** A session store that takes its time. */
export function moodySessions(memory: MemorySessionStore, moody: Moody): SessionStore {
  // What a store has is up to the sources that are driven: every method of theirs, and nothing of the class.
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(memory)).flatMap((name) => {
    const method: unknown = Reflect.get(memory, name);
    if (typeof method !== "function" || name === "constructor") return [];
    return [[name, (...args: unknown[]) => moody.ask(() => Reflect.apply(method, memory, args))] as const];
  });
  return Object.assign(memoryMethods(memory), Object.fromEntries(methods));
}

/** The methods that every store has. */
function memoryMethods(memory: MemorySessionStore): SessionStore {
  return {
    load: (id) => memory.load(id),
    save: (id, record, expectedVersion) => memory.save(id, record, expectedVersion),
    touch: (id, times) => memory.touch(id, times),
    delete: (id) => memory.delete(id),
  };
}

/** A store of limits that takes its time. */
export function moodyLimits(memory: MemoryRateLimitStore, moody: Moody): RateLimitStore {
  return {
    consume: (...args: Parameters<RateLimitStore["consume"]>): Promise<RateLimitDecision> =>
      moody.ask(() => memory.consume(...args)),
    peek: (...args: Parameters<RateLimitStore["peek"]>) => moody.ask(() => memory.peek(...args)),
    reset: (...args: Parameters<RateLimitStore["reset"]>) => moody.ask(() => memory.reset(...args)),
  };
}
