import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Fault, PROBE_STAGES } from "../../src/base/diagnosis.ts";
import { COOKIE, everything, failedStage, type RecordedNode } from "./doctor-rig.ts";
import { engines, FAR, NEAR, PEER, QuicDoctorRig, type QuicSide } from "./doctor-quic-rig.ts";
import { material, random } from "./quic-rig.ts";
import { rawServer } from "./quic-raw-peer.ts";

const OTHER_COOKIE = "another-cookie-of-the-tests";

let rig: QuicDoctorRig;
beforeAll(async () => {
  rig = await QuicDoctorRig.make();
});
afterAll(() => rig.stop());

/** What both ends of a failure say. */
interface Row {
  readonly what: string;
  readonly far?: QuicSide;
  readonly near?: QuicSide;
  readonly dial?: string;
  /** Of the dialling side: code, stage, fault. */
  readonly near1: readonly [code: string, stage: string, fault: Fault];
  /** Of the accepting side. */
  readonly far1: readonly [code: string, stage: string, fault: Fault];
  readonly evidence?: object;
}

const DEBUG = process.env["DEBUG_DOCTOR"] === "1";

describe("x", () => {
  it.each([
    ["mismatch far", { pins: { [NEAR]: "wrong" } }, {}],
    ["mismatch near", {}, { pins: { [FAR]: "wrong" } }],
    ["untrusted far", { trust: "strict" }, {}],
    ["untrusted near", {}, { trust: "strict" }],
    ["revoked", { revokes: [NEAR] }, {}],
    ["revoked near", {}, { revokes: [FAR] }],
    ["skew near", {}, { skewMs: -300_000 }],
    ["skew far", { skewMs: 300_000 }, {}],
    ["cookie", {}, { cookie: OTHER_COOKIE }],
    ["policy", { options: { policy: { version: 1, node: FAR, peers: {}, rules: [] } as never } }, {}],
    ["wrong name", { name: "wrong@127.0.0.1" }, {}],
    ["fine", {}, {}],
  ] as const)("%s", async (what, far, near) => {
    const [accepting, dialling] = await rig.pair(far as QuicSide, near as QuicSide);
    const t = Date.now();
    const report = await rig.doctor.examine(dialling, FAR);
    await new Promise((r) => setTimeout(r, 300));
    console.log(what, Date.now() - t, JSON.stringify(report, null, 1), JSON.stringify(report.failure?.diagnosis), report.failure?.error.message, JSON.stringify(accepting.refused), accepting.said.join("\n"));
  });
});
