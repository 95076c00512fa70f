/** What to do about answers of a function that the application gave. */
interface AnswerRules {
  readonly isAnswer: (answer: unknown) => boolean;
  /** Called for the first failure only. */
  readonly warn: (problem: string) => void;
}

/**
 * A function that the application gave, asked for each request. One that throws or answers something else
 * neither ends the request nor opens a door: what the caller says counts instead, and a warning tells of it.
 */
export class ApplicationFunction<Request, Answer> {
  readonly #ask: (request: Request) => Answer;
  readonly #rules: AnswerRules;
  #hasWarned = false;

  constructor(ask: (request: Request) => Answer, rules: AnswerRules) {
    this.#ask = ask;
    this.#rules = rules;
  }

  /** @param otherwise what counts when the function fails */
  answer<Otherwise>(request: Request, otherwise: Otherwise): Answer | Otherwise {
    try {
      const answer = this.#ask(request);
      if (this.#rules.isAnswer(answer)) return answer;
      // An async function answers with a promise, and if nobody waits for it, its rejection ends the process.
      if (answer instanceof Promise) answer.catch(() => {});
      this.#warnOnce(`answered ${kindOf(answer)}`);
    } catch (error) {
      this.#warnOnce(`threw (${kindOf(error)})`);
    }
    return otherwise;
  }

  #warnOnce(problem: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#rules.warn(problem);
  }
}

/** Names a value or an error without what is in it, which came from a request. */
function kindOf(value: unknown): string {
  if (value instanceof Error) return value.name;
  if (value instanceof Promise) return "a promise";
  return typeof value === "number" ? String(value) : value === null ? "null" : typeof value;
}
