import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { LabRun, ProtectionName } from "../result.js";
import { baselineOf, goodPerSecond, titleOf } from "./figures.js";

/** Okabe and Ito's colours, which those who see few colours can tell apart. */
const COLORS: Readonly<Record<ProtectionName, string>> = {
  none: "#999999",
  "token-bucket": "#000000",
  "cello-adaptive": "#d55e00",
  "cello-shedding": "#0072b2",
  "under-pressure": "#009e73",
  toobusy: "#e69f00",
  gradient: "#cc79a7",
};
const NAMES = Object.keys(COLORS).filter((name): name is ProtectionName => name in COLORS);
const SCALE = { domain: NAMES.map(titleOf), range: NAMES.map((name) => COLORS[name]) };
const WIDTHS = { domain: NAMES.map(titleOf), range: NAMES.map((name) => (name.startsWith("cello") ? 3.5 : 1.5)) };
const CONFIG = { background: "#ffffff", font: "system-ui, sans-serif" } as const;
const WIDTH = 620;
const HEIGHT = 320;

/** Every plot of a run as SVG, by file name. */
export async function drawCharts(run: LabRun): Promise<Readonly<Record<string, string>>> {
  return {
    "good-answers.svg": await toSvg(goodAnswers(run)),
    "latency.svg": await toSvg(latency(run)),
    "step.svg": await toSvg(step(run)),
    "greedy.svg": await toSvg(greedy(run)),
  };
}

async function toSvg(spec: TopLevelSpec): Promise<string> {
  return `${await new View(parse(compile(spec).spec), { renderer: "none" }).toSVG()}\n`;
}

function steadyCpu(run: LabRun) {
  return run.trials.filter(({ work, shape, clients }) => work === "cpu" && shape === "steady" && clients === 50);
}

const color = { field: "protection", type: "nominal", scale: SCALE, title: null } as const;
const strokeWidth = { field: "protection", type: "ordinal", scale: WIDTHS, legend: null } as const;

function goodAnswers(run: LabRun): TopLevelSpec {
  const capacity = baselineOf(run, "cpu")?.capacity ?? 0;
  const values = steadyCpu(run).map((trial) => ({
    protection: titleOf(trial.protection),
    load: trial.load,
    good: goodPerSecond(trial),
  }));
  return {
    title: "Good answers, CPU work, 50 clients",
    width: WIDTH,
    height: HEIGHT,
    config: CONFIG,
    layer: [
      {
        data: { values: [{ capacity }] },
        mark: { type: "rule", strokeDash: [4, 4], color: "#555555" },
        encoding: { y: { field: "capacity", type: "quantitative" } },
      },
      {
        data: { values },
        mark: { type: "line", point: true },
        encoding: {
          x: {
            field: "load",
            type: "quantitative",
            scale: { type: "log" },
            title: "offered, multiples of the capacity",
            axis: { values: [0.5, 1, 2, 5, 10] },
          },
          y: { field: "good", type: "quantitative", title: "good answers per second (dashed: the capacity)" },
          color,
          strokeWidth,
        },
      },
    ],
  };
}

function latency(run: LabRun): TopLevelSpec {
  const values = steadyCpu(run).map((trial) => ({
    protection: titleOf(trial.protection),
    load: trial.load,
    p99: trial.latencyMs.p99,
  }));
  return {
    title: "99th percentile of admitted requests, CPU work, 50 clients",
    width: WIDTH,
    height: HEIGHT,
    config: CONFIG,
    data: { values },
    mark: { type: "line", point: true },
    encoding: {
      x: {
        field: "load",
        type: "quantitative",
        scale: { type: "log" },
        title: "offered, multiples of the capacity",
        axis: { values: [0.5, 1, 2, 5, 10] },
      },
      y: {
        field: "p99",
        type: "quantitative",
        scale: { type: "log" },
        title: "milliseconds (2,000: the clients gave up)",
      },
      color,
      strokeWidth,
    },
  };
}

const SERIES = ["good answers per second", "limit in force", "concurrency limit"];

function step(run: LabRun): TopLevelSpec {
  const values = run.trials
    .filter(({ work, shape }) => work === "cpu" && shape === "step")
    .flatMap((trial) =>
      trial.slices.flatMap(({ atSeconds, good, limit, concurrency }) => {
        const point = { protection: titleOf(trial.protection), atSeconds };
        return [
          { ...point, series: SERIES[0], value: good * 2 },
          ...(limit === null ? [] : [{ ...point, series: SERIES[1], value: limit }]),
          ...(concurrency === null ? [] : [{ ...point, series: SERIES[2], value: concurrency }]),
        ];
      }),
    );
  return {
    title: "Half of the capacity, ten times of it from second 5 to 15, half again",
    config: CONFIG,
    data: { values },
    facet: { field: "protection", type: "nominal", title: null, sort: NAMES.map(titleOf) },
    columns: 2,
    spec: {
      width: 300,
      height: 130,
      mark: { type: "line", interpolate: "step-after" },
      encoding: {
        x: { field: "atSeconds", type: "quantitative", title: "seconds" },
        y: { field: "value", type: "quantitative", title: null },
        color: {
          field: "series",
          type: "nominal",
          title: null,
          scale: { domain: SERIES, range: ["#0072b2", "#d55e00", "#009e73"] },
        },
      },
    },
  };
}

function greedy(run: LabRun): TopLevelSpec {
  const values = run.trials
    .filter(({ shape }) => shape === "greedy" || shape === "polite")
    .map(({ protection, shape, polite }) => ({
      protection: titleOf(protection),
      beside: shape === "greedy" ? "beside a greedy one" : "alone",
      share: polite === undefined ? 0 : polite.good / polite.offered,
    }));
  return {
    title: "Nine polite clients: share of their requests with a good answer",
    width: WIDTH,
    height: HEIGHT,
    config: CONFIG,
    data: { values },
    mark: "bar",
    encoding: {
      y: { field: "protection", type: "nominal", title: null, sort: NAMES.map(titleOf) },
      yOffset: { field: "beside", type: "nominal", sort: ["alone", "beside a greedy one"] },
      x: { field: "share", type: "quantitative", title: "share of offered requests" },
      color: { field: "beside", type: "nominal", title: null, scale: { range: ["#999999", "#0072b2"] } },
    },
  };
}
