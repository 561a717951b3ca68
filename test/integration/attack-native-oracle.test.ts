import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import { Raw } from "../attack/client.ts";
import { EVIL, KeyRig, restOf, VICTIM } from "../attack/key-rig.ts";
import { auth, PROOF_INVALID } from "../attack/native-bends.ts";
import { accept, answersPing, dial, type Run, selfOf } from "../attack/native-client.ts";
import { ALPN, CONFIRM, HELLO, type Hello, helloFrame, PROOF, readHello, refusal } from "../attack/native-frames.ts";

// The victim's own messages used against it or against others: sent back, sent again, sent elsewhere.

const THIRD = "third@127.0.0.1";

let rig: KeyRig;
let third: Node;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict" });
  const dir = join(rig.directory, "third");
  mkdirSync(join(dir, "trusted"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "node.key"), randomBytes(32), { mode: 0o600 });
  writeFileSync(join(dir, "trusted", `${VICTIM}.pub`), rig.self(VICTIM).publicKey);
  third = await createNode({
    name: THIRD,
    epmd: "off",
    identity: { dir, trust: "strict" },
    listen: ["tls://127.0.0.1:0"],
  });
});
afterEach(() => rig.dropAttackers());
afterAll(async () => {
  await third.close({ timeoutMs: 0 });
  await rig.stopWell();
});

const thirdRaw = (): Promise<Raw> =>
  Raw.tls(Number(new URL(third.endpoints[0] ?? "").port), { ...rig.certificate, ALPNProtocols: [ALPN] });

describe("reflection (AU-03, AU-04)", () => {
  it("a node whose every byte comes back to it ends the connection before it signs anything", async () => {
    const { raw, outcome } = await rig.dialled();
    raw.socket.on("data", (chunk: Buffer) => raw.write(chunk));
    expect(await outcome).toBe("PEER_NAME_MISMATCH");
    await raw.untilClosed();
    expect((await restOf(raw)).map((frame) => frame[0])).toEqual([HELLO, 15]);
  });

  it("the HELLO with which it dials, brought to its own listener", async () => {
    const { raw, outcome } = await rig.dialled();
    const hello = readHello(await raw.readFrame(4));
    const second = await rig.raw();
    second.write(helloFrame(hello));
    expect(await rig.refusalOf(second)).toBe("SELF_CONNECT");
    expect(await restOf(second)).toEqual([refusal("auth").subarray(4)]);
    raw.destroy();
    expect(await outcome).toBe("CLOSED_DURING_HANDSHAKE");
  });

  it.each<readonly [string, (victim: Hello) => Partial<Hello>, string]>([
    ["its open nonce under another name and key", ({ nonce }) => ({ nonce }), "NONCE_REFLECTED"],
    ["its key and nonce under another name", ({ nonce, publicKey }) => ({ nonce, publicKey }), "NONCE_REFLECTED"],
    ["its key alone under another name", ({ publicKey }) => ({ publicKey }), "OWN_KEY"],
  ])("%s, brought to its own listener", async (_, stolen, reason) => {
    const { raw } = await rig.dialled();
    const theirs = readHello(await raw.readFrame(4));
    const files = rig.files();
    const second = await rig.raw();
    const run = await dial(second, rig.evil, { hello: stolen(theirs) });
    await rig.expectRefused(second, run, auth(reason), rig.refusalOf(second), files);
    // Nothing was signed: not even a HELLO came.
    expect(run.heard).toHaveLength(1);
    raw.destroy();
    // The nonce is open no longer, and its place is free again.
    await rig.honestSession();
  });

  it("the challenge of its acceptor, answered by its own dialler through us", async () => {
    const { raw: left, outcome } = await rig.dialled();
    const dialler = readHello(await left.readFrame(4));
    const right = await rig.raw();
    right.write(
      helloFrame({ ...dialler, name: Buffer.from(EVIL), publicKey: rig.evil.publicKey, nonce: randomBytes(32) }),
    );
    const acceptor = readHello(await right.readFrame(4));
    await right.readFrame(4);
    // The acceptor's HELLO back to the dialler, who must not take it: it says the victim's name.
    left.write(helloFrame({ ...acceptor, name: Buffer.from(EVIL) }));
    expect(await outcome).toBe("NONCE_REFLECTED");
    right.destroy();
    expect(await rig.sessions()).toEqual([]);
  });
});

