// What is measured, in which unit, by which subjects, and what is aimed at.

const KIB = 1024;
const MIB = 1024 * 1024;

/** Name, unit and figure of each measure; `burst(pair, kind, ms)` runs it once and `value` reads the figure. */
export const MEASURES = [
  oneway("100B", "100 B one way", 100, "msg/s", ["loop"], { otp: 3, loop: 0.6 }),
  oneway("1KiB", "1 KiB one way", KIB, "msg/s", ["loop"], { otp: 4, loop: 0.6 }),
  oneway("64KiB", "64 KiB one way", 64 * KIB, "MiB/s", ["loop", "raw"], { otp: 6, raw: 0.6 }),
  oneway("1MiB", "1 MiB one way", MIB, "MiB/s", ["loop", "raw"], { otp: 6, raw: 0.6 }),
  latency("p50", "call p50", { otp: 1, raw: 1.25 }),
  latency("p99", "call p99", {}),
  {
    name: "inflight",
    title: "calls, 64 in flight",
    unit: "calls/s",
    better: "more",
    references: ["otp", "loop"],
    aims: { otp: 2 },
    burst: (pair, _kind, ms) => pair.inflight(64, ms),
    value: (result) => result.calls / result.seconds,
    operations: (result) => result.calls,
  },
  {
    name: "connects",
    title: "connects",
    unit: "connects/s",
    better: "more",
    references: ["otp", "raw"],
    aims: {},
    burst: (pair, _kind, ms) => pair.connects(ms),
    value: (result) => result.connects / result.seconds,
    operations: (result) => result.connects,
  },
];

/** Native sessions of pinned peers with keys in memory, beside TLS alone; measured apart, in two processes of its own. */
export const HANDSHAKE = {
  name: "handshake",
  title: "handshake p50",
  unit: "us",
  better: "less",
  references: ["raw"],
  aims: {},
  /** At most this many microseconds above the reference. */
  mostBeyond: { raw: 1500 },
};

/** Measured apart from the rounds, each time in fresh processes. */
export const MEMORY = {
  name: "memory",
  title: "idle connection",
  unit: "KiB",
  better: "less",
  references: ["otp", "raw"],
  aims: {},
};

function oneway(name, title, size, unit, plain, aims) {
  return {
    name,
    title,
    unit,
    better: "more",
    references: ["otp", ...plain],
    aims,
    size,
    burst: (pair, kind, ms) => pair.oneway(kind, size, ms),
    value: (result) => (unit === "MiB/s" ? result.bytes / MIB : result.messages) / result.seconds,
    operations: (result) => result.messages ?? result.bytes / size,
  };
}

/** p50 and p99 come from one burst: the second reads the result of the first. */
function latency(name, title, aims) {
  return {
    name,
    title,
    unit: "us",
    better: "less",
    references: ["otp", "raw"],
    aims,
    shares: "latency",
    burst: (pair, _kind, ms) => pair.latency(ms),
    value: (result) => result[name],
    operations: (result) => result.samples,
  };
}
