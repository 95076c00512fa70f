import { expect, it } from "vitest";
import { EventHub } from "./events.js";
import { StoreGuard } from "./store-guard.js";

function setUp() {
  let nowMs = 0;
  const told: string[] = [];
  const events = new EventHub();
  events.on("store.error", ({ store, message }) => told.push(`${store}: ${message}`));
  events.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const guard = new StoreGuard("session", "the session store failed", events, clock);
  const pass = (milliseconds: number) => {
    nowMs += milliseconds;
  };
  return { guard, told, pass };
}

it("tells a failure once, and the first answer after it once", () => {
  const { guard, told } = setUp();
  guard.answered();
  for (let count = 0; count < 3; count++) guard.failed(new Error("gone"));
  for (let count = 0; count < 3; count++) guard.answered();
  expect(told).toEqual(["session: gone", "session recovered"]);
});

it("tells the next outage as it did the first", () => {
  const { guard, told, pass } = setUp();
  for (let outage = 0; outage < 2; outage++) {
    guard.failed("gone");
    guard.answered();
    pass(5000);
  }
  expect(told).toEqual(["session: gone", "session recovered", "session: gone", "session recovered"]);
});

it("does not tell of each request while failures and answers alternate", () => {
  const { guard, told, pass } = setUp();
  for (let request = 0; request < 1000; request++) {
    guard.failed("gone");
    guard.answered();
    pass(10);
  }
  expect(told).toEqual(["session: gone", "session recovered", "session: gone"]);
  pass(990);
  guard.answered();
  expect(told.at(-1)).toBe("session recovered");
});
