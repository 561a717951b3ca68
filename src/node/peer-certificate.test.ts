import { describe, expect, it } from "vitest";
import { type CarrierInfo, UNSECURED } from "../carrier/carrier.ts";
import { checkChain } from "./peer-certificate.ts";

const INFO: CarrierInfo = {
  ...UNSECURED,
  transport: "tls",
  remoteAddress: "h:1",
  localAddress: "h:2",
  peerCertDer: Buffer.alloc(1),
};

describe("checkChain", () => {
  it.each([
    ["CERT_CHAIN_TOO_LONG", "CHAIN_TOO_LONG"],
    ["CERT_HAS_EXPIRED", "CERT_EXPIRED"],
    ["CERT_NOT_YET_VALID", "CERT_NOT_YET_VALID"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "CERT_UNKNOWN_ISSUER"],
    ["INVALID_PURPOSE", "CERT_WRONG_USE"],
    ["UNSPECIFIED", "CERT_INVALID"],
  ])("refuses %s as %s, whoever dialled", (chainError, reason) => {
    for (const role of ["initiator", "acceptor"] as const) {
      expect(() => checkChain({ ...INFO, chainError }, role, undefined, 0)).toThrow(
        expect.objectContaining({ code: "ERR_DENIED", reason, stage: "tls" }),
      );
    }
  });
});
