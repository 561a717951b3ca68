import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { beamRefusal } from "./beam-form.ts";
import { type CertificateNames, CLIENT_AUTH, SERVER_AUTH } from "./certificate-names.ts";

const NONE: CertificateNames = {
  version: 3,
  uris: [],
  dnsNames: [],
  ipAddresses: [],
  hasAlternativeNames: false,
  commonNames: [],
  keyUsages: undefined,
  authority: false,
  notBeforeMs: 0,
  notAfterMs: 1,
  spkiDer: Buffer.alloc(0),
};

describe("what Erlang's dialler makes of a certificate", () => {
  it.each([
    ["a DNS name of the host", "a@db1.example", { dnsNames: ["DB1.example"], hasAlternativeNames: true }],
    ["a wildcard over it", "a@db1.example", { dnsNames: ["*.example"], hasAlternativeNames: true }],
    ["an address", "a@10.0.0.1", { ipAddresses: [Buffer.from([10, 0, 0, 1])], hasAlternativeNames: true }],
    ["a common name that is the host", "a@db1.example", { commonNames: ["db1.example"] }],
    ["both uses", "a@db1", { dnsNames: ["db1"], hasAlternativeNames: true, keyUsages: [SERVER_AUTH, CLIENT_AUTH] }],
  ] as [string, string, Partial<CertificateNames>][])("takes %s", (_, name, names) => {
    expect(beamRefusal({ ...NONE, ...names }, parseNodeName(name))).toBeUndefined();
  });

  it.each([
    ["a whole node name as common name", { commonNames: ["a@db1.example"] }, /whole node name/],
    ["a URI alone", { uris: ["dist://a@db1.example"], hasAlternativeNames: true }, /none of its names is the host/],
    ["another host", { dnsNames: ["db2.example"], hasAlternativeNames: true }, /none of its names/],
    [
      "a common name beside other names",
      { dnsNames: ["x"], hasAlternativeNames: true, commonNames: ["db1.example"] },
      /none/,
    ],
    ["a use for one side", { dnsNames: ["db1.example"], keyUsages: [SERVER_AUTH] }, /both sides of TLS/],
  ] as [string, Partial<CertificateNames>, RegExp][])("refuses %s", (_, names, why) => {
    expect(beamRefusal({ ...NONE, ...names }, parseNodeName("a@db1.example"))).toMatch(why);
  });
});
