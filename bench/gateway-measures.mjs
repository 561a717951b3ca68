// What the gateway bench measures. Aims: shares of the blind relay, or microseconds beyond it.

const KIB = 1024;
const MIB = 1024 * KIB;
/** Calls under way at once. */
const DEPTH = 64;
/** Of answers of 64 KiB: 64 of them would be 4 MiB under way. */
const FEW = 16;

export const MEASURES = [
  oneway("100B", "100 B to the worker", 100, 0.6),
  oneway("1KiB", "1 KiB to the worker", KIB),
  oneway("64KiB", "64 KiB to the worker", 64 * KIB, 0.8),
  answers("calls", "calls, 64 in flight", 0, DEPTH),
  answers("1KiB-answers", "1 KiB answers, 64 in flight", KIB, DEPTH),
  answers("64KiB-answers", "64 KiB answers, 16 in flight", 64 * KIB, FEW, 0.8),
  latency("p50", "call p50", 60),
  latency("p99", "call p99"),
];

/** Over TLS on the outside these are enough: what lies between the two sides is the same. */
export const TLS_MEASURES = MEASURES.filter(({ name }) =>
  ["100B", "64KiB", "64KiB-answers", "p50", "p99"].includes(name),
).map((measure) => ({
  ...measure,
  name: `tls-${measure.name}`,
  title: `TLS: ${measure.title}`,
  references: ["relay"],
}));

function oneway(name, title, size, aim) {
  const isLarge = size >= 64 * KIB;
  return {
    name,
    title,
    unit: isLarge ? "MiB/s" : "msg/s",
    better: "more",
    references: ["relay", "direct"],
    aims: aim === undefined ? {} : { relay: aim },
    burst: (commander, node, ms) => commander.ask("oneway", node, size, ms),
    value: ({ bytes, messages, seconds }) => (isLarge ? bytes / MIB : messages) / seconds,
    operations: ({ messages }) => messages,
  };
}

function answers(name, title, size, depth, aim) {
  const isLarge = size >= 64 * KIB;
  return {
    name,
    title,
    unit: isLarge ? "MiB/s" : "calls/s",
    better: "more",
    references: ["relay", "direct"],
    aims: aim === undefined ? {} : { relay: aim },
    burst: (commander, node, ms) =>
      size === 0 ? commander.ask("inflight", node, depth, ms) : commander.ask("answers", node, size, depth, ms),
    value: ({ calls, seconds }) => (isLarge ? (calls * size) / MIB : calls) / seconds,
    operations: ({ calls }) => calls,
  };
}

/** p50 and p99 come from one burst: the second reads the result of the first. */
function latency(name, title, beyond) {
  return {
    name,
    title,
    unit: "us",
    better: "less",
    references: ["relay", "direct"],
    aims: {},
    mostBeyond: beyond === undefined ? {} : { relay: beyond },
    shares: "latency",
    burst: (commander, node, ms) => commander.ask("latency", node, ms),
    value: (result) => result[name],
    operations: ({ samples }) => samples,
  };
}
