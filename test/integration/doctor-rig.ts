import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Diagnosis, diagnose } from "../../src/base/diagnosis.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createDatagrams } from "../../src/carrier/udp-port.ts";
import { createNodeWith } from "../../src/create-node.ts";
import { doctorConnect } from "../../src/doctor/connect.ts";
import type { NetworkWorld } from "../../src/doctor/network-probes.ts";
import type { ConnectReport } from "../../src/doctor/report.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions, TlsOption } from "../../src/node/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { createAuthority, issueNodeCertificate } from "../../src/x509/issue.ts";

export const COOKIE = "doctor-cookie-of-the-tests";
export const DAY_MS = 86_400_000;

/** The real clock, moved. */
export class MovedClock extends RealClock {
  movedMs: number;

  constructor(movedMs = 0) {
    super();
    this.movedMs = movedMs;
  }

  override wallMs(): number {
    return super.wallMs() + this.movedMs;
  }
}

export interface Issue {
  /** `old` (a root of long ago), `root`, `i1`, `i2`, `i3` (each below the one before), `other` (another root). */
  readonly by?: string;
  readonly fromDays?: number;
  readonly days?: number;
  readonly hostOnly?: boolean;
  /** Certificates behind the own one; default those between it and its root. */
  readonly chain?: readonly string[];
  /** Roots that are trusted; default the issuer's. */
  readonly trusts?: readonly string[];
}

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  root: [],
  other: [],
  old: [],
  i1: ["i1"],
  i2: ["i2", "i1"],
  i3: ["i3", "i2", "i1"],
};

/** Authorities, certificates and nodes of one test file. */
export class DoctorRig {
  readonly home: string = mkdtempSync(join(tmpdir(), "sallyport-doctor-"));
  readonly world: NetworkWorld;
  readonly #closers: (() => unknown)[] = [];
  #files = 0;

