#!/usr/bin/env node
// A barrel_p2p conformance peer as one process: options on the command line, commands as JSON lines on stdin,
// events as JSON lines on stdout. See README.md.
import { randomBytes, randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { attackFor } from "./attacks.mjs";
import { bindingOf, encodeHello, framed } from "./auth-codec.mjs";
import { openForgedServer } from "./forged-server.mjs";
import { FRAGMENTS } from "./handshake.mjs";
import { keyFits, loadCertificate, loadKeys, newKeys, rotateKeys, TrustStore } from "./identity.mjs";
import { Link } from "./link.mjs";
import { ErlangNode } from "./node.mjs";
import { parseAddress, parseOptions } from "./options.mjs";
import { Endpoint } from "./quic.mjs";
import { openRelay } from "./relay.mjs";
import { Atom, Float, fromJson, Improper, Opaque, Pairs, Pid, Ref, Tuple, toJson } from "./term.mjs";

const TERMS = [Atom, Tuple, Float, Improper, Pairs, Pid, Ref, Opaque, Uint8Array];

class Peer {
  /** Shared by all connections: the original keys these bytes by name and stream alone. */
  waitingTags = new Map();
  /** @type {Map<number, Link>} */
  links = new Map();
  /** @type {Set<{close(): void}>} */
  #open = new Set();
  #next = 1;

  constructor(options) {
    this.options = options;
    this.emit = (event) => console.log(JSON.stringify(event, shown));
    this.node = new ErlangNode({ name: options.name, creation: randomInt(4, 2 ** 32), emit: this.emit });
    this.trust = new TrustStore(options.keyDir, options.trust);
    this.certificate = loadCertificate(options.certDir);
    this.parameters = { streamBytes: options.streamBytes, alpn: options.alpn };
    this.keys();
  }

  keys() {
    return loadKeys(this.options.keyDir);
  }

  /** Opens a listener; the binding is of the certificate as it is now. */
  async listen({ address, attack, ...o }) {
    const { host, port } = parseAddress(address);
    const bent = attackFor(attack, o, this, "listener");
    const certificate = o.certFile === undefined ? this.certificate : readCertificate(o);
    if (bent?.forged === true) {
      const control = o.control === true ? certificate.keyPem : undefined;
      const forged = await openForgedServer({
        host,
        port,
        certPem: certificate.certPem,
        keyPem: control,
        emit: this.emit,
      });
      this.#open.add(forged);
      return this.emit({ event: "listening", port: forged.port, attack });
    }
    const binding = bindingOf(certificate.der);
    const accept = (quic) => this.#link(quic, { role: "listener", attack: bent, binding });
    const endpoint = await Endpoint.open({
      host,
      port,
      certificate,
      parameters: { ...this.parameters, streamBytes: o.streamBytes ?? this.options.streamBytes },
      accept,
    });
    this.#open.add(endpoint);
    return this.emit({ event: "listening", port: endpoint.port, attack, binding: binding.toString("hex") });
  }

  async dial({ to, address, attack, count = 1, ...o }) {
    const remote = parseAddress(address);
    if (attack === "reflection") o.victimKey ??= await this.#keyOf(remote);
    const bent = attackFor(attack, o, this, "dialer");
    const ids = [];
    for (let i = 0; i < count; i++) {
      const endpoint = await Endpoint.open({ host: o.from ?? remote.host, parameters: this.parameters });
      this.#open.add(endpoint);
      const start = (quic) => this.#link(quic, { role: "dialer", target: to, attack: bent });
      endpoint.dial(remote, (quic) => {
        const handler = start(quic);
        ids.push(this.#next - 1);
        return handler;
      });
      if (bent?.deaf === true) endpoint.socket.removeAllListeners("message");
    }
    return { connections: ids };
  }

  #link(quic, of) {
    const id = this.#next++;
    const link = new Link(this, quic, { id, ...of });
    this.links.set(id, link);
    this.emit({ event: "connection", connection: id, role: of.role, target: of.target });
    return link.handler();
  }

  /** Anyone may learn the key of a listener (section 14.6). */
  async #keyOf(remote) {
    const endpoint = await Endpoint.open({ host: remote.host });
    const key = await new Promise((resolve, reject) => {
      endpoint.dial(remote, (quic) => ({
        established: () => {
          quic.write(2, framed(encodeHello(`probe${randomInt(1e9)}@127.0.0.1`, newKeys().publicKey)));
          quic.flush();
        },
        data: (_id, bytes) =>
          bytes.length > 40 && resolve(bytes.subarray(2 + 4 + bytes.readUInt16BE(4)).subarray(0, 32)),
        closed: () => reject(new Error("the victim did not show its key")),
      }));
    });
    endpoint.close();
    return key.toString("hex");
  }

  /** A link has closed. */
  gone(link) {
    this.links.delete(link.id);
    if (link.role === "dialer" && !link.quic.endpoint.gone) {
      link.quic.endpoint.close();
      this.#open.delete(link.quic.endpoint);
    }
  }

  /** Status for an incoming name (otp-distribution section 2.3). */
  status(name, incoming) {
    if (this.node.links.has(name)) return "alive";
    for (const link of this.links.values()) {
      if (link === incoming || link.role !== "dialer" || link.target !== name || link.phase !== "handshake") continue;
      if (this.node.name > name) return "nok";
      link.close();
      return "ok_simultaneous";
    }
    return "ok";
  }

  /** The connection a command means: by number, or by name of the node. */
  of({ connection, node }) {
    const link = connection === undefined ? this.node.links.get(node) : this.links.get(connection);
    if (link === undefined) throw new Error(`no connection ${connection ?? node}`);
    return link;
  }

  stop() {
    for (const each of this.#open) each.close();
    process.exitCode = 0;
    process.stdin.destroy();
    setTimeout(() => process.exit(0), 50);
  }

  commands = {
    listen: (c) => this.listen(c),
    dial: (c) => this.dial(c),
    send: (c) => this.node.send(this.of(c), typeof c.to === "string" ? c.to : new Pid(...c.to.pid), this.#term(c.term)),
    call: (c) =>
      new Promise((resolve) => {
        this.node.call(this.of(c), c.name, this.#term(c.term), c.timeoutMs ?? 5_000, resolve);
      }),
    ping: (c) =>
      new Promise((resolve) => {
        const request = fromJson({ tuple: [{ atom: "is_auth" }, { atom: this.node.name }] });
        this.node.call(this.of(c), "net_kernel", request, c.timeoutMs ?? 5_000, ({ ok, value }) =>
          resolve({ answer: ok && value?.name === "yes" ? "pong" : "pang" }),
        );
      }),
    monitor: (c) => new Promise((resolve) => this.node.monitor(this.of(c), c.name, (reason) => resolve({ reason }))),
    kill: (c) => this.node.kill(c.name, c.reason ?? "killed"),
    burst: (c) => this.#burst(c),
    idle: (c) => ({ ms: performance.now() - this.of(c).quic.lastSentAt }),
    tick: (c) => this.of(c).sendTick(),
    openStream: (c) => ({ stream: this.of(c).streams.open(c.tag, c.uni === true) }),
    writeStream: (c) => this.of(c).streams.write(c.stream, Buffer.from(c.hex ?? "", "hex"), c.fin === true),
    resetStream: (c) => this.of(c).quic.resetStream(c.stream, c.code ?? 0),
    stopStream: (c) => this.of(c).quic.stopReading(c.stream, c.code ?? 0),
    raw: (c) => {
      this.of(c).quic.write(c.stream, Buffer.from(c.hex, "hex"), c.fin === true);
      this.of(c).quic.flush();
    },
    resume: (c) => this.of(c).resume(),
    close: (c) => this.of(c).close(c.code ?? 0),
    closeAll: () => [...this.links.values()].map((link) => link.close()).length,
    deafen: (c) => this.of(c).quic.endpoint.socket.removeAllListeners("message"),
    rebind: async (c) => ({ port: await this.of(c).quic.endpoint.rebind() }),
    stats: (c) => ({ ...this.of(c).quic.stats(), parkedFrames: this.of(c).parkedFrames }),
    memory: () => ({ rss: process.memoryUsage().rss, external: process.memoryUsage().external }),
    status: () => ({
      connections: [...this.links.values()].map(({ id, role, phase, peer }) => ({ id, role, phase, name: peer?.name })),
      nodes: [...this.node.links.keys()],
      pins: Object.fromEntries([...this.trust.pins].map(([name, key]) => [name, key.toString("hex")])),
    }),
    pin: (c) => this.trust.store(c.name, Buffer.from(c.key, "hex")),
    unpin: (c) => this.trust.drop(c.name),
    rotate: () => ({ key: rotateKeys(this.options.keyDir).publicKey.toString("hex") }),
    identity: () => ({
      name: this.node.name,
      key: this.keys().publicKey.toString("hex"),
      pid: toJson(this.node.shell),
    }),
    relay: async (c) => {
      const relay = await openRelay(parseAddress(c.address), parseAddress(c.target), readCertificate(c), this.emit, c);
      this.#open.add(relay);
      return { port: relay.port };
    },
    stop: () => this.stop(),
  };

  #term(json) {
    const own = JSON.stringify(toJson(this.node.shell));
    return fromJson(JSON.parse(JSON.stringify(json).replaceAll('"$self"', own)));
  }

  /** Many messages of one size to a name. */
  #burst({ to, bytes, count, ...c }) {
    const link = this.of(c);
    for (let i = 0; i < count; i++) this.node.send(link, to, randomBytes(bytes));
    return { parkedFrames: link.parkedFrames };
  }

  async command(line) {
    const { cmd, id, ...rest } = JSON.parse(line);
    try {
      const run = Object.hasOwn(this.commands, cmd) ? this.commands[cmd] : undefined;
      if (run === undefined) throw new Error(`unknown command ${cmd}`);
      const result = await run(rest);
      this.emit({ event: "done", id, result });
    } catch (error) {
      this.emit({ event: "error", id, message: error.message });
    }
  }
}

function readCertificate({ certFile, keyFile }) {
  const [certPem, keyPem] = [readFileSync(certFile, "utf8"), keyFile && readFileSync(keyFile, "utf8")];
  const der = Buffer.from(certPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  if (keyPem !== undefined && !keyFits(certPem, keyPem)) throw new Error("the key does not belong to the certificate");
  return { certPem, keyPem, der };
}

/** Terms inside an event leave in their JSON form. */
function shown(key, value) {
  const term = this[key];
  return TERMS.some((kind) => term instanceof kind) || typeof term === "bigint" ? toJson(term) : value;
}

const options = parseOptions(process.argv.slice(2));
if (!options.fragments) options.flags &= ~FRAGMENTS;
const peer = new Peer(options);
process.on("uncaughtException", (error) => {
  peer.emit({ event: "crash", error: String(error.stack) });
  process.exit(1);
});
for (const address of options.listen)
  await peer.listen({ address, ...options.attackOptions, attack: options.listenAttack });
for (const { to, address } of options.dial)
  await peer.dial({ to, address, ...options.attackOptions, attack: options.dialAttack });
createInterface({ input: process.stdin }).on("line", (line) => peer.command(line));
process.stdin.on("end", () => peer.stop());
