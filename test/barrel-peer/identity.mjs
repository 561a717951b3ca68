// Keys and pins on disk (barrel-auth sections 5 and 7), and the certificate of section 1.2.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isNodeName, publicKeyOf } from "./auth-codec.mjs";

function writePrivate(path, bytes) {
  writeFileSync(`${path}.tmp`, bytes);
  chmodSync(`${path}.tmp`, 0o600);
  renameSync(`${path}.tmp`, path);
}

/** Reads `node.key` and `node.pub`, made together when one is missing; read again for every handshake. */
export function loadKeys(dir) {
  const [seedPath, publicPath] = [join(dir, "node.key"), join(dir, "node.pub")];
  mkdirSync(dir, { recursive: true });
  if (!existsSync(seedPath) || !existsSync(publicPath)) {
    const made = newKeys();
    writePrivate(seedPath, made.seed);
    writePrivate(publicPath, made.publicKey);
  }
  const [seed, publicKey] = [readFileSync(seedPath), readFileSync(publicPath)];
  if (seed.length !== 32 || publicKey.length !== 32) throw new Error("invalid_key_size");
  if (!publicKeyOf(seed).equals(publicKey)) throw new Error("keypair_mismatch");
  return { seed, publicKey };
}

/** Copies the pair to `backups/` and writes a new one: it counts from the next handshake on. */
export function rotateKeys(dir) {
  const backup = join(dir, "backups", new Date().toISOString().replace(/[-:]|\.\d+/g, ""));
  mkdirSync(backup, { recursive: true });
  for (const file of ["node.key", "node.pub"]) {
    copyFileSync(join(dir, file), join(backup, file));
    rmSync(join(dir, file));
  }
  return loadKeys(dir);
}

/** A key pair that is not stored. */
export function newKeys() {
  const seed = randomBytes(32);
  return { seed, publicKey: publicKeyOf(seed) };
}

/** Pins by name, in memory and below `<dir>/trusted/`. */
export class TrustStore {
  /** @type {Map<string, Buffer>} */
  pins = new Map();

  /** @param {string} dir @param {"tofu" | "strict"} mode */
  constructor(dir, mode) {
    this.dir = join(dir, "trusted");
    this.mode = mode;
    mkdirSync(this.dir, { recursive: true });
    for (const file of readdirSync(this.dir)) {
      const name = file.slice(0, -4);
      const bytes = file.endsWith(".pub") ? readFileSync(join(this.dir, file)) : Buffer.alloc(0);
      if (bytes.length === 32 && isNodeName(Buffer.from(name))) this.pins.set(name, bytes);
    }
  }

  /** Decision of section 5.1. @returns {string | undefined} */
  refusal(name, key) {
    const pinned = this.pins.get(name);
    if (pinned === undefined) return this.mode === "strict" ? "untrusted_key" : undefined;
    return pinned.equals(key) ? undefined : "key_mismatch";
  }

  /** Store if new, tofu only. @returns {string | undefined} */
  record(name, key) {
    if (this.mode === "strict") return undefined;
    const pinned = this.pins.get(name);
    if (pinned !== undefined) return pinned.equals(key) ? undefined : "key_mismatch";
    this.store(name, key);
    return undefined;
  }

  /** The operator's call: forgets a pin, in memory and on disk. */
  drop(name) {
    this.pins.delete(name);
    rmSync(join(this.dir, `${name}.pub`), { force: true });
  }

  /** The operator's call: overwrites. */
  store(name, key) {
    this.pins.set(name, key);
    try {
      writePrivate(join(this.dir, `${name}.pub`), key);
    } catch {
      // Too long a name for the file system: the pin lives in memory.
    }
  }
}

/** True when a name fits one of the `node@host` patterns; each half is literal or exactly `*`. */
export function matchesAny(patterns, name) {
  const [node, host] = name.split("@");
  return patterns.some((pattern) => {
    const [wantedNode, wantedHost] = pattern.split("@");
    return (wantedNode === "*" || wantedNode === node) && (wantedHost === "*" || wantedHost === host);
  });
}

/** Reads or makes `node.crt` and `node.key` of section 1.2. */
export function loadCertificate(dir) {
  mkdirSync(dir, { recursive: true });
  const [certPath, keyPath] = [join(dir, "node.crt"), join(dir, "node.key")];
  if (!existsSync(certPath) || !existsSync(keyPath)) {
    const made = makeCertificate();
    writePrivate(certPath, made.certPem);
    writePrivate(keyPath, made.keyPem);
  }
  const [certPem, keyPem] = [readFileSync(certPath, "utf8"), readFileSync(keyPath, "utf8")];
  return { certPem, keyPem, der: new X509Certificate(certPem).raw };
}

/** Self-signed X.509 v3, P-256, as an Erlang node makes it at boot. */
export function makeCertificate(nowMs = Date.now()) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 1;
  const name = der(0x30, rdn("550403", "barrel_p2p-node"), rdn("55040a", "Barrel P2P"));
  const ecdsaSha256 = der(0x30, Buffer.from("06082a8648ce3d040302", "hex"));
  const extensions = der(
    0x30,
    extension("551d13", true, der(0x30)),
    extension("551d0f", true, Buffer.from("03020780", "hex")),
    extension("551d25", false, Buffer.from("301406082b0601050507030106082b06010505070302", "hex")),
  );
  const body = der(
    0x30,
    Buffer.from("a003020102", "hex"),
    der(0x02, serial),
    ecdsaSha256,
    name,
    der(0x30, utcTime(nowMs - 300_000), utcTime(nowMs + 365 * 86_400_000)),
    name,
    publicKey.export({ format: "der", type: "spki" }),
    der(0xa3, extensions),
  );
  const signature = sign("sha256", body, privateKey);
  const certificate = der(0x30, body, ecdsaSha256, der(0x03, Buffer.of(0), signature));
  const certPem = `-----BEGIN CERTIFICATE-----\n${wrapped(certificate)}\n-----END CERTIFICATE-----\n`;
  return { certPem, keyPem: privateKey.export({ format: "pem", type: "sec1" }), der: certificate };
}

/** True when the PEM key belongs to the PEM certificate. */
export function keyFits(certPem, keyPem) {
  return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
}

function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  const size = [];
  for (let rest = body.length; rest > 0; rest >>= 8) size.unshift(rest & 255);
  const length = body.length < 128 ? [body.length] : [0x80 | size.length, ...size];
  return Buffer.concat([Buffer.of(tag, ...length), body]);
}

function rdn(oid, text) {
  return der(0x31, der(0x30, der(0x06, Buffer.from(oid, "hex")), der(0x0c, Buffer.from(text))));
}

function extension(oid, critical, value) {
  const flag = critical ? [Buffer.of(1, 1, 255)] : [];
  return der(0x30, der(0x06, Buffer.from(oid, "hex")), ...flag, der(0x04, value));
}

function utcTime(ms) {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${text}Z`));
}

function wrapped(bytes) {
  return bytes
    .toString("base64")
    .match(/.{1,64}/g)
    .join("\n");
}