  private constructor(epmdPort: number) {
    const system = { clock: new RealClock(), random: new RealRandom() };
    this.world = { ...system, sockets: createSockets(), datagrams: createDatagrams(), epmdPort };
    const openssl = (...args: string[]): void =>
      void execFileSync("openssl", args, { cwd: this.home, stdio: "ignore" });
    const key = (name: string): void =>
      openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${name}.key`);
    writeFileSync(
      join(this.home, "ca.ext"),
      "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n",
    );
    for (const root of ["root", "other"]) {
      key(root);
      openssl(
        "req",
        "-x509",
        "-new",
        "-key",
        `${root}.key`,
        "-days",
        "99",
        "-subj",
        `/CN=The ${root} CA`,
        "-out",
        `${root}.crt`,
      );
    }
    ["root", "i1", "i2"].forEach((by, at) => {
      const name = `i${at + 1}`;
      key(name);
      openssl("req", "-new", "-key", `${name}.key`, "-subj", `/CN=Intermediate ${name}`, "-out", `${name}.csr`);
      const from = ["-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial", "-days", "90", "-extfile", "ca.ext"];
      openssl("x509", "-req", "-in", `${name}.csr`, ...from, "-out", `${name}.crt`);
    });
  }

  /** @param epmdPort where nothing listens unless a test starts one */
  static async make(epmdPort = 1): Promise<DoctorRig> {
    const rig = new DoctorRig(epmdPort);
    const parts = { clock: new MovedClock(-40 * DAY_MS), random: new RealRandom() };
    const old = await createAuthority(parts, { commonName: "The old CA" });
    writeFileSync(join(rig.home, "old.crt"), old.certPem);
    writeFileSync(join(rig.home, "old.key"), old.keyPem);
    return rig;
  }

  pem(name: string): string {
    return readFileSync(join(this.home, name), "utf8");
  }

  /** Certificate files of a node. */
  async tls(name: string, issue: Issue = {}): Promise<TlsOption> {
    const { by = "root", fromDays = 0, days = 30, hostOnly = false } = issue;
    const clock = new MovedClock(fromDays * DAY_MS);
    const authority = { certPem: this.pem(`${by}.crt`), keyPem: this.pem(`${by}.key`) };
    const issued = await issueNodeCertificate({ clock, random: new RealRandom() }, authority, {
      name: parseNodeName(name),
      days,
      hostOnly,
    });
    return this.write(issued.certPem, issued.keyPem, issue);
  }

  /** A certificate as three plain openssl commands make it: version 1, the common name is the node's. */
  bare(name: string): TlsOption {
    const openssl = (...args: string[]): void =>
      void execFileSync("openssl", args, { cwd: this.home, stdio: "ignore" });
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "bare.key");
    openssl("req", "-new", "-key", "bare.key", "-subj", `/CN=${name}`, "-out", "bare.csr");
    const from = ["-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-days", "9"];
    openssl("x509", "-req", "-in", "bare.csr", ...from, "-out", "bare.crt");
    return this.write(this.pem("bare.crt"), this.pem("bare.key"), {});
  }

  write(certPem: string, keyPem: string, { by = "root", chain, trusts }: Issue): TlsOption {
    const stem = join(this.home, `node${++this.#files}`);
    const behind = (chain ?? CHAINS[by] ?? []).map((file) => this.pem(`${file}.crt`));
    writeFileSync(`${stem}.crt`, [certPem, ...behind].join("\n"));
    writeFileSync(`${stem}.key`, keyPem, { mode: 0o600 });
    const roots = trusts ?? [by === "other" ? "other" : "root"];
    writeFileSync(`${stem}.ca`, roots.map((root) => this.pem(`${root}.crt`)).join("\n"));
    return { certFile: `${stem}.crt`, keyFile: `${stem}.key`, caFile: `${stem}.ca` };
  }

  async node(options: NodeOptions, clock = new MovedClock()): Promise<RecordedNode> {
    const node = await createNodeWith({ epmd: "off", cookie: COOKIE, ...options }, clock);
    this.closes(() => node.close({ timeoutMs: 0 }));
    return new RecordedNode(node);
  }

  /** Examines `target` at a port from a node. */
  examine(from: RecordedNode, target: string, timeoutMs = 8_000): Promise<ConnectReport> {
    return doctorConnect(from.node, target, { timeoutMs }, this.world);
  }

  closes(close: () => unknown): void {
    this.#closers.push(close);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#closers.splice(0).map(async (close) => close()));
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A node with what it told its operator. */
export class RecordedNode {
  readonly node: Node;
  readonly refused: Diagnosis[] = [];
  readonly warnings: string[] = [];
  #heard: () => void = () => undefined;
  readonly said: string[] = [];

  constructor(node: Node) {
    this.node = node;
    node.on("refused", ({ role, error }) => {
      this.said.push(error.message, String(error.advice), JSON.stringify(error.detail));
      if (role === "acceptor") this.refused.push(diagnose(error));
      this.#heard();
    });
    node.on("warning", ({ reason, message }) => {
      this.said.push(message);
      this.warnings.push(reason);
      this.#heard();
    });
  }

  get port(): number {
    return Number(this.node.endpoints[0]?.split(":").at(-1));
  }

  /** Resolves once `found` answers something. */
  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** The diagnosis of an inbound attempt that has this code; waits for it. */
  diagnosed(code: string): Promise<Diagnosis> {
    return this.until(() => this.refused.find((diagnosis) => diagnosis.code === code));
  }

  /** Resolves when the warning came. */
  warned(reason: string): Promise<true> {
    return this.until(() => (this.warnings.includes(reason) ? true : undefined));
  }
}

/** The stage that failed. */
export function failedStage({
  stages,
}: ConnectReport): { readonly stage: string; readonly evidence: object } | undefined {
  return stages.find(({ state }) => state === "failed");
}

/** All that was said, to whoever it was. */
export function everything(report: ConnectReport, ...nodes: readonly RecordedNode[]): string {
  const { failure, ...rest } = report;
  return JSON.stringify([rest, failure?.error.message, failure?.diagnosis, nodes.map(({ said }) => said)]);
}
