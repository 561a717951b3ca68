// Medians, spreads, ratios and the table. A ratio is taken within each round, then its median over the rounds.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * `samples`: subject to figures by round; `cpu`: subject to `{receiver, sender}` microseconds per operation by round;
 * `ownName`: the subject that is compared with the others.
 * Returns everything the table and the JSON file show of one measure.
 */
export function summarize(measure, samples, cpu = {}, ownName = "sallyport") {
  const subjects = {};
  for (const [subject, values] of Object.entries(samples)) {
    if (values.length === 0) continue;
    subjects[subject] = { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
  }
  const own = samples[ownName] ?? [];
  const ratios = {};
  const beyond = {};
  for (const reference of measure.references) {
    const theirs = samples[reference] ?? [];
    if (own.length === 0 || own.length !== theirs.length) continue;
    const perRound = own.map((value, round) => value / theirs[round]);
    const ratio = { median: median(perRound), min: Math.min(...perRound), max: Math.max(...perRound) };
    const aim = measure.aims[reference];
    if (aim !== undefined) {
      ratio.aim = aim;
      ratio.met = measure.better === "more" ? ratio.median >= aim : ratio.median <= aim;
    }
    ratios[reference] = ratio;
    const most = measure.mostBeyond?.[reference];
    if (most === undefined) continue;
    const differences = own.map((value, round) => value - theirs[round]);
    const middle = median(differences);
    beyond[reference] = {
      median: middle,
      min: Math.min(...differences),
      max: Math.max(...differences),
      most,
      met: middle <= most,
    };
  }
  return {
    name: measure.name,
    title: measure.title,
    unit: measure.unit,
    better: measure.better,
    subjects,
    ratios,
    beyond,
    cpu: cpuOf(cpu),
  };
}

function cpuOf(cpu) {
  return Object.fromEntries(
    Object.entries(cpu).map(([subject, rounds]) => [
      subject,
      {
        receiver: median(rounds.map((round) => round.receiver)),
        sender: median(rounds.map((round) => round.sender)),
      },
    ]),
  );
}

const COLUMNS = ["sallyport", "otp", "loop", "raw"];
const TITLES = { sallyport: "Sallyport", otp: "OTP", loop: "bare loop", raw: "raw TLS" };

/** The table as text: figures with their spread, then the ratios with the aims. */
export function table(summaries) {
  const head = ["", "unit", ...COLUMNS.map((column) => TITLES[column])];
  const rows = summaries.map((summary) => [
    summary.title,
    summary.unit,
    ...COLUMNS.map((column) => figure(summary.subjects[column])),
  ]);
  const ratioHead = ["", "against OTP", "of bare loop", "of raw TLS", "aims"];
  const ratioRows = summaries
    .filter((summary) => Object.keys(summary.ratios).length > 0)
    .map((summary) => [
      summary.title,
      ratio(summary.ratios.otp, times),
      ratio(summary.ratios.loop, percent),
      ratio(summary.ratios.raw, summary.better === "less" ? times : percent),
      aims(summary),
    ]);
  const parts = [align([head, ...rows])];
  for (const summary of summaries) parts.push(...differences(summary));
  if (ratioRows.length > 0) parts.push(align([ratioHead, ...ratioRows]));
  const cpuRows = summaries
    .filter((summary) => Object.keys(summary.cpu).length > 0)
    .map((summary) => [summary.title, ...COLUMNS.map((column) => cpuText(summary.cpu[column]))]);
  const cpuHead = ["processor us per operation", ...COLUMNS.map((column) => TITLES[column])];
  if (cpuRows.length > 0) parts.push(align([cpuHead, ...cpuRows]));
  return parts.join("\n\n");
}

/** What a measure takes above a reference, each round's difference for itself. */
function differences({ title, unit, beyond }) {
  return Object.entries(beyond).map(([reference, { median: middle, min, max, most, met }]) => {
    const figure = `${short(middle)} ${unit} (${short(min)}-${short(max)})`;
    return `${title} beyond ${TITLES[reference]}: ${figure}; aim at most ${most} ${unit}: ${met ? "met" : "MISSED"}`;
  });
}

/** One figure with its unit, for progress lines. */
export function short(value) {
  if (value >= 100_000) return `${Math.round(value / 1000)}k`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export function figure(subject) {
  if (subject === undefined) return "-";
  const { median: middle, min, max } = subject;
  return min === max ? short(middle) : `${short(middle)} (${short(min)}-${short(max)})`;
}

/** Receiver and sender; hardly touched by what else the machine does. */
function cpuText(cpu) {
  return cpu === undefined ? "-" : `${cpu.receiver.toFixed(2)} + ${cpu.sender.toFixed(2)}`;
}

export function ratio(value, show) {
  return value === undefined ? "-" : `${show(value.median)} (${show(value.min)}-${show(value.max)})`;
}

export function times(value) {
  return `${value.toFixed(2)}x`;
}

export function percent(value) {
  return `${Math.round(value * 100)} %`;
}

function aims(summary) {
  const bound = summary.better === "more" ? ">=" : "<=";
  const texts = Object.entries(summary.ratios).flatMap(([reference, { aim, met }]) => {
    if (aim === undefined) return [];
    const wanted = reference === "otp" || summary.better === "less" ? `${aim}x` : percent(aim);
    return `${TITLES[reference]} ${bound} ${wanted} ${met ? "met" : "MISSED"}`;
  });
  return texts.length === 0 ? "-" : texts.join(", ");
}

export function align(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
