import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, configure, type Fields, refused, runCli } from "./cli-process.ts";

let home = "";

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "sallyport-cli-firewall-"));
  const accept = { sources: ["203.0.113.0/24", "peers"], refuse: ["203.0.113.66"] };
  const resolve = { "shop@db1.example": "198.51.100.7:9100" };
  configure(home, "home@192.0.2.1", {
    listen: ["tls://0.0.0.0:9100-9155"],
    epmd: "register",
    accept,
    resolve,
    seeds: ["desk@192.0.2.9"],
  } as Fields);
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("firewall", () => {
  it("prints what the configuration says, and no secret or file is read for it", async () => {
    const { code, out, err } = await runCli(home, ["firewall", "nftables"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("elements = { 203.0.113.0/24, 198.51.100.7/32, 192.0.2.9/32 }\n");
    expect(out).toContain("elements = { 203.0.113.66/32 }\n");
    expect(out).toContain("    tcp dport 9100-9155 counter drop\n");
    expect(out).toContain("    tcp dport 4369 ip saddr @allowed4 accept\n");
  });

  it("prints a NetworkPolicy, or why it cannot", async () => {
    const { text, warnings } = await ask(
      home,
      "firewall",
      "networkpolicy",
      "--label",
      "app=home",
      "--namespace",
      "prod",
    );
    expect(warnings).toEqual([]);
    expect(text).toMatch(/name: sallyport-home-192-0-2-1\n {2}namespace: prod\n/);
    expect(text).toContain('cidr: "203.0.113.0/24"\n            except:\n              - "203.0.113.66/32"\n');
    expect(text).toContain("port: 9100\n          endPort: 9155\n");
    expect(await refused(home, "firewall", "networkpolicy")).toMatchObject({
      exit: 2,
      reason: "FIREWALL_LABELS_MISSING",
    });
    expect(await refused(home, "firewall", "networkpolicy", "--label", "a=b\nc")).toMatchObject({
      exit: 2,
      reason: "USAGE",
    });
    const namespace = ["--label", "a=b", "--namespace", "x\ny"];
    expect(await refused(home, "firewall", "networkpolicy", ...namespace)).toMatchObject({
      exit: 2,
      reason: "FIREWALL_NAMESPACE",
    });
    expect(await refused(home, "firewall", "nftables", "--listen", "tls://0.0.0.0:0")).toMatchObject({
      exit: 2,
      reason: "FIREWALL_PORT_UNKNOWN",
    });
  });

  it("prints the rules of a gateway's outside", async () => {
    const file = {
      version: 1,
      accept: { outside: { sources: ["peers"] }, inside: { sources: ["10.0.0.0/8"] } },
      epmd: { outside: "0.0.0.0:4369" },
      pairs: [
        {
          inside: { node: "desk@desk.example", address: "tcp://127.0.0.1:9405", cookie: "x".repeat(16) },
          outside: {
            nodes: ["shop@203.0.113.9"],
            listen: "tls://192.0.2.1:9400",
            addresses: { "shop@203.0.113.9": "tls://203.0.113.7:9100" },
            cookie: "y".repeat(16),
            tls: { certFile: "c", keyFile: "k", caFile: "a" },
          },
        },
      ],
    };
    writeFileSync(join(home, "gateway.jsonc"), JSON.stringify(file));
    const { text } = await ask(home, "firewall", "nftables", "--gateway", "gateway.jsonc");
    expect(text).toContain("elements = { 203.0.113.7/32 }");
    expect(text).toContain("    ip daddr 192.0.2.1 tcp dport 9400 ip saddr @allowed4 accept\n");
    expect(text).toContain("    tcp dport 4369 counter drop\n");
    expect(text).not.toContain("10.0.0.0");
    expect(JSON.stringify(text)).not.toMatch(/x{16}|y{16}/);
  });

  it("is explained with its place like every setting", async () => {
    const { settings } = await ask(home, "config", "explain");
    const rows = (settings as Fields[]).filter(({ key }) => String(key).startsWith("accept."));
    expect(rows.map(({ key, value, level }) => [key, value, level])).toEqual([
      ["accept.refuse", ["203.0.113.66"], "config"],
      ["accept.sources", ["203.0.113.0/24", "peers"], "config"],
      ["accept.nodes", "every name", "default"],
    ]);
  });
});
