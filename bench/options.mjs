// Command line of `npm run bench`.
import { parseArgs } from "node:util";

export const HELP = `Usage: npm run bench -- [options]

Two processes per subject over TLS 1.3 on loopback: Sallyport, two OTP nodes (when \`erl\` is present), a bare
length-prefix loop and raw TLS bytes. Medians over interleaved rounds; a missed aim is shown, never a failure.

  --rounds N        rounds; default 7
  --quick           3 rounds, shorter bursts
  --ms N            length of one burst in milliseconds; default 1000 (--quick 400)
  --only A,B        measures: 100B, 1KiB, 64KiB, 1MiB, p50, p99, inflight, connects, handshake, memory
  --subjects A,B    subjects: sallyport, otp, loop, raw
  --idle N          idle connections of the memory measure; default 500 (--quick 200)
  --wait N          longest wait in seconds for a load average below 0.6; default 120 (--quick 10)
  --json FILE       also write everything, each round included, to FILE
  --cpu-prof DIR    write CPU profiles of all Node processes to DIR
  --help`;

const SUBJECTS = ["sallyport", "otp", "loop", "raw"];

/** Reads the command line. @throws {Error} with a sentence for the user */
export function readOptions(argv, measureNames) {
  const { values } = parseArgs({
    args: argv,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      ms: { type: "string" },
      only: { type: "string" },
      subjects: { type: "string" },
      idle: { type: "string" },
      wait: { type: "string" },
      json: { type: "string" },
      "cpu-prof": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { quick } = values;
  return {
    help: values.help,
    quick,
    rounds: whole("rounds", values.rounds ?? (quick ? "3" : "7")),
    ms: whole("ms", values.ms ?? (quick ? "400" : "1000")),
    only: picks("only", values.only, measureNames),
    subjects: picks("subjects", values.subjects, SUBJECTS),
    idle: whole("idle", values.idle ?? (quick ? "200" : "500")),
    waitSeconds: whole("wait", values.wait ?? (quick ? "10" : "120"), 0),
    json: values.json,
    cpuProfiles: values["cpu-prof"],
  };
}

function whole(name, text, least = 1) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} ${text}: a whole number from ${least} is needed`);
  return value;
}

function picks(name, text, known) {
  if (text === undefined) return known;
  const picked = text.split(",").filter((entry) => entry !== "");
  const unknown = picked.filter((entry) => !known.includes(entry));
  if (unknown.length > 0) throw new Error(`--${name} ${unknown.join(",")} is unknown; known: ${known.join(", ")}`);
  return picked;
}
