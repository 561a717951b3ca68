import { SallyportError } from "../base/errors.ts";
import {
  BOOLEAN,
  DerReader,
  GENERALIZED_TIME,
  IA5_STRING,
  INTEGER,
  malformed,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  PRINTABLE_STRING,
  SEQUENCE,
  SET,
  UTC_TIME,
  UTF8_STRING,
} from "./der-reader.ts";

/** Largest certificate read, in octets. A node certificate has about 600 to 2,000. */
export const MAX_CERTIFICATE_BYTES: number = 64 * 1024;

/** Most alternative names read from one certificate. */
export const MAX_ALTERNATIVE_NAMES = 256;

/** Extended key usage for the accepting side of TLS. */
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
/** Extended key usage for the dialling side of TLS. */
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

const VERSION = 0xa0;
const ISSUER_UNIQUE_ID = 0x81;
const SUBJECT_UNIQUE_ID = 0x82;
const EXTENSIONS = 0xa3;

const DNS_NAME = 0x82;
const URI_NAME = 0x86;
const IP_ADDRESS = 0x87;

const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const EXTENDED_KEY_USAGE = "2.5.29.37";

/**
 * What a certificate says about whom it is for. Names are exactly the octets of the certificate read as Latin-1 (UTF-8
 * in the common name): hostile text until it was compared with a name of ours; escape it before it is shown.
 */
export interface CertificateNames {
  readonly version: 1 | 2 | 3;
  /** URI alternative names. */
  readonly uris: readonly string[];
  /** DNS alternative names. */
  readonly dnsNames: readonly string[];
  /** IP alternative names, 4 or 16 octets each (others are kept and match nothing). */
  readonly ipAddresses: readonly Buffer[];
  /** True when there is a subjectAltName extension, whatever it holds. */
  readonly hasAlternativeNames: boolean;
  readonly commonNames: readonly string[];
  /** Extended key usages as dotted OIDs; `undefined` when the extension is absent. */
  readonly keyUsages: readonly string[] | undefined;
  /** True for basicConstraints CA:TRUE. */
  readonly authority: boolean;
  /** First and last moment of validity, Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER; a copy. */
  readonly spkiDer: Buffer;
}

/**
 * Reads names, dates and uses of one DER certificate (RFC 5280 section 4.1) from its structure, never from a printed
 * form, so that quotes, commas and zeros inside a name mean nothing.
 * @throws {SallyportError} ERR_DENIED CERT_MALFORMED; ERR_LIMIT CERT_TOO_LARGE
 */
export function readCertificateNames(der: Uint8Array): CertificateNames {
  if (der.length > MAX_CERTIFICATE_BYTES)
    throw tooLarge(`${der.length} octets`, "maxCertificateBytes", MAX_CERTIFICATE_BYTES);
  const outer = new DerReader(Buffer.from(der.buffer, der.byteOffset, der.byteLength));
  const body = outer.enter(SEQUENCE).enter(SEQUENCE);
  outer.finish();

  const version = body.peek() === VERSION ? readVersion(body.enter(VERSION)) : 1;
  body.content(INTEGER); // serialNumber
  body.content(SEQUENCE); // signature algorithm
  body.content(SEQUENCE); // issuer
  const validity = body.enter(SEQUENCE);
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.finish();
  const commonNames = readCommonNames(body.enter(SEQUENCE));
  const spkiDer = Buffer.from(body.element(SEQUENCE));
  if (body.peek() === ISSUER_UNIQUE_ID) body.skip();
  if (body.peek() === SUBJECT_UNIQUE_ID) body.skip();
  const extensions = body.peek() === EXTENSIONS ? readExtensions(body.enter(EXTENSIONS)) : new Map<string, Buffer>();
  body.finish();

  const names = readAlternativeNames(extensions.get(SUBJECT_ALT_NAME));
  return {
    version,
    uris: names.uris,
    dnsNames: names.dnsNames,
    ipAddresses: names.ipAddresses,
    hasAlternativeNames: extensions.has(SUBJECT_ALT_NAME),
    commonNames,
    keyUsages: readKeyUsages(extensions.get(EXTENDED_KEY_USAGE)),
    authority: readAuthority(extensions.get(BASIC_CONSTRAINTS)),
    notBeforeMs,
    notAfterMs,
    spkiDer,
  };
}

function readVersion(reader: DerReader): 1 | 2 | 3 {
  const value = reader.content(INTEGER);
  reader.finish();
  if (value.length === 1 && value[0] === 0) return 1;
  if (value.length === 1 && value[0] === 1) return 2;
  if (value.length === 1 && value[0] === 2) return 3;
  throw malformed("version is not 1, 2 or 3");
}

/** UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5). */
function readTime(reader: DerReader): number {
  const short = reader.peek() === UTC_TIME;
  const text = reader.content(short ? UTC_TIME : GENERALIZED_TIME).toString("latin1");
  const full = short ? `${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}` : text;
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(full);
  const value =
    match === null ? Number.NaN : Date.parse(full.replace(/^(....)(..)(..)(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (Number.isNaN(value)) throw malformed("a validity date is not a date in UTC with seconds");
  return value;
}

function readCommonNames(subject: DerReader): string[] {
  const out: string[] = [];
  while (!subject.done) {
    const set = subject.enter(SET);
    while (!set.done) {
      const attribute = set.enter(SEQUENCE);
      const isCommonName = readOid(attribute.content(OBJECT_IDENTIFIER)) === COMMON_NAME;
      const tag = attribute.peek();
      if (isCommonName && tag === UTF8_STRING) out.push(attribute.content(tag).toString("utf8"));
      else if (isCommonName && (tag === PRINTABLE_STRING || tag === IA5_STRING))
        out.push(attribute.content(tag).toString("latin1"));
      else attribute.skip();
      attribute.finish();
    }
  }
  return out;
}

function readExtensions(wrapper: DerReader): Map<string, Buffer> {
  const list = wrapper.enter(SEQUENCE);
  wrapper.finish();
  const out = new Map<string, Buffer>();
  while (!list.done) {
    const extension = list.enter(SEQUENCE);
    const oid = readOid(extension.content(OBJECT_IDENTIFIER));
    if (extension.peek() === BOOLEAN) extension.skip();
    const value = extension.content(OCTET_STRING);
    extension.finish();
    // Two of a kind (forbidden by RFC 5280 section 4.2) would let two readers see two different certificates.
    if (out.has(oid)) throw malformed(`extension ${oid} stands twice`);
    out.set(oid, value);
  }
  return out;
}

function readAlternativeNames(value: Buffer | undefined): {
  uris: string[];
  dnsNames: string[];
  ipAddresses: Buffer[];
} {
  const out = { uris: [] as string[], dnsNames: [] as string[], ipAddresses: [] as Buffer[] };
  if (value === undefined) return out;
  const outer = new DerReader(value);
  const list = outer.enter(SEQUENCE);
  outer.finish();
  let count = 0;
  while (!list.done) {
    if (++count > MAX_ALTERNATIVE_NAMES)
      throw tooLarge("more alternative names", "maxAlternativeNames", MAX_ALTERNATIVE_NAMES);
    const tag = list.peek();
    if (tag === URI_NAME) out.uris.push(list.content(tag).toString("latin1"));
    else if (tag === DNS_NAME) out.dnsNames.push(list.content(tag).toString("latin1"));
    else if (tag === IP_ADDRESS) out.ipAddresses.push(Buffer.from(list.content(tag)));
    else list.skip();
  }
  return out;
}

function readKeyUsages(value: Buffer | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const outer = new DerReader(value);
  const list = outer.enter(SEQUENCE);
  outer.finish();
  const out: string[] = [];
  while (!list.done) out.push(readOid(list.content(OBJECT_IDENTIFIER)));
  return out;
}

function readAuthority(value: Buffer | undefined): boolean {
  if (value === undefined) return false;
  const outer = new DerReader(value);
  const constraints = outer.enter(SEQUENCE);
  outer.finish();
  if (constraints.peek() !== BOOLEAN) return false;
  const flag = constraints.content(BOOLEAN);
  return flag.length !== 1 || flag[0] !== 0;
}

/** Dotted form; arcs beyond 2^53 lose precision, which no OID compared here comes near. */
function readOid(content: Buffer): string {
  const first = content[0];
  if (first === undefined || content.length > 64 || (content[content.length - 1] ?? 0) >= 0x80)
    throw malformed("an object identifier is cut off or too long");
  let out = "";
  let arc = 0;
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet >= 0x80) continue;
    if (out === "") {
      const top = Math.min(Math.floor(arc / 40), 2);
      out = `${top}.${arc - top * 40}`;
    } else {
      out += `.${arc}`;
    }
    arc = 0;
  }
  return out;
}

function tooLarge(what: string, option: string, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "CERT_TOO_LARGE",
    `certificate has ${what} where ${option} is ${limit}; issue a smaller one`,
    {
      detail: { limit, option },
      stage: "identity",
      advice: "give each node a certificate of its own with few names",
    },
  );
}
