import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fuzz } from "./harness.ts";
import { certificateTarget, epmdTarget, makeCertificates, nameTarget } from "./target-outside.ts";

let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-fuzz-"));
  await makeCertificates(directory);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it("epmd: mutated answers and requests are read or refused", async () => {
  expect((await fuzz(epmdTarget, 0.03)).refused.size).toBeGreaterThan(1);
});

it("certificate: mutated certificates are read or refused", async () => {
  expect((await fuzz(certificateTarget, 0.04)).refused.size).toBeGreaterThanOrEqual(1);
});

it("name: only plain node names are taken", async () => {
  expect((await fuzz(nameTarget, 0.02)).refused.size).toBeGreaterThanOrEqual(1);
});
