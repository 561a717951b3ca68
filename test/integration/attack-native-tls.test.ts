import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Raw } from "../attack/client.ts";
import { sendName } from "../attack/frames.ts";
import { EVIL, GOOD, KeyRig, restOf, VICTIM } from "../attack/key-rig.ts";
import { auth, PROOF_INVALID } from "../attack/native-bends.ts";
import { dial, selfOf } from "../attack/native-client.ts";
import { pingFrame, refusal } from "../attack/native-frames.ts";
import type { Fields } from "../attack/native-transcript.ts";

// TLS below the native handshake (AU-43, AU-44), at a node that also takes certificates of an authority.

const NEW = "new@127.0.0.1";

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict", hasAuthority: true });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

describe("TLS below the native handshake", () => {
  it("AU-43: without a certificate nothing is signed", async () => {
    const raw = await rig.raw({ cert: undefined, key: undefined });
    expect(await rig.refusalOf(raw)).toBe("CHANNEL_BINDING_MISSING");
    await raw.untilClosed();
    expect(await restOf(raw)).toEqual([refusal("cert").subarray(4)]);
  });

  it("AU-43: TLS 1.2 with the protocol agreed on is refused", async () => {
    const raw = await rig.raw({ maxVersion: "TLSv1.2" });
    expect(await rig.refusalOf(raw)).toBe("NATIVE_NEEDS_TLS13");
    await raw.untilClosed();
    expect(await restOf(raw)).toEqual([]);
  });

  const gone = async (raw: Raw, mark: number): Promise<void> => {
    raw.destroy();
    await rig.victim.event(({ event, peer }) => event === "nodedown" && peer === EVIL, mark);
  };
  /** An honest session of the attacker: two tickets, and what both sides showed. */
  const visit = async () => {
    const mark = rig.mark;
    const raw = await rig.raw();
    const tickets: Buffer[] = [];
    const got = new Promise<void>((resolve) => {
      raw.socket.on("session", (ticket: Buffer) => {
        if (tickets.push(ticket) === 2) resolve();
      });
    });
    const { fields, end } = await dial(raw, rig.evil);
    expect(end).toBe("up");
    await got;
    await gone(raw, mark);
    const { diallerCertificate, acceptorCertificate } = fields ?? {};
    // In a resumed session TLS shows the dialler neither; a thief knows both.
    return { tickets, knows: { fields: () => ({ diallerCertificate, acceptorCertificate }) as Partial<Fields> } };
  };
  /** With the ticket alone: no certificate, no key of TLS. */
  const resumes = async (session: Buffer | undefined): Promise<Raw> => {
    const raw = await rig.raw({ cert: undefined, key: undefined, ...(session === undefined ? {} : { session }) });
    expect((raw.socket as TLSSocket).isSessionReused()).toBe(true);
    return raw;
  };

  it("AU-43: a stolen ticket opens TLS and nothing behind it: the key of the identity has to be proven", async () => {
    const first = await visit();
    // Whose key it is gets in, so it is the key that makes the difference.
    const mark = rig.mark;
    const owner = await resumes(first.tickets[0]);
    expect((await dial(owner, rig.evil, first.knows)).end).toBe("up");
    await gone(owner, mark);
    const otherKey = await resumes(first.tickets[1]);
    const run = await dial(otherKey, selfOf(EVIL), first.knows);
    await rig.expectRefused(otherKey, run, auth("KEY_MISMATCH"), rig.refusalOf(otherKey), rig.files());

    const second = await visit();
    const noKey = await resumes(second.tickets[0]);
    const forged = await dial(noKey, { ...rig.evil, seed: randomBytes(32) }, second.knows);
    await rig.expectRefused(noKey, forged, PROOF_INVALID, rig.refusalOf(noKey), rig.files());
    // And now the other one does not open even that.
    const late = await resumes(second.tickets[1]);
    expect(await rig.refusalOf(late)).toBe("RESUMPTION_REFUSED");
    await late.untilClosed();
    expect(late.rest).toEqual(Buffer.alloc(0));
  });

  it("AU-43: a protocol that is not ours leads to no native handshake", async () => {
    for (const ALPNProtocols of [["sallyport/2"], ["h2"], []]) {
      const raw = await rig.raw({ ALPNProtocols });
      const run = await dial(raw, rig.evil).catch(() => undefined);
      expect(run?.end).not.toBe("up");
      await raw.untilClosed();
    }
    expect(await rig.sessions()).toEqual([]);
  });

  it("AU-07: a native HELLO in the clear is no TLS", async () => {
    const raw = await Raw.tcp(rig.victim.ports[0] ?? 0);
    raw.write(pingFrame(Buffer.alloc(8)));
    expect(await rig.refusalOf(raw)).toBe("NOT_A_TLS_PEER");
  });
});

type Issued = () => Promise<ConnectionOptions>;

const files = ({ certFile, keyFile }: { certFile: string; keyFile: string }): ConnectionOptions => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
});

describe("a strict node and a key that it does not know, beside a certificate", () => {
  const expectUntrusted = async (issued: Issued, name: string): Promise<void> => {
    const raw = await rig.raw(await issued());
    const run = await dial(raw, selfOf(name));
    await rig.expectRefused(raw, run, auth("KEY_UNTRUSTED"), rig.refusalOf(raw), rig.files());
  };

  it.each<readonly [string, Issued]>([
    ["of the authority for another node", async () => files(await rig.authority.issue(GOOD))],
    ["of the authority for the victim itself", async () => files(await rig.authority.issue(VICTIM))],
    ["of its own making by the right name", async () => files(await rig.authority.selfSigned(NEW))],
    ["of another authority by the right name", async () => files(await (await another()).issue(NEW))],
  ])("AU-44: refuses it with a certificate %s", (_, issued) => expectUntrusted(issued, NEW));

  it("AU-44: takes it with a certificate of the authority by that name", async () => {
    const raw = await rig.raw(files(await rig.authority.issue(NEW)));
    const run = await dial(raw, selfOf(NEW));
    expect([run.end, run.isVictimProven]).toEqual(["up", true]);
    const up = await rig.victim.event(({ event, peer }) => event === "nodeup" && peer === NEW);
    expect(up["assurance"]).toBe("ca");
  });

  it("AU-11: a certificate of the authority does not outweigh a pin of another key", async () => {
    const raw = await rig.raw(files(await rig.authority.issue(GOOD)));
    const run = await dial(raw, selfOf(GOOD));
    await rig.expectRefused(raw, run, auth("KEY_MISMATCH"), rig.refusalOf(raw), rig.files());
  });

  it("AU-19: a certificate of the authority without the native protocol is no way in under a pinned name", async () => {
    const mark = rig.mark;
    const raw = await rig.raw({ ...files(await rig.authority.issue(GOOD)), ALPNProtocols: [] });
    raw.frame(sendName(GOOD), 4);
    expect((await rig.victim.refused(mark))["reason"]).toBe("NATIVE_ONLY");
    await raw.untilClosed();
  });

  async function another(): Promise<KeyRig["authority"]> {
    const directory = join(rig.directory, "other-ca");
    mkdirSync(directory, { recursive: true });
    return testAuthority(directory);
  }
});
