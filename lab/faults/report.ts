import { QUOTA } from "./settings.js";
import type { Answer, Kind } from "./traffic.js";
import type { Trial } from "./trial.js";

const HEAD = ["fault", "limits", "sessions", "tokens", "granted of quota", "time to recover"] as const;

/** A Markdown table of what came of each fault: answers by status while it lasted and until all was as before. */
export function table(trials: readonly Trial[]): string {
  const rows = trials.map((trial) => [
    trial.name,
    ...(["limits", "sessions", "tokens"] as const).map((kind) => statuses(trial, kind)),
    `${trial.granted} of ${QUOTA}`,
    recovery(trial),
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(HEAD), "|---|---|---|---|---|---|", ...rows.map(line)].join("\n");
}

function statuses({ during, after }: Trial, kind: Kind): string {
  const counts = new Map<number, number>();
  for (const { status, kind: its } of [...during, ...after] satisfies readonly Answer[]) {
    if (its === kind) counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  const sorted = [...counts].toSorted(([one], [other]) => one - other);
  return sorted.map(([status, count]) => `${status === 0 ? "none" : status}: ${count}`).join(", ");
}

function recovery({ recoveryMs, newProcessMs }: Trial): string {
  const slowest = Math.max(recoveryMs.limits, recoveryMs.sessions, recoveryMs.tokens);
  const own = slowest === 0 ? "at once" : `${Math.round(slowest)} ms`;
  return newProcessMs === undefined ? own : `${own}; a new process ${(newProcessMs / 1000).toFixed(1)} s`;
}
