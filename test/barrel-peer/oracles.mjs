// Proofs that others make for the attacker (barrel-auth sections 14.2 and 14.7): what is signed has neither role nor verifier.
import { randomBytes } from "node:crypto";
import { encodeChallenge, encodeHello, encodeOk, framed } from "./auth-codec.mjs";

/**
 * Two nodes dial the attacker, who shows both its own certificate, so that both bind their proofs to the same. To the first, which
 * wants `as`, it says the name and key of the second; the second, which wants the attacker, signs the first one's challenge as an
 * answer to the attacker's own. Needs no stolen key, and no cookie if the second's answer in Erlang's handshake is passed on too;
 * here the attacker has the cookie, as every node has.
 * @returns {import("./attacks.mjs").Attack}
 */
export function borrowedProof(o, own) {
  const name = o.as;
  let lend;
  const lender = new Promise((resolve) => {
    lend = resolve;
  });

  /** The one whose key is borrowed. */
  async function oracle(wire, hello) {
    wire.send(framed(encodeHello(own.node.name, own.keys().publicKey)));
    if ((await wire.frame())?.type !== "challenge") return;
    lend({
      key: hello.publicKey,
      sign: async (challenge) => {
        wire.send(challenge);
        return wire.frame();
      },
    });
  }

  async function victim(wire, link) {
    const { key, sign } = await lender;
    wire.send(framed(encodeHello(name, key)));
    wire.send(framed(encodeChallenge(randomBytes(32), Date.now())));
    const challenge = await wire.frame();
    if (challenge?.type !== "challenge") return;
    const response = await sign(challenge.bytes);
    const accepted = response?.type === "response";
    link.emit({ event: "attack", name: "borrowed-proof", accepted });
    if (!accepted) return;
    wire.send(response.bytes);
    wire.send(framed(encodeOk()));
    if ((await wire.frame())?.type !== "response") return;
    wire.fin();
    wire.proceed({ outcome: "ok", peer: o.victim });
  }

  const script = async (wire, link) => {
    const hello = await wire.frame();
    if (hello?.name === name) await oracle(wire, hello);
    else await victim(wire, link);
  };
  return { script, dist: { name } };
}
