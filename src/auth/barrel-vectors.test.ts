import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { barrelProofInput } from "../identity/barrel-proof.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { BarrelEnd, barrelTestNode, runBarrel } from "../testkit/barrel-end.ts";

interface Side {
  readonly name: string;
  readonly seed: string;
  readonly publicKey: string;
}

interface Exchange {
  readonly name: string;
  readonly dialler: Side;
  readonly listener: Side;
  readonly certificate: string;
  readonly binding: string;
  readonly signedByDialler?: string;
  readonly signedByListener?: string;
  readonly frames: readonly { readonly from: "dialler" | "listener"; readonly message: string; readonly hex: string }[];
}

// Exchanges with real barrel_p2p nodes, recorded; the keys are throw-away keys (barrel-auth section 17).
const file = new URL("../../test/fixtures/barrel/exchanges.json", import.meta.url);
const { exchanges }: { readonly exchanges: readonly Exchange[] } = JSON.parse(readFileSync(file, "utf8"));
const crypto = new RealIdentityCrypto();
const hex = (text: string): Buffer => Buffer.from(text, "hex");

/** The ends of one exchange, with the nonces and clocks that were recorded. */
function ends(exchange: Exchange): { readonly dialler: BarrelEnd; readonly listener: BarrelEnd } {
  const challenge = (from: string): Buffer =>
    hex(exchange.frames.find((frame) => frame.from === from && frame.message === "CHALLENGE")?.hex ?? "");
  const end = (from: "dialler" | "listener"): BarrelEnd =>
    new BarrelEnd(hex(exchange.certificate), Number(challenge(from).readBigUInt64BE(35)));
  const node = (from: "dialler" | "listener") =>
    barrelTestNode(exchange[from].name, hex(exchange[from].seed), crypto, {
      nonceFor: () => challenge(from).subarray(3, 35),
    });
  const dialler = end("dialler").dial(node("dialler"), parseNodeName(exchange.listener.name));
  return { dialler, listener: end("listener").accept(node("listener")) };
}

describe.each(exchanges.map((exchange) => [exchange.name, exchange] as const))(
  "the recorded exchange of %s",
  (_, exchange) => {
    const said = (from: string): string[] => exchange.frames.filter((f) => f.from === from).map((f) => f.hex);

    it("is made byte for byte by both machines", () => {
      const { dialler, listener } = ends(exchange);
      runBarrel(dialler, listener);
      expect(dialler.error ?? listener.error).toBeUndefined();
      expect(dialler.sent.map((frame) => frame.toString("hex"))).toEqual(said("dialler"));
      expect(listener.sent.map((frame) => frame.toString("hex"))).toEqual(said("listener"));
      expect(dialler.session).toMatchObject({ role: "dialler", peer: exchange.listener.name, method: "key" });
      expect(dialler.session?.publicKey?.toString("hex")).toBe(exchange.listener.publicKey);
      expect(listener.session).toMatchObject({ role: "acceptor", peer: exchange.dialler.name, method: "key" });
      expect(listener.session?.publicKey?.toString("hex")).toBe(exchange.dialler.publicKey);
    });

    it.each(["dialler", "listener"] as const)("is taken from the record by a %s alone", (role) => {
      const { dialler, listener } = ends(exchange);
      const end = role === "dialler" ? dialler : listener;
      for (const frame of exchange.frames) if (frame.from !== role) end.receive(hex(frame.hex));
      expect(end.error).toBeUndefined();
      expect(end.sent.map((frame) => frame.toString("hex"))).toEqual(said(role));
      expect(end.session).toBeDefined();
    });

    it("is bound to the certificate that was shown", () => {
      expect(crypto.sha256(hex(exchange.certificate)).toString("hex")).toBe(exchange.binding);
      for (const role of ["dialler", "listener"] as const) {
        expect(crypto.ed25519PublicKey(hex(exchange[role].seed)).toString("hex")).toBe(exchange[role].publicKey);
      }
    });
  },
);

describe("the bytes that are signed", () => {
  it.each(["Dialler", "Listener"] as const)("are those of the record, by the %s", (who) => {
    const exchange = exchanges[0] as Exchange;
    const other = who === "Dialler" ? "listener" : "dialler";
    const challenge = hex(exchange.frames.find((f) => f.from === other && f.message === "CHALLENGE")?.hex ?? "");
    const signed = barrelProofInput({
      nonce: challenge.subarray(3, 35),
      timestampMs: challenge.readBigUInt64BE(35),
      signer: hex(who === "Dialler" ? exchange.dialler.publicKey : exchange.listener.publicKey),
      binding: hex(exchange.binding),
    });
    expect(signed.toString("hex")).toBe(exchange[`signedBy${who}`]);
  });

  it("are signed as the requirements have it", () => {
    const seed = Buffer.alloc(32, 1);
    const publicKey = crypto.ed25519PublicKey(seed);
    expect(publicKey.toString("hex")).toBe("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
    const proof = barrelTestNode("a@b", seed, crypto).identity.signBarrelProof({
      nonce: Buffer.from(Array.from({ length: 32 }, (_, i) => i)),
      timestampMs: 1_700_000_000_000n,
      binding: crypto.sha256(Buffer.from("cert")),
    });
    expect(proof.toString("hex")).toBe(
      "9dcb24ced75ed3772ae85cc1e546ca6208ea05d31697cd40715936a6cb4ccfa6" +
        "211c3e9230198b0af51934e5da49afd6d2312da7c204a7b552ae91d731905a08",
    );
  });
});
