import { type ContestResult, perSecond } from "./contest.js";
import { serverKind, serverTitle } from "./servers.js";
import { median } from "./statistics.js";

const WIDTH = 760;
const LABEL_WIDTH = 230;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 18;
const ROW_HEIGHT = 24;
const TITLE_HEIGHT = 44;

const COLORS = { cello: "#b4532a", reference: "#8a8f98", peer: "#4a6fa5" } as const;

/** A bar chart as SVG: a panel per workload, a bar per server, requests per second. */
export function drawChart(contests: readonly ContestResult[]): string {
  const panels: string[] = [];
  let top = 8;
  for (const contest of contests) {
    panels.push(drawPanel(contest, top));
    top += TITLE_HEIGHT + contest.servers.length * ROW_HEIGHT;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top + 12}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...panels,
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ title, servers }: ContestResult, top: number): string {
  const bars = servers.map(({ server, rounds }) => ({ server, rate: median(rounds.map(perSecond)) }));
  const highest = Math.max(...bars.map(({ rate }) => rate), 1);
  const heading = `<text x="12" y="${top + 26}" font-weight="600" fill="#1c1e21">${escapeText(title)}, requests/s</text>`;
  const rows = bars.map(({ server, rate }, index) => {
    const y = top + TITLE_HEIGHT + index * ROW_HEIGHT;
    const width = (rate / highest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH);
    const kind = serverKind(server);
    const weight = kind === "cello" ? "600" : "400";
    return [
      `<text x="${LABEL_WIDTH - 10}" y="${y + 13}" text-anchor="end" font-weight="${weight}" fill="#1c1e21">${escapeText(serverTitle(server))}</text>`,
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${COLORS[kind]}"/>`,
      `<text x="${(LABEL_WIDTH + width + 8).toFixed(1)}" y="${y + 13}" fill="#1c1e21">${Math.round(rate).toLocaleString("en")}</text>`,
    ].join("\n");
  });
  return [heading, ...rows].join("\n");
}

function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}
