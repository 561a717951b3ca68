import type { Clock } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { Finding } from "../certs/lint/finding.ts";
import { lintSetup, type TlsSetup } from "../certs/lint/lint-setup.ts";
import { openPolicy } from "../config/policy-source.ts";
import { readCookies, WEAK_COOKIE_BYTES } from "../identity/cookies.ts";
import { checkProtection, readSeed } from "../identity/key-files.ts";
import { type IdentityWarning, NODE_KEY_FILE, quotePath } from "../identity/key-layout.ts";
import type { NodeOptions } from "../node/options.ts";
import { loadTlsSides } from "../node/tls-sides.ts";
import { readPemCertificates } from "../x509/check-key.ts";
import { bad, type Check, doubtful, fine, skipped } from "./check.ts";
import { checkPorts } from "./machine-ports.ts";
import { checkQuic } from "./machine-quic.ts";
import { type NetworkWorld, namesAtEpmd } from "./network-probes.ts";
import { beamNote, nameNotes } from "./notes.ts";

/** Before this the clock is surely wrong: the project did not exist. */
const EARLIEST_MS: number = Date.UTC(2026, 0, 1);
/** A file from the future means that the clock went back; so much later is still taken for the grain of clocks. Milliseconds. */
const FUTURE_GRACE_MS = 60_000;

/** A machine to be looked at. */
export interface MachineSubject {
  /** As a start would take them. */
  readonly options: NodeOptions;
  /** How the node does TLS, for the linter. */
  readonly setups: readonly TlsSetup[];
  /** Endpoints of the node that runs with this configuration; undefined: none runs. */
  readonly running: readonly string[] | undefined;
  /** Path of its control socket; undefined where there is to be none. */
  readonly control: string | undefined;
}

export interface MachineWorld extends NetworkWorld {
  readonly clock: Clock;
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
}

/** Looks at everything on this machine that a node with this configuration needs. Changes nothing. Never rejects. */
export async function doctorMachine(subject: MachineSubject, world: MachineWorld): Promise<readonly Check[]> {
  const { options } = subject;
  return [
    ...guarded("config", () => checkQuic(options)),
    ...guarded("name", () => checkName(subject)),
    ...guarded("clock", () => checkClock(subject, world)),
    ...guarded("keys", () => checkKeys(options, world)),
    ...guarded("certificates", () => checkCertificates(subject, world)),
    ...guarded("cookie", () => checkCookie(options, world)),
    ...guarded("policy", () => checkPolicy(options, world)),
    ...guarded("audit", () => checkAudit(options, world)),
    ...(await checkPorts(options, world.datagrams, subject.running)),
    ...(await checkEpmd(options, world)),
    ...checkControl(subject),
  ];
}

/** What a check throws is what is wrong. */
function guarded(id: string, check: () => readonly Check[]): readonly Check[] {
  try {
    return check();
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    return [faulty(id, error)];
  }
}

function faulty(id: string, error: SallyportError): Check {
  const code =
    error.reason === "TLS_OPTIONS" || error.reason === "CIPHER_UNKNOWN" ? "CIPHER_UNSUPPORTED" : error.reason;
  return bad(id, code, error.message.replace(/^\[ERR_[A-Z_]+\] /, ""), error.advice ?? "correct it");
}

function checkName({ options }: MachineSubject): readonly Check[] {
  const name = parseNodeName(options.name);
  const notes = nameNotes([name]).map(({ code, message, advice }) => doubtful("name", code, message, advice));
  return [fine("name", `${name} is a node name`), ...notes];
}

function checkClock({ setups }: MachineSubject, { clock, files }: MachineWorld): readonly Check[] {
  const nowMs = clock.wallMs();
  const says = new Date(nowMs).toISOString();
  const advice = "set the clock, and keep it by NTP";
  if (nowMs < EARLIEST_MS) return [bad("clock", "CLOCK_SKEW", `the clock says ${says}, which is long gone`, advice)];
  const newest = setups
    .flatMap(({ certFile, keyFile }) => [certFile, keyFile])
    .find((path) => {
      const changedMs = files.facts(path)?.changedMs;
      return changedMs !== undefined && changedMs > nowMs + FUTURE_GRACE_MS;
    });
  if (newest === undefined) return [fine("clock", says)];
  const message = `the clock says ${says}, and ${quotePath(newest)} was changed later than that`;
  return [doubtful("clock", "CLOCK_SKEW", message, advice)];
}

function checkKeys({ identity, profile = "standard" }: NodeOptions, { files }: MachineWorld): readonly Check[] {
  if (identity === undefined) return [skipped("keys", "no identity by key: peers are known by certificate")];
  const directory = identity.dir.replace(/\/+$/, "");
  const path = `${directory}/${NODE_KEY_FILE}`;
  if (!files.exists(path)) {
    const message = `${quotePath(path)} is not there: a start makes a new key`;
    return [
      doubtful("keys", "KEY_MISSING", message, "make it now: sallyport keys init, and give the key to the peers"),
    ];
  }
  const warnings: IdentityWarning[] = [];
  checkProtection({ files, directory, profile }, path, warnings);
  readSeed(files, path).fill(0);
  if (warnings.length > 0) {
    const advice = "chmod 600 the key and chmod 700 its directory";
    return warnings.map(({ reason, message }) => bad("keys", reason, message, advice));
  }
  return [fine("keys", `${quotePath(path)} is readable by its owner alone`)];
}

