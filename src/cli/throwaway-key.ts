import type { Diagnosis } from "../base/diagnosis.ts";
import { isSallyportError, SallyportError, withNote } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, parseDialTarget } from "../base/node-name.ts";
import type { ConfigWarning } from "../config/erlang-text.ts";
import { createOneShotNode } from "../create-node.ts";
import type { ConnectReport } from "../doctor/report.ts";
import { type Fingerprint, fingerprintOf, parseKeyText } from "../identity/public-key.ts";
import type { Node, Peer } from "../node/api.ts";
import type { NodeOptions } from "../node/options.ts";
import type { ThrowawayIdentity } from "../node/throwaway-identity.ts";
import { usesQuic } from "../quic-node.ts";
import type { CommonFlags } from "./common-options.ts";

/**
 * The identity of a one-shot command that dials over QUIC and was given none (rulings U12): a key for its life, and of the node
 * that it dials only the key which `--peer-key` names, unless `--trust tofu` takes any. Undefined where it has an identity, or
 * needs none.
 * @throws {SallyportError} ERR_CONFIG USAGE for options that would say nothing; as `parseKeyText`, `parseDialTarget`
 */
export function throwawayOf(
  { identityCrypto }: { readonly identityCrypto: IdentityCrypto },
  flags: CommonFlags,
  settings: NodeOptions,
  target: string,
): ThrowawayIdentity | undefined {
  const { peerKey, trust = "strict" } = flags;
  if (settings.identity !== undefined || !usesQuic(settings)) {
    if (peerKey !== undefined) throw peerKeyUnused(settings, target);
    if (flags.trust !== undefined && settings.identity === undefined) throw trustUnused();
    return undefined;
  }
  const expected = new Map<NodeName, Fingerprint>();
  if (peerKey !== undefined) {
    const text = parseKeyText(peerKey);
    const fingerprint = text.kind === "fingerprint" ? text.fingerprint : fingerprintOf(text.key, identityCrypto);
    expected.set(parseDialTarget(target).name, fingerprint);
  }
  return {
    trust,
    expected,
    advice(reason, shown) {
      if (reason === "KEY_UNTRUSTED") {
        return (
          `compare ${shown} with what the operator of that node reads there (sallyport keys show), and add --peer-key ${shown}; ` +
          "--trust tofu takes any key"
        );
      }
      if (reason !== "KEY_MISMATCH" || peerKey === undefined) return undefined;
      return "ask the operator of that node for its key: if --peer-key has it right, treat this as an attack";
    },
  };
}

/** The node of a one-shot command. @throws as `createNode` */
export function oneShotNode(
  settings: NodeOptions,
  throwaway: ThrowawayIdentity | undefined,
  { protocol }: Pick<CommonFlags, "protocol">,
): Promise<Node> {
  return createOneShotNode(settings, { throwaway, isNativeOnly: protocol === "native" });
}

/** Told where `--trust tofu` took a key: nothing keeps it. */
export function takenUnseen({ name, fingerprint }: Peer): ConfigWarning {
  const message =
    `nothing was known about ${name}: its key ${fingerprint} was taken at first sight, and is kept nowhere; ` +
    `with --peer-key ${fingerprint} no other one is taken`;
  return { reason: "KEY_UNKNOWN", message };
}

/** Told where a key that nobody sees again goes under a name that was chosen. */
export function throwawayUnderName(name: string): ConfigWarning {
  const message =
    `${name} has a key for this command alone: a node that pins it refuses the next one of that name; ` +
    "leave --name out, or give --key-dir";
  return { reason: "KEY_THROWAWAY", message };
}

const REFUSED_THERE: Readonly<Record<string, string>> = {
  untrusted_key: "no node knows the key of a command that makes its own: give --key-dir with one that is trusted there",
  key_mismatch: "another key is pinned there for this name: leave --name out, or give --key-dir with that key",
};

/** The failure, with what to do where the other node refused a key that the next command does not have either. */
export function refusedThere(failure: unknown): unknown {
  const advice = isSallyportError(failure) ? REFUSED_THERE[String(failure.detail["told"])] : undefined;
  return isSallyportError(failure) && advice !== undefined ? withNote(failure, "", {}, advice) : failure;
}

/** The same in a report of `doctor connect`: it is for this side to change something. */
export function reportedThere(report: ConnectReport): ConnectReport {
  const { failure } = report;
  const advice = failure === undefined ? undefined : REFUSED_THERE[String(failure.error.detail["told"])];
  if (failure === undefined || advice === undefined) return report;
  const diagnosis: Diagnosis = { ...failure.diagnosis, fault: "local", fix: `on this node, ${report.node}: ${advice}` };
  return { ...report, failure: { error: withNote(failure.error, "", {}, advice), diagnosis } };
}

function peerKeyUnused({ identity }: NodeOptions, target: string): SallyportError {
  const why = identity === undefined ? "this command does not dial over QUIC" : "this command has a key directory";
  return new SallyportError("ERR_CONFIG", "USAGE", `--peer-key has no effect: ${why}`, {
    advice:
      identity === undefined
        ? "add --protocol barrel, or --resolve with a quic:// address; or leave --peer-key out"
        : `pin the key in the directory: sallyport trust add ${quotePeerText(target)} KEY`,
  });
}

function trustUnused(): SallyportError {
  return new SallyportError("ERR_CONFIG", "USAGE", "--trust has no effect: this command proves nobody by key", {
    advice: "add --key-dir, --protocol barrel or --resolve with a quic:// address; or leave --trust out",
  });
}
