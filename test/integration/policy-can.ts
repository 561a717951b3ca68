import type { Document } from "../attack/policy-rig.ts";

// The functions behind `policy can`, of the built package: one process for hundreds of questions.

interface Verdict {
  readonly outcome: string;
}

interface Engine {
  readonly compilePolicy: (document: Document) => {
    identify(
      facts: Readonly<Record<string, unknown>>,
      role: "acceptor" | "dialler",
      nowMs: number,
    ):
      | { readonly kind: "refused"; readonly outcome: string }
      | {
          readonly kind: "peer" | "stranger";
          readonly authority: { decide(verb: string, target: unknown, nowMs: number): Verdict };
        };
  };
  readonly parseOperationTarget: (verb: string, text: string | undefined) => unknown;
  readonly parseReplyTarget: (text: string | undefined) => boolean | undefined;
}

async function built(): Promise<Engine> {
  const load = (path: string): Promise<Engine> => import(new URL(`../../lib/policy/${path}`, import.meta.url).href);
  return { ...(await load("compile.js")), ...(await load("parse-target.js")) };
}

/** Would this policy let a peer with that key and name do it, over a native session that the peer opened (or that it did not)? */
export async function canDo(
  document: Document,
  peer: { readonly name: string; readonly fingerprint: string },
  verb: string | null,
  target: string | undefined,
): Promise<boolean> {
  const { compilePolicy, parseOperationTarget, parseReplyTarget } = await built();
  if (verb === "reply") return parseReplyTarget(target) === true;
  const facts = {
    name: peer.name,
    assurance: "pinned",
    protocol: "native",
    fingerprints: [peer.fingerprint],
    publicKeys: [],
    spki: undefined,
    source: "127.0.0.1",
  };
  const role = verb === "connect" ? "acceptor" : "dialler";
  const who = compilePolicy(document).identify(facts, role, Date.now());
  if (who.kind === "refused") return false;
  if (verb === "connect") return who.kind === "peer";
  return who.authority.decide(verb ?? "", parseOperationTarget(verb ?? "", target), Date.now()).outcome === "allow";
}
