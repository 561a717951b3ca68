import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "vitest";

/** Debian packages that bring each program. `npm test` installs them when it runs as root. */
const PACKAGES: Readonly<Record<string, string>> = {
  erl: "erlang-nox",
  epmd: "erlang-nox",
  elixir: "elixir",
  openssl: "openssl",
};

const announced = new Set<string>();

/**
 * A `describe` that needs real Erlang nodes (`erl`, `epmd`, `openssl`). Without them it is skipped with a printed
 * message, and fails when `CI=true` or `SALLYPORT_INTEROP=1`. `SALLYPORT_INTEROP=0` skips it on purpose (not in CI).
 */
export function describeWithErlang(title: string, body: () => void): void {
  describeWith(["erl", "epmd", "openssl"], title, body);
}

/** As `describeWithErlang`, for tests that also need `elixir`. */
export function describeWithElixir(title: string, body: () => void): void {
  describeWith(["erl", "epmd", "elixir", "openssl"], title, body);
}

function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const wish = process.env["SALLYPORT_INTEROP"];
  const mandatory = process.env["CI"] === "true" || wish === "1";
  const reason = wish === "0" ? "SALLYPORT_INTEROP=0 is set" : missingMessage(programs.filter((name) => !onPath(name)));
  if (reason === undefined) {
    describe(title, body);
  } else if (mandatory) {
    describe(title, () => {
      it("has the programs it needs", () => {
        throw new Error(reason);
      });
    });
  } else {
    if (!announced.has(reason)) console.warn(`SKIPPED interop tests: ${reason}`);
    announced.add(reason);
    // biome-ignore lint/suspicious/noSkippedTests: announced above, and a failure in CI
    describe.skip(title, body);
  }
}

function missingMessage(missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map((name) => PACKAGES[name] ?? name))].join(" ");
  return `${missing.join(", ")} not found; on Debian: apt-get install -y --no-install-recommends ${packages}`;
}

function onPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== "";
    } catch {
      return false;
    }
  });
}
