import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CRASHES, readCrash, type Target } from "./harness.ts";
import { acceptorTarget, initiatorTarget } from "./target-handshake.ts";
import { nodeHeadersTarget, nodePlainTarget } from "./target-node.ts";
import { certificateTarget, epmdTarget, makeCertificates, nameTarget } from "./target-outside.ts";
import { termTarget, textTarget } from "./target-term.ts";
import { deframerTarget, receiveHeaderTarget, receivePlainTarget } from "./target-wire.ts";

const TARGETS: readonly Target[] = [
  acceptorTarget,
  certificateTarget,
  deframerTarget,
  epmdTarget,
  initiatorTarget,
  nameTarget,
  nodeHeadersTarget,
  nodePlainTarget,
  receiveHeaderTarget,
  receivePlainTarget,
  termTarget,
  textTarget,
];

it("crashes: every input that once broke something is harmless now", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sallyport-crashes-"));
  await makeCertificates(directory);
  rmSync(directory, { recursive: true, force: true });
  const byName = new Map(TARGETS.map((target) => [target.name, target]));
  const files = readdirSync(CRASHES).filter((file) => file.endsWith(".hex"));
  for (const file of files) {
    const { target, bytes } = readCrash(file);
    const known = byName.get(target);
    expect(known, `${file} names an unknown target`).toBeDefined();
    expect(() => known?.run(bytes), file).not.toThrow();
  }
  expect(files.length).toBeGreaterThan(0);
});
