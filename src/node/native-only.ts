import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";

/** A name with a pinned key is spoken to by key only, in both directions (rulings S1). */
export function nativeOnly(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "NATIVE_ONLY", `${name} has a pinned key and may not connect without it`, {
    peer: name,
    stage: "identity",
    advice: "run the peer with its identity key, or remove its pin if it is a BEAM node now",
  });
}

/** Where only the native handshake was asked for, nothing else is spoken: not with a peer that knows no other, nor with one that chose another. */
export function notNative(
  target: NodeName | undefined,
  { remoteAddress }: Pick<CarrierInfo, "remoteAddress">,
): SallyportError {
  const who = target === undefined ? quotePeerText(remoteAddress) : `${target} at ${quotePeerText(remoteAddress)}`;
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "NATIVE_NOT_SPOKEN",
    `${who} does not speak Sallyport's native handshake, and no other was asked for`,
    {
      ...(target === undefined ? {} : { peer: target }),
      stage: "identity",
      advice:
        "give that node an identity key (sallyport keys init), or leave --protocol native out to go by certificates and the cookie",
    },
  );
}
