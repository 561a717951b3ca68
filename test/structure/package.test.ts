import { describe, expect, it } from "vitest";
import { readText } from "./scan.ts";

interface Manifest {
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readText("package.json") ?? "") as Manifest;
const lock = JSON.parse(readText("package-lock.json") ?? "") as { packages: Readonly<Record<string, Locked>> };
const direct = { ...manifest.dependencies, ...manifest.devDependencies };

describe("the packages", () => {
  it("are pinned to one version each", () => {
    expect(Object.entries(direct).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it("stand in docs/dependencies.md, each in a row", () => {
    const listed = [...(readText("docs/dependencies.md") ?? "").matchAll(/^\| `([^`]+)` \|/gm)].map((m) => m[1]);
    expect(listed.sort()).toEqual(Object.keys(direct).sort());
  });

  it("are locked for every platform, or `npm ci` refuses", () => {
    const missing: string[] = [];
    for (const [path, { optionalDependencies }] of Object.entries(lock.packages)) {
      for (const name of Object.keys(optionalDependencies ?? {})) {
        const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
        if (!places.some((place) => lock.packages[place]?.version !== undefined)) missing.push(name);
      }
    }
    expect(missing, "a registry without these packages makes npm drop them from the lock file").toEqual([]);
    expect(Object.keys(lock.packages).length).toBeGreaterThan(50);
  });

  it("are locked without addresses of a registry", () => {
    expect(Object.keys(lock.packages).filter((path) => lock.packages[path]?.resolved !== undefined)).toEqual([]);
  });

  it("ship what the demo plays", () => {
    expect(manifest.files).toContain("examples/three-machines");
  });

  it("need no install scripts, save optional ones of other platforms", () => {
    const scripts = Object.entries(lock.packages).filter(([, p]) => p.hasInstallScript === true && p.optional !== true);
    expect(scripts.map(([path]) => path)).toEqual([]);
  });
});
