import { parseDialTarget, parseNodeName, tryNodeName } from "../../src/base/node-name.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createTestAuthority } from "../../src/testkit/certificates.ts";
import {
  decodeEpmdRequest,
  encodeAliveRequest,
  encodeNamesAnswer,
  encodePortAnswer,
  encodePortPleaseRequest,
  epmdEntry,
} from "../../src/wire/epmd.ts";
import { AliveAnswerParser, NamesAnswerParser, PortAnswerParser } from "../../src/wire/epmd-answers.ts";
import { readCertificateNames } from "../../src/x509/certificate-names.ts";
import { matchCertificate } from "../../src/x509/match-name.ts";
import { diceOf } from "./dice.ts";
import { refusal, type Target } from "./harness.ts";
import { mutate, splitBytes } from "./mutate.ts";

const entry = epmdEntry("victim", 9100, true);
const EPMD_SEEDS: readonly Buffer[] = [
  Buffer.from("76006b00d4d0", "hex"),
  Buffer.from("760100000063", "hex"),
  Buffer.from("79000002", "hex"),
  Buffer.from("7701", "hex"),
  Buffer.from("770090e54d00000600050003613235" + "0000", "hex"),
  encodePortAnswer({ found: true, entry }),
  encodeNamesAnswer(4369, [entry, epmdEntry("other", 1, false)]),
  encodeAliveRequest(entry).subarray(2),
  encodePortPleaseRequest("victim").subarray(2),
  Buffer.from("6e", "hex"),
];

/** Answers of an EPMD, in any chunks, and requests to one. */
export const epmdTarget: Target = {
  name: "epmd",
  make: (dice) => mutate(dice, dice.pick(EPMD_SEEDS), EPMD_SEEDS),
  run(bytes) {
    const pieces = splitBytes(diceOf(bytes), bytes, 5);
    const reasons: (string | undefined)[] = [];
    const feed = (parser: { push(chunk: Buffer): unknown; end?(): unknown }): void => {
      reasons.push(
        refusal(() => {
          for (const piece of pieces) parser.push(Buffer.from(piece));
          parser.end?.();
        }),
      );
    };
    feed(new AliveAnswerParser());
    feed(new PortAnswerParser());
    const names = new NamesAnswerParser();
    feed(names);
    reasons.push(refusal(() => void decodeEpmdRequest(bytes, 0, bytes.length)));
    if (reasons[2] === undefined) {
      for (const { name, port } of names.end().names) {
        if (!/^[\x21-\x7e]{1,255}$/.test(name) || port < 1 || port > 65_535)
          throw new Error(`listed "${name}" at ${port}`);
      }
    }
    return reasons.every((reason) => reason !== undefined) ? reasons.join(" ") : undefined;
  },
};

let certificates: Buffer[] = [];

/** Makes the certificates that are mutated. To be called before `certificateTarget` is used. */
export async function makeCertificates(directory: string): Promise<void> {
  const parts = { clock: new RealClock(), random: new RealRandom(), files: new RealFiles() };
  const authority = await createTestAuthority(parts, directory);
  const der = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const issued = await authority.issue("victim@home.example");
  const rsa = await authority.issue("victim@10.0.0.1", { key: "rsa" });
  const own = await authority.selfSigned("victim@::1");
  certificates = [der(authority.caPem), der(issued.certPem), der(rsa.certPem), der(own.certPem)];
}

const victim = parseNodeName("victim@home.example");

/** Mutated DER: names come out or a typed refusal, and never the victim's name from bytes that do not hold it. */
export const certificateTarget: Target = {
  name: "certificate",
  make: (dice) => mutate(dice, dice.pick(certificates), certificates),
  run(bytes) {
    let matched = false;
    const refused = refusal(() => {
      const names = readCertificateNames(bytes);
      const texts = [...names.uris, ...names.dnsNames, ...names.commonNames];
      if (texts.some((text) => text.length > bytes.length)) throw new Error("a name longer than the certificate");
      matched = matchCertificate(names, victim, { profile: "standard" }).matched;
    });
    if (matched && !bytes.includes("home.example")) throw new Error("matches a name that is not in it");
    return refused;
  },
};

const NAME_SEEDS = [
  "a@b",
  "victim@home.example",
  "q@::1",
  "q@[::1]:9100",
  "x@y:1",
  "../../x@h",
  "a@b@c",
  "A-_9@h.h.",
].map((text) => Buffer.from(text));

/** Node names: whatever is taken has one `@`, is ASCII and short, and can stand in a file name or a log line. */
export const nameTarget: Target = {
  name: "name",
  make: (dice) => mutate(dice, dice.pick(NAME_SEEDS), NAME_SEEDS),
  run(bytes) {
    const text = bytes.toString("latin1");
    const name = tryNodeName(text);
    if (name !== undefined && (!/^[A-Za-z0-9_-]+@[A-Za-z0-9._:-]+$/.test(name) || name.length > 255))
      throw new Error(`took ${text}`);
    const refused = refusal(() => void parseDialTarget(text));
    return name === undefined ? refused : undefined;
  },
};
