import { quotePeerText } from "../base/escape.ts";
import { hostPart, isIpAddress, type NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { beamRefusal } from "../x509/beam-form.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import type { Note } from "./report.ts";

/** What an Erlang node makes of a name, where that keeps it from dialling. */
export function nameNotes(names: readonly NodeName[]): readonly Note[] {
  return names
    .filter((name) => !hostPart(name).includes(".") && !isIpAddress(hostPart(name)))
    .map((name) => ({
      code: "NAME_SHORT_HOST",
      message: `the host of ${name} has no dot: an Erlang node started with -name does not dial it ("Hostname ${hostPart(name)} is illegal")`,
      advice: "start Erlang nodes that dial it with -sname, or give it a name with a full host name",
    }));
}

/** Certificates that are taken here and that an Erlang node would refuse. */
export function certificateNotes(info: CarrierInfo, own: NodeName, target: NodeName): readonly Note[] {
  return [
    ...beamNote(info.ownCertDer, own, `${own}, which this node shows,`),
    ...beamNote(info.peerCertDer, target, `${target}`),
  ];
}

/** @param whose completes "the certificate of ..." */
export function beamNote(certDer: Buffer | undefined, name: NodeName, whose: string): readonly Note[] {
  if (certDer === undefined) return [];
  try {
    const why = beamRefusal(readCertificateNames(certDer), name);
    if (why === undefined) return [];
    return [
      {
        code: "CERT_NOT_FOR_ERLANG",
        message: `the certificate of ${whose} is refused by Erlang nodes that dial ${name}, because ${quotePeerText(why)}`,
        advice: `issue one with the host as alternative name: sallyport certs issue ${name}`,
      },
    ];
  } catch {
    return [];
  }
}