function checkCertificates({ options, setups }: MachineSubject, world: MachineWorld): readonly Check[] {
  const { tls, identity } = options;
  if (tls === undefined) {
    const says = identity === undefined ? "no TLS at all" : "the node makes its own: native peers only";
    return [
      identity === undefined
        ? doubtful("certificates", "TLS_MISSING", says, "give tls, or an identity")
        : skipped("certificates", says),
    ];
  }
  const findings = setups.flatMap((setup) => lintSetup(setup, world));
  const checks = findings.map(({ code, severity, message, advice, file }: Finding) =>
    (severity === "error" ? bad : doubtful)("certificates", code, `${quotePath(file)}: ${message}`, advice),
  );
  const seen = new Set<string>();
  const found = checks.filter(({ code, says }) => !seen.has(`${code} ${says}`) && seen.add(`${code} ${says}`));
  if (found.some(({ state }) => state === "fault")) return found;
  // What the linter does not try: whether the platform takes it.
  loadTlsSides(world.files, tls, world.clock.wallMs());
  const [leaf] = readPemCertificates(world.files.readText(tls.certFile), tls.certFile);
  const name = parseNodeName(options.name);
  const erlang = beamNote(leaf, name, `${name}`).map((note) =>
    doubtful("certificates", note.code, note.message, note.advice),
  );
  return [fine("certificates", `${quotePath(tls.certFile)} is in order: dates, key, name, chain`), ...found, ...erlang];
}

function checkCookie({ cookie }: NodeOptions, { files }: MachineWorld): readonly Check[] {
  const { book } = readCookies(cookie, files);
  const lengths = book.all().map((bytes) => bytes.length);
  if (lengths.length === 0) {
    return [skipped("cookie", "none is set: Erlang nodes cannot be reached, Sallyport nodes need none")];
  }
  const shortest = Math.min(...lengths);
  if (shortest >= WEAK_COOKIE_BYTES) return [fine("cookie", `${lengths.join(", ")} bytes`)];
  const message = `it has ${shortest} bytes; below ${WEAK_COOKIE_BYTES} it can be guessed from one recorded handshake`;
  return [doubtful("cookie", "COOKIE_WEAK", message, "take 16 random bytes or more on all nodes")];
}

function checkPolicy({ policy, name }: NodeOptions, { files, clock, crypto }: MachineWorld): readonly Check[] {
  if (policy === undefined) return [skipped("policy", "none: peers may connect, and have what code grants")];
  const option = typeof policy === "string" ? { file: policy } : policy;
  const { first } = openPolicy(option, { files, clock, crypto, name: parseNodeName(name) });
  return [fine("policy", `loads, and its tests pass: ${first.document.rules?.length ?? 0} rules`)];
}

function checkAudit({ audit }: NodeOptions, { files }: MachineWorld): readonly Check[] {
  if (audit === undefined || audit === false) return [skipped("audit", "no log is kept")];
  const facts = files.facts(audit.dir);
  if (facts === undefined) return [fine("audit", `${quotePath(audit.dir)} is made at the first start`)];
  const owner = "let the node's user own the directory, with mode 700";
  if (facts.kind !== "directory") {
    return [bad("audit", "AUDIT_UNWRITABLE", `${quotePath(audit.dir)} is no directory`, "name a directory")];
  }
  if (facts.foreign || (facts.mode & 0o200) === 0) {
    return [bad("audit", "AUDIT_UNWRITABLE", `${quotePath(audit.dir)} cannot be written by this user`, owner)];
  }
  if ((facts.mode & 0o022) !== 0) {
    return [doubtful("audit", "AUDIT_EXPOSED", `${quotePath(audit.dir)} can be written by other users`, owner)];
  }
  return [fine("audit", `${quotePath(audit.dir)} can be written`)];
}

async function checkEpmd({ epmd = "lookup" }: NodeOptions, world: MachineWorld): Promise<readonly Check[]> {
  if (epmd === "off") return [skipped("epmd", "switched off")];
  const names = await namesAtEpmd(world, "127.0.0.1");
  if (names !== undefined) {
    return [fine("epmd", `port ${world.epmdPort} answers: ${names.length === 0 ? "no names" : names.join(", ")}`)];
  }
  const says = `no EPMD answers at port ${world.epmdPort} of this machine`;
  if (epmd === "lookup") return [skipped("epmd", `${says}, and only those of other hosts are asked`)];
  return [bad("epmd", "EPMD_UNREACHABLE", says, "start it: epmd -daemon; or leave out epmd: register")];
}

function checkControl({ control, running }: MachineSubject): readonly Check[] {
  if (control === undefined) return [skipped("control", "no control socket is named")];
  const says = running === undefined ? "no node runs there" : "a node runs and answers";
  return [fine("control", `${quotePath(control)}: ${says}`)];
}
