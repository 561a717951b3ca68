// The table of the gateway bench.
import { align, figure, median, percent, ratio, short } from "./report.mjs";

export function gatewayTable(summaries) {
  const head = ["", "unit", "direct", "blind relay", "gateway", "of the relay", "between: relay", "gateway", "aim"];
  const rows = summaries.map(({ title, unit, better, subjects, ratios, beyond, cpu }) => [
    title,
    unit,
    figure(subjects.direct),
    figure(subjects.relay),
    figure(subjects.gateway),
    better === "more" ? ratio(ratios.relay, percent) : ratio(beyond.relay, (value) => `+${short(value)} us`),
    cpuText(cpu.relay),
    cpuText(cpu.gateway),
    aimText(ratios.relay, beyond.relay),
  ]);
  return align([head, ...rows]);
}

/** Processor time of the process in between for one message or call. */
function cpuText(values) {
  return values === undefined ? "-" : `${median(values).toFixed(2)} us`;
}

function aimText(share, beyond) {
  if (share?.aim !== undefined) return `>= ${percent(share.aim)} ${share.met ? "met" : "MISSED"}`;
  return beyond === undefined ? "-" : `<= +${beyond.most} us ${beyond.met ? "met" : "MISSED"}`;
}
