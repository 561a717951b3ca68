import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { describe, it } from "vitest";

const ip = (...args: readonly string[]): string => execFileSync("ip", args, { encoding: "utf8", stdio: "pipe" });

/** Hosts with an address each on one switch, all in network namespaces of their own: nothing of them is in ours. */
export class Hosts {
  readonly #prefix: string;
  readonly #made: string[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** @param addresses of each host, by a short name; IPv4, all in one /24 */
  static make(addresses: Readonly<Record<string, string>>): Hosts {
    removeAbandoned();
    const hosts = new Hosts(`sp${process.pid}x${Date.now().toString(36)}`);
    try {
      hosts.#add("sw");
      ip("-n", hosts.#name("sw"), "link", "add", "br0", "type", "bridge");
      ip("-n", hosts.#name("sw"), "link", "set", "br0", "up");
      for (const [host, address] of Object.entries(addresses)) hosts.#connect(host, address);
    } catch (error) {
      hosts.remove();
      throw error;
    }
    return hosts;
  }

  /** Words before a program that is to run on a host. */
  on(host: string): readonly string[] {
    return ["ip", "netns", "exec", this.#name(host)];
  }

  /** Pulls the cable of a host out of the switch, or puts it back. */
  cable(host: string, state: "up" | "down"): void {
    ip("-n", this.#name("sw"), "link", "set", host, state);
  }

  /** Gives a host another address in place of its own. */
  readdress(host: string, from: string, to: string): void {
    ip("-n", this.#name(host), "addr", "add", `${to}/24`, "dev", "eth0");
    ip("-n", this.#name(host), "addr", "del", `${from}/24`, "dev", "eth0");
    // With its first address went the route, where the system promotes no second one.
    ip("-n", this.#name(host), "addr", "replace", `${to}/24`, "dev", "eth0");
  }

  /** What a host sends to an address vanishes, answers too: as behind a filter that drops. */
  swallow(host: string, address: string): void {
    ip("-n", this.#name(host), "route", "add", "blackhole", `${address}/32`);
  }

  /** Takes all of it away. What runs there has to be ended before. */
  remove(): void {
    for (const name of this.#made.splice(0)) {
      try {
        ip("netns", "del", name);
      } catch (error) {
        console.warn(`namespace ${name} is left: ${String(error)}`);
      }
    }
  }

  #connect(host: string, address: string): void {
    this.#add(host);
    const [own, sw] = [this.#name(host), this.#name("sw")];
    ip("-n", own, "link", "add", "eth0", "type", "veth", "peer", "name", host, "netns", sw);
    ip("-n", sw, "link", "set", host, "master", "br0", "up");
    ip("-n", own, "addr", "add", `${address}/24`, "dev", "eth0");
    for (const device of ["lo", "eth0"]) ip("-n", own, "link", "set", device, "up");
  }

  #add(host: string): void {
    const name = this.#name(host);
    ip("netns", "add", name);
    this.#made.push(name);
  }

  #name(host: string): string {
    return `${this.#prefix}-${host}`;
  }
}

/** Takes away what a run left that was killed. */
function removeAbandoned(): void {
  for (const [name, pid] of ip("netns", "list").matchAll(/^sp(\d+)x\w+-\w+/gm))
    if (!existsSync(`/proc/${pid}`)) ip("netns", "del", name);
}

/** Why there are no namespaces for us; undefined when there are. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    Hosts.make({ probe: "10.77.1.1" }).remove();
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return "ip not found; on Debian: apt-get install -y --no-install-recommends iproute2";
    return `this system makes no network namespaces: ${(error as Error).message.trim()}`;
  }
}

/** A `describe` that needs hosts of its own. Where there can be none it is skipped with a printed message, and fails when `CI=true`. */
export function describeWithHosts(title: string, body: () => void): void {
  const reason = obstacle();
  if (reason === undefined) {
    describe(title, body);
  } else if (process.env["CI"] === "true") {
    describe(title, () => {
      it("has network namespaces", () => {
        throw new Error(reason);
      });
    });
  } else {
    console.warn(`SKIPPED tests of three hosts: ${reason}`);
    // biome-ignore lint/suspicious/noSkippedTests: announced above, and a failure in CI
    describe.skip(title, body);
  }
}
