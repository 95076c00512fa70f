import { describe, expect, it } from "vitest";
import { BASELINE_SECONDS } from "./harness/baseline.js";
import { NORMAL_LOAD_SECONDS } from "./harness/normal-load.js";
import { clientGroups } from "./harness/trial.js";
import { expectedSeconds, PROTECTIONS, plannedGroups, planTrials, worksOf } from "./plan.js";
import type { Trial } from "./result.js";

const TRIAL: Trial = { work: "cpu", protection: "none", shape: "steady", clients: 50, load: 10, seconds: 8 };

describe("planTrials", () => {
  it("takes half an hour at most, baselines and the cost at normal load included", () => {
    const trials = planTrials();
    const seconds = expectedSeconds(trials) + worksOf(trials).length * BASELINE_SECONDS + NORMAL_LOAD_SECONDS;
    expect(seconds).toBeLessThanOrEqual(30 * 60);
  });

  it("has every cell for every protection, and each trial once", () => {
    const trials = planTrials();
    const names = trials.map(({ work, shape, clients, load, protection }) =>
      [work, shape, clients, load, protection].join(" "),
    );
    expect(new Set(names).size).toBe(trials.length);
    for (const protection of PROTECTIONS) {
      const own = trials.filter((trial) => trial.protection === protection);
      expect(own).toHaveLength(trials.length / PROTECTIONS.length);
    }
  });

  it("has all that the figures need", () => {
    for (const protection of PROTECTIONS) {
      const own = planTrials({ protections: [protection] });
      const loadsOf = (clients: number) =>
        own
          .filter((trial) => trial.work === "cpu" && trial.shape === "steady" && trial.clients === clients)
          .map(({ load }) => load);
      expect(loadsOf(50)).toEqual([0.5, 1, 2, 5, 10]);
      expect(loadsOf(1000)).toEqual([1, 10]);
      expect(own.map(({ shape }) => shape)).toEqual(expect.arrayContaining(["step", "polite", "greedy"]));
    }
    expect(worksOf(planTrials())).toEqual(["cpu", "cpu-synchronous", "dependency", "memory"]);
  });

  it("chooses by every field, and lengthens all but steps", () => {
    const chosen = planTrials({ works: ["cpu"], protections: ["none"], clients: [50], loads: [10], seconds: 20 });
    expect(chosen.map(({ shape, seconds }) => [shape, seconds])).toEqual([
      ["steady", 20],
      ["step", 30],
    ]);
  });

  it("says so when no trial is left", () => {
    expect(() => planTrials({ works: ["disk"] })).toThrow("no trial is left");
  });
});

describe("plannedGroups", () => {
  it("settles for three seconds before a steady load counts", () => {
    expect(plannedGroups(TRIAL)).toEqual([{ name: "all", clients: 50, phases: [{ seconds: 11, load: 10 }] }]);
  });

  it("steps from half of the capacity to the load and back", () => {
    const [group] = plannedGroups({ ...TRIAL, shape: "step", seconds: 30 });
    expect(group?.phases).toEqual([
      { seconds: 5, load: 0.5 },
      { seconds: 10, load: 10 },
      { seconds: 15, load: 0.5 },
    ]);
  });

  it("puts one greedy client beside the polite ones, who offer what they offer alone", () => {
    const alone = plannedGroups({ ...TRIAL, shape: "polite", clients: 9, load: 0.5, seconds: 6 });
    const beside = plannedGroups({ ...TRIAL, shape: "greedy", clients: 10, seconds: 6 });
    expect(beside).toEqual([...alone, { name: "greedy", clients: 1, phases: [{ seconds: 9, load: 10 }] }]);
  });
});

describe("clientGroups", () => {
  it("gives every client an address of its own, and other ones to the next trial", () => {
    const planned = plannedGroups({ ...TRIAL, clients: 1000 });
    const addresses = [0, 1].flatMap((number) =>
      clientGroups(planned, 100, number).flatMap((group) => group.addresses),
    );
    expect(new Set(addresses).size).toBe(2000);
    for (const address of addresses) expect(address).toMatch(/^127\.1[01]\.\d{1,3}\.([1-9]\d{0,2})$/);
  });

  it("keeps the addresses of polite and greedy clients apart", () => {
    const groups = clientGroups(plannedGroups({ ...TRIAL, shape: "greedy", clients: 10 }), 100, 3);
    expect(new Set(groups.flatMap(({ addresses }) => addresses)).size).toBe(10);
    expect(groups.map(({ phases }) => phases[0]?.rate)).toEqual([50, 1000]);
  });
});
