import { describe, expect, it } from "vitest";
import { KeyStates, Refusal } from "./key-state.js";

function refusal(retryAfterMs: number): Refusal {
  const decision = { isAllowed: false, limit: 5, remaining: 0, resetMs: 60_000, retryAfterMs, wasReduced: false };
  return new Refusal({ amount: 1, inForce: 5, units: [1], figures: [1] }, decision, 0, 0, 0);
}

describe("KeyStates", () => {
  it("keeps those that are out when a flood of others comes, and never more than it may", () => {
    const keys = new KeyStates(100);
    for (let index = 0; index < 40; index++) keys.refuse(`blocked ${index}`, refusal(60_000), 1);
    for (let index = 0; index < 5000; index++) keys.open(`flood ${index}`, 1);
    for (let index = 0; index < 40; index++) expect(keys.get(`blocked ${index}`)?.refusal).toBeDefined();
    expect(keys.size).toBe(100);
  });

  it("lets those go whose refusal has ended, and of more that are out than there is room for the oldest", () => {
    const keys = new KeyStates(100);
    for (let index = 0; index < 100; index++) keys.refuse(`blocked ${index}`, refusal(500), 1);
    for (let index = 0; index < 60; index++) keys.refuse(`later ${index}`, refusal(60_000), 400);
    expect(keys.size).toBe(100);
    for (let index = 0; index < 60; index++) expect(keys.get(`later ${index}`)).toBeDefined();
    for (let index = 0; index < 500; index++) keys.open(`flood ${index}`, 501);
    for (let index = 0; index < 60; index++) expect(keys.get(`later ${index}`)).toBeDefined();
    expect(keys.size).toBe(100);
  });
});