describe("replay (AU-01)", () => {
  it("of all that an honest dialler sent", async () => {
    const first = await rig.raw();
    const honest = await dial(first, rig.evil);
    expect(honest.end).toBe("up");
    first.destroy();
    await rig.dropAttackers();
    const files = rig.files();
    const second = await rig.raw();
    const again = await dial(second, rig.evil, { say: saidBefore(honest) });
    await rig.expectRefused(second, again, PROOF_INVALID, rig.refusalOf(second), files);
    const third = await rig.raw();
    third.write(Buffer.concat(honest.sent));
    expect(await rig.refusalOf(third)).toBe("PROOF_INVALID");
    await third.untilClosed();
    expect((await restOf(third)).some((frame) => frame[0] === CONFIRM)).toBe(false);
    await rig.honestSession();
  });

  it("of all that an honest acceptor sent", async () => {
    const before = await rig.dialled();
    const honest = await accept(before.raw, rig.evil);
    expect([honest.end, await before.outcome]).toEqual(["up", "up"]);
    before.raw.destroy();
    await rig.dropAttackers();
    const files = rig.files();
    const { raw, outcome } = await rig.dialled();
    const again = await accept(raw, rig.evil, { say: saidBefore(honest) });
    await rig.expectRefused(raw, again, PROOF_INVALID, outcome, files);
    // The victim did not sign for somebody who has proven nothing.
    expect(again.heard.map((frame) => frame[0])).toEqual([HELLO, 15]);
  });

  it("meets a fresh nonce each time", async () => {
    const nonces = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const raw = await rig.raw();
      const run = await dial(raw, rig.evil, { proof: () => ({ signature: Buffer.alloc(64) }) });
      nonces.add(run.theirs?.nonce.toString("hex") ?? "");
      raw.destroy();
    }
    expect(nonces.size).toBe(50);
  });
});

/** The frames of an earlier run, one at each step. */
function saidBefore({ sent }: Run): (step: string, honest: Buffer) => Buffer {
  const rest = [...sent];
  return (_step, honest) => rest.shift() ?? honest;
}

describe("a dialler as an oracle", () => {
  it("gives somebody whom it trusts a proof that is good nowhere else", async () => {
    const { raw: left } = await rig.dialled();
    const victim = readHello(await left.readFrame(4));
    const right = await thirdRaw();
    right.write(helloFrame(victim));
    const asked = readHello(await right.readFrame(4));
    await right.readFrame(4);
    // We answer the victim honestly, but with the nonce that the third node wants to see signed.
    let proof: Buffer | undefined;
    const run = await withHello(left, victim, asked.nonce, (frame) => {
      proof = frame;
    });
    expect(run).toBe("up");
    const refused = new Promise<string>((resolve) => third.on("refused", ({ error }) => resolve(error.reason)));
    right.write(frameOf(proof));
    expect(await refused).toBe("PROOF_INVALID");
    expect(await restOf(right)).toEqual([refusal("auth").subarray(4)]);
    expect(third.peers()).toEqual([]);
  });

  it("and the victim itself, dialling, gets in there", async () => {
    const raw = await thirdRaw();
    const run = await dial(raw, selfOf(VICTIM, rig.self(VICTIM).seed));
    expect(run.end).toBe("up");
    expect(await answersPing(raw)).toBe(true);
    raw.destroy();
  });
});

function frameOf(body: Buffer | undefined): Buffer {
  if (body === undefined) throw new Error("the victim gave no proof");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Accepts honestly with a nonce of somebody else; the victim's HELLO has been read already. */
async function withHello(raw: Raw, victim: Hello, nonce: Buffer, proven: (proof: Buffer) => void): Promise<Run["end"]> {
  raw.unread(helloFrame(victim));
  const run = await accept(raw, rig.evil, { hello: { nonce } });
  const proof = run.heard.find((frame) => frame[0] === PROOF);
  if (proof !== undefined) proven(proof);
  return run.end;
}
