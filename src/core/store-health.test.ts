import { expect, it } from "vitest";
import { EventHub } from "./events.js";
import { StoreHealth } from "./store-health.js";

function setUp() {
  let nowMs = 0;
  const told: string[] = [];
  const events = new EventHub();
  events.on("store.error", ({ store, message }) => told.push(`${store}: ${message}`));
  events.on("store.recovered", ({ store }) => told.push(`${store} recovered`));
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const health = new StoreHealth("session", events, clock);
  const pass = (milliseconds: number) => {
    nowMs += milliseconds;
  };
  return { health, told, pass };
}

it("tells a failure once, and the first answer after it once", () => {
  const { health, told } = setUp();
  health.answered();
  for (let count = 0; count < 3; count++) health.failed(new Error("gone"));
  for (let count = 0; count < 3; count++) health.answered();
  expect(told).toEqual(["session: gone", "session recovered"]);
});

it("tells the next outage as it did the first", () => {
  const { health, told, pass } = setUp();
  for (let outage = 0; outage < 2; outage++) {
    health.failed("gone");
    health.answered();
    pass(5000);
  }
  expect(told).toEqual(["session: gone", "session recovered", "session: gone", "session recovered"]);
});

it("does not tell of each request while failures and answers alternate", () => {
  const { health, told, pass } = setUp();
  for (let request = 0; request < 1000; request++) {
    health.failed("gone");
    health.answered();
    pass(10);
  }
  expect(told).toEqual(["session: gone", "session recovered", "session: gone"]);
  expect(health.isDown).toBe(true);
  pass(990);
  health.answered();
  expect(told.at(-1)).toBe("session recovered");
});
