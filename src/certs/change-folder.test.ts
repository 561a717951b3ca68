import { beforeAll, describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { certFilesIn, certsWorld } from "../testkit/certs-world.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { listBackups, rollbackChanges } from "./backups.ts";
import { type Changed, changeFolder, type Plan } from "./change-folder.ts";
import { type FolderTexts, FolderView } from "./folder-view.ts";
import { PENDING_FILE } from "./layout.ts";
import { planAuthority, planIssue } from "./make.ts";
import { readLeaf, readRoots } from "./read-folder.ts";
import { planRenewal } from "./renew.ts";
import { planRotation } from "./rotate-ca.ts";

const DIR = "/certs";
const SHOP = "shop@db1.example";

type Texts = Readonly<Record<string, string>>;
type Planner = (texts: FolderTexts, files: FaultyFiles) => Promise<Plan<unknown>> | Plan<unknown>;

const overlapMs = 0;
const all = { only: [], force: true };
const world = certsWorld();

/** Each command, and those that were done before it. */
const COMMANDS: readonly (readonly [string, Planner])[] = [
  ["ca", (texts) => planAuthority(world, texts, { days: 3650 })],
  ["issue", (texts) => planIssue(world, texts, { name: parseNodeName(SHOP) })],
  ["issue another", (texts) => planIssue(world, texts, { name: parseNodeName("desk@home.example") })],
  ["renew", (texts) => planRenewal(world, texts, { ...all, newKey: false })],
  ["renew with new keys", (texts) => planRenewal(world, texts, { ...all, newKey: true })],
  ["rotate-ca trust", (texts) => planRotation(world, texts, "trust", { overlapMs })],
  ["rotate-ca issue", (texts) => planRotation(world, texts, "issue", { overlapMs })],
  ["rotate-ca drop", (texts) => planRotation(world, texts, "drop", { overlapMs })],
  ["rollback", (texts, files) => ({ ...rollbackChanges({ ...world, files }, DIR, texts, undefined), result: 0 })],
];

interface Scene {
  readonly name: string;
  readonly disk: FaultyFiles;
  /** What the command makes of the disk: computed once, since keys and serial numbers are new each time. */
  readonly plan: Plan<unknown>;
  readonly before: Texts;
  readonly after: Texts;
}

const scenes = new Map<string, Scene>();
beforeAll(async () => {
  let files = new FaultyFiles();
  for (const [name, planner] of COMMANDS) {
    const disk = files.survivor();
    const plan = await planner(new FolderView(disk, DIR), disk);
    const before = certFilesIn(disk, DIR);
    await change(files, name, () => plan);
    scenes.set(name, { name, disk, plan, before, after: certFilesIn(files, DIR) });
    files = files.survivor();
  }
});

function change<T>(
  files: FaultyFiles,
  name: string,
  plan: (texts: FolderTexts) => Plan<T>,
  minutes = 0,
): Promise<Changed<T>> {
  return changeFolder(certsWorld(files, minutes / (24 * 60)), DIR, name, plan);
}

/** What the next command that writes makes of what a killed one left. */
async function healed(files: FaultyFiles): Promise<Texts> {
  await change(files, "heal", () => ({ changes: [], result: 0 }), 11);
  return certFilesIn(files, DIR);
}

/** Stems of the nodes that could not start from the folder as it is. */
function unusable(files: FaultyFiles): readonly string[] {
  const view = new FolderView(files, DIR);
  return view.stems.filter((stem) => {
    const leaf = readLeaf(view, stem, readRoots(view));
    return leaf?.chain?.ok !== true || leaf.key === "differs";
  });
}

describe.each(COMMANDS.map(([name]) => name).filter((name) => name !== "issue another"))("certs %s", (name) => {
  const scene = (): Scene => scenes.get(name) ?? expect.unreachable();

  /**
   * Steps at which to fail: around the begin, the middle and the end of each access that writes. The steps between only
   * lengthen a temporary file.
   */
  async function stepsOf({ disk, plan }: Scene): Promise<readonly number[]> {
    const files = disk.survivor();
    const steps = new Set<number>();
    const watched = new Proxy(files, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          const first = target.steps;
          try {
            return value.apply(target, args);
          } finally {
            const { steps: end } = target;
            const around = [first, (first + end) >> 1, end - 3, end - 2, end - 1];
            for (const step of around) if (step >= first && step < end) steps.add(step);
          }
        };
      },
    });
    await change(watched, name, () => plan);
    return [...steps];
  }

  it("is done wholly or not at all, wherever it is killed", async () => {
    const { disk, plan, before, after } = scene();
    const steps = await stepsOf(scene());
    expect(steps.length).toBeGreaterThan(20);
    expect(after).not.toEqual(before);
    let halves = 0;
    for (const step of steps) {
      const killed = disk.survivor();
      killed.crashAt(step);
      await change(killed, name, () => plan).catch(() => undefined);
      const files = killed.survivor();
      const left = certFilesIn(files, DIR);
      // With the keys they have, nodes can start at every moment.
      if (!name.includes("new keys")) expect(unusable(files), `step ${step}`).toEqual([]);
      const isHalf = files.exists(`${DIR}/${PENDING_FILE}`);
      if (isHalf) halves++;
      else expect([before, after], `step ${step}`).toContainEqual(left);
      expect(await healed(files), `step ${step}`).toEqual(isHalf ? after : left);
      expect(files.exists(`${DIR}/${PENDING_FILE}`)).toBe(false);
      expect(files.paths.filter((path) => path.includes(".tmp-") && !path.includes("backups"))).toEqual([]);
    }
    // One file alone needs no record of what is to be done.
    if (plan.changes.length > 1) expect(halves).toBeGreaterThan(0);
  });

  it("leaves all as it was when the disk refuses a write, and says so", async () => {
    const { disk, plan, before, after } = scene();
    const steps = await stepsOf(scene());
    for (const step of steps) {
      const files = disk.survivor();
      files.failAt(step, "ENOSPC");
      const failure: unknown = await change(files, name, () => plan).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) {
        // The lock could not be removed, or a temporary file: nothing that was asked for.
        expect(certFilesIn(files, DIR), `step ${step}`).toEqual(after);
        continue;
      }
      expect(isSallyportError(failure) && failure.code).toBe("ERR_CONFIG");
      if (isSallyportError(failure) && failure.reason === "CERTS_NOT_WRITTEN") {
        expect(failure.detail, `step ${step}`).toMatchObject({ restored: true, system: "ENOSPC" });
      }
      expect(certFilesIn(files, DIR), `step ${step}`).toEqual(before);
      expect(files.exists(`${DIR}/${PENDING_FILE}`)).toBe(false);
    }
  });
});

