import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Scheme } from "../carrier/carrier.ts";

/** A node does not dial itself. */
export function selfConnect(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "SELF_CONNECT", `${name} is this node itself`, {
    peer: name,
    stage: "name",
    advice: "name another node; what runs on this one is reached by its registered name or pid alone",
  });
}

const ADVICE: Readonly<Record<Scheme, string>> = {
  tcp: "set dangerous.plaintext if the network is trusted",
  tls: "configure tls with certFile, keyFile and caFile",
  quic: "set quic, and identity with a key directory (a command that dials once: --protocol barrel)",
};

/** A resolver gave an address that this node has no dialler for. */
export function schemeRefused(target: NodeName, scheme: Scheme): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "SCHEME_NOT_ALLOWED",
    `${target} resolves to a ${scheme} address, which this node does not dial`,
    {
      peer: target,
      stage: "resolve",
      advice: ADVICE[scheme],
    },
  );
}
