import { afterAll, beforeAll, expect } from "vitest";

/** What reached nobody in this file's process; each would have ended an application's. */
const crashes: string[] = [];

function remember(error: unknown): void {
  crashes.push(error instanceof Error ? `${error.message}\n${error.stack}` : String(error));
}

/** Asserts that nothing in this file would have ended the process. Call it once, at the top. */
export function expectSurvival(): void {
  beforeAll(() => {
    process.on("uncaughtException", remember);
    process.on("unhandledRejection", remember);
  });
  afterAll(async () => {
    // Two turns of the loop: for what is still on its way.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    process.off("uncaughtException", remember);
    process.off("unhandledRejection", remember);
    expect(crashes).toEqual([]);
  });
}