describe("a change of a folder", () => {
  const renew = (): Scene => scenes.get("renew with new keys") ?? expect.unreachable();

  /** A disk on which the change was killed after it became certain. */
  async function halfDone(): Promise<FaultyFiles> {
    const { disk, plan } = renew();
    for (let step = 100; ; step += 5) {
      const killed = disk.survivor();
      killed.crashAt(step);
      const isDone = await change(killed, "renew", () => plan).then(
        () => true,
        () => false,
      );
      const files = killed.survivor();
      if (files.exists(`${DIR}/${PENDING_FILE}`)) return files;
      if (isDone) return expect.unreachable("it was done, and nothing had made it certain");
    }
  }

  it("that was left in the middle is told of, and not finished over what somebody changed since", async () => {
    const { after } = renew();
    const files = await halfDone();
    expect(files.mode(`${DIR}/${PENDING_FILE}`)).toBe(0o600);
    const finished = await change(files.survivor(), "heal", () => ({ changes: [], result: 0 }), 11);
    expect(finished.finished).toEqual(renew().plan.changes.map(({ file }) => file));
    files.put(`${DIR}/${SHOP}.key`, "another key");
    await expect(healed(files)).rejects.toMatchObject({ code: "ERR_CONFIG", reason: "CERTS_PENDING_BROKEN" });
    expect(files.readText(`${DIR}/${SHOP}.key`)).toBe("another key");
    files.put(`${DIR}/${SHOP}.key`, after[`${SHOP}.key`] ?? "");
    expect(await healed(files)).toEqual(after);
  });

  it.each([
    "",
    "{}",
    '{"version":1,"changes":[{"file":"../x.key","text":"","was":null}]}',
    '{"version":1,"changes":[3]}',
  ])("is not made of a record that is none: %s", async (text) => {
    const files = renew().disk.survivor();
    files.put(`${DIR}/${PENDING_FILE}`, text);
    await expect(healed(files)).rejects.toMatchObject({ reason: "CERTS_PENDING_BROKEN" });
  });

  it("is refused while another one is made, and when files changed while it was planned", async () => {
    const { disk, plan } = renew();
    const locked = disk.survivor();
    locked.put(`${DIR}/rotating`, "");
    await expect(change(locked, "renew", () => plan)).rejects.toMatchObject({ reason: "ROTATION_BUSY" });
    const files = disk.survivor();
    const meddling = (texts: FolderTexts): Plan<unknown> => {
      texts.read(`${SHOP}.crt`);
      files.put(`${DIR}/${SHOP}.crt`, "another certificate");
      return plan;
    };
    await expect(change(files, "renew", meddling)).rejects.toMatchObject({ reason: "CERTS_CHANGED" });
    expect(files.readText(`${DIR}/${SHOP}.crt`)).toBe("another certificate");
  });

  it("does not touch a file that came in the last moment", async () => {
    const { disk, plan } = scenes.get("ca") ?? expect.unreachable();
    const files = disk.survivor();
    const racing = new Proxy(files, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (property === "writeNew") {
          return (path: string, data: string, mode: number): void => {
            if (path === `${DIR}/ca.key`) target.put(path, "another CA");
            target.writeNew(path, data, mode);
          };
        }
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await expect(change(racing, "ca", () => plan)).rejects.toMatchObject({
      reason: "CERTS_NOT_WRITTEN",
      detail: { restored: true, system: "EEXIST" },
    });
    expect(certFilesIn(files, DIR)).toEqual({ "ca.key": "another CA" });
  });

  it("that breaks a certificate or the CA is not written", async () => {
    const { disk } = scenes.get("rollback") ?? expect.unreachable();
    const files = disk.survivor();
    const before = certFilesIn(files, DIR);
    const key = files.readText(`${DIR}/ca.key`);
    for (const [file, text] of [
      ["ca.key", files.readText(`${DIR}/${SHOP}.key`)],
      [`${SHOP}.key`, key],
      ["ca.crt", files.readText(`${DIR}/${SHOP}.crt`)],
    ] as const) {
      const plan = { changes: [{ file, text }], result: 0 };
      await expect(
        change(files, "x", () => plan),
        file,
      ).rejects.toMatchObject({ reason: "CERTS_CUT_OFF" });
    }
    expect(certFilesIn(files, DIR)).toEqual(before);
    expect(listBackups({ files }, DIR).length).toBeGreaterThan(0);
  });
});
