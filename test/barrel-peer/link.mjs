// One connection from TLS to distribution: auth, handshake, frames, ticks, user streams.
import { randomBytes, randomInt } from "node:crypto";
import { DialerAuth, ListenerAuth } from "./auth.mjs";
import { bindingOf, decodeMessage, FrameReader } from "./auth-codec.mjs";
import { encodeMessage, FrameCutter, isDistStream, MessageReader, streamFor } from "./frames.mjs";
import { DialerHandshake, FRAGMENTS, ListenerHandshake, PUBLISHED } from "./handshake.mjs";
import { loadKeys } from "./identity.mjs";
import { ScriptWire } from "./script-wire.mjs";
import { atom, encodeTerm, isAtom, tuple } from "./term.mjs";
import { UserStreams } from "./user-streams.mjs";

const NOTHING = Buffer.alloc(0);
const TICK = Buffer.alloc(4);

export class Link {
  phase = "tls";
  /** Set when up. @type {{name: string, flags: bigint, effective: bigint, creation: number} | undefined} */
  peer;
  #early = new Map();
  #earlyBytes = 0;
  #cutters = new Map();
  #early0 = [];
  #held; // bytes of stream 0 while the handshake is put off
  #parked = [];
  #timers = [];
  #sequence = 1;
  #lastTickAnswer = Number.NEGATIVE_INFINITY;
  #silent = { packets: -1, periods: 0 };

  /**
   * @param {object} owner the peer: options, node, trust, emit, `binding` of the own certificate, links
   * @param {import("./quic-connection.mjs").QuicConnection} quic
   * @param {{id: number, role: "dialer" | "listener", target?: string, attack?: object, binding?: Buffer}} of
   */
  constructor(owner, quic, of) {
    Object.assign(this, { owner, quic }, of);
    this.attack ??= {};
    this.startedAt = performance.now();
    if (this.role === "listener") {
      this.#after(
        owner.options.authTimeoutMs,
        () => this.phase === "tls" && this.#authEnded(fail("handshake_timeout")),
      );
    }
  }

  emit(event) {
    this.owner.emit({ ...event, connection: this.id });
  }

  /** What a hostile run saw of the other side. */
  saw(what, detail = {}) {
    if (this.attack.name !== undefined || this.owner.options.trace) this.emit({ event: "saw", what, ...detail });
  }

  /** @returns {import("./quic-connection.mjs").Handler} */
  handler() {
    return {
      established: () => this.#established(),
      data: (id, bytes, fin) => this.#data(id, bytes, fin),
      reset: (id, code) => this.#reset(id, code),
      closed: (info) => this.#closed(info),
    };
  }

  close = (code = 0) => this.quic.close(code);

  // --- authentication

  #established() {
    this.phase = "auth";
    this.reader = new FrameReader();
    const { options, node, trust } = this.owner;
    const certificate = this.role === "dialer" ? this.quic.peerCertificate() : undefined;
    this.emit({ event: "tls", role: this.role, alpn: this.quic.alpn });
    if (this.role === "dialer" && certificate === undefined) {
      return this.#authEnded(fail("{channel_binding_failed,{peercert_unavailable,no_cert}}"));
    }
    this.binding ??= bindingOf(certificate);
    if (this.attack.script !== undefined) {
      this.phase = "script";
      this.script = new ScriptWire(this);
      return this.attack
        .script(this.script, this)
        .catch((error) => this.emit({ event: "attack_failed", error: error.message }));
    }
    if (!options.auth) {
      this.auth = { rest: () => NOTHING, closed: () => {} };
      this.#clear();
      this.phase = "handshake";
      return this.#startHandshake();
    }
    this.#after(options.authTimeoutMs, () => this.auth.deadline());
    const stream = this.attack.authStream ?? (this.role === "dialer" ? 2 : 3);
    const setup = {
      name: node.name,
      keys: loadKeys(options.keyDir),
      binding: this.binding,
      trust,
      cookieOnly: options.cookieOnly,
      target: this.target,
      windowMs: options.windowMs,
      random: randomBytes,
      wallMs: Date.now,
      monotonicMs: () => performance.now(),
      wire: {
        open: () => {},
        send: (frame) => this.#write(stream, this.attack.cut?.(this, frame) ?? frame),
        fin: () => this.attack.noFin !== true && this.#write(stream, NOTHING, true),
      },
      done: (result) => this.#authEnded(result),
      bend: this.attack.bend,
    };
    this.auth = this.role === "dialer" ? new DialerAuth(setup) : new ListenerAuth(setup);
    this.attack.beforeHello?.(this);
    this.auth.start();
    return this.attack.afterHello?.(this);
  }

  #authEnded(result) {
    const { outcome, error, peer, peerKey } = result;
    if (this.phase === "closed") return;
    const [elapsedMs, key] = [Math.round(performance.now() - this.startedAt), peerKey?.toString("hex")];
    const role = this.role === "dialer" ? "outgoing" : "incoming";
    this.emit({ event: "auth", role, outcome, error, peer, key, elapsedMs });
    this.#clear();
    if (outcome === "fail") {
      this.phase = "failed";
      // A hostile run waits for what the other side does.
      return this.attack.name === undefined ? this.close() : undefined;
    }
    this.phase = "handshake";
    return this.#startHandshake();
  }

  /** A script has done the auth exchange itself. */
  continueAfterScript(result) {
    this.auth = { rest: () => NOTHING, closed: () => {} };
    this.phase = "auth";
    this.#authEnded(result);
  }

  // --- distribution handshake

  #startHandshake() {
    const { options, node } = this.owner;
    const dist = this.attack.dist ?? {};
    let sentEarly = dist.early === true;
    const setup = {
      name: dist.name ?? node.name,
      cookie: dist.cookie ?? options.cookie,
      flags: dist.flags ?? options.flags,
      creation: node.creation,
      target: this.target,
      challenge: () => randomInt(2 ** 32),
      send: (message) => {
        if (!sentEarly) this.#write(0, message);
        sentEarly = false;
      },
      status: (name) => this.owner.status(name, this),
      merge: dist.merge,
      blind: dist.blind,
      done: (result) => this.#handshakeEnded(result),
    };
    this.handshake = this.role === "dialer" ? new DialerHandshake(setup) : new ListenerHandshake(setup);
    if (dist.stall === true) this.handshake.ended = true;
    else if (dist.paused === true) this.#held = [];
    else this.handshake.start();
    const rest = this.auth.rest();
    if (rest.length > 0) this.#afterAuth(this.authIn, rest);
    for (const [id, chunks] of this.#early) for (const chunk of chunks) this.#afterAuth(id, chunk);
    this.#early.clear();
  }

  /** Goes on with a handshake that an attack has put off. */
  resume() {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.handshake.start();
    for (const bytes of held) this.handshake.chunk(bytes);
  }

  #handshakeEnded({ outcome, error, close, peer }) {
    this.emit({ event: "handshake", outcome, error });
    if (outcome === "fail") {
      this.phase = "stuck";
      if (close && this.attack.name === undefined) this.close();
      return;
    }
    this.phase = "up";
    this.peer = peer;
    const { options, node } = this.owner;
    this.messages = new MessageReader((peer.effective & FRAGMENTS) !== 0n);
    this.visible = (peer.effective & PUBLISHED) !== 0n;
    this.streams = new UserStreams({
      quic: this.quic,
      role: this.role,
      peer: peer.name,
      waiting: this.owner.waitingTags,
      tags: options.tags,
      emit: (event) => this.emit({ event: "stream", ...event }),
    });
    // Under another name it is a node of its own, which knows nothing of this one's connections.
    this.alias = this.attack.dist?.name;
    if (this.alias === undefined) {
      node.links.get(peer.name)?.close();
      node.links.set(peer.name, this);
    }
    const flags = `0x${peer.flags.toString(16)}`;
    this.emit({ event: "up", name: peer.name, flags, hidden: !this.visible, role: this.role });
    if (this.visible) {
      this.#after(options.acceptorDelayMs, () => {
        this.streams.accepting = true;
        this.emit({ event: "accepting" });
      });
      this.#greetVisible();
    }
    this.#every(options.tickMs, () => this.#tick());
    for (const body of this.#early0.splice(0)) this.#frame(body);
    this.attack.up?.(this);
  }

  /** What an Erlang node sends to each visible node by itself (otp-distribution section 6.8). */
  #greetVisible() {
    const { node } = this.owner;
    node.send(this, "rex", tuple(node.shell, atom("features_request")));
    const locker = tuple(atom("locker"), atom("no_longer_a_pid"), [], node.shell);
    const init = tuple(atom("init_connect"), tuple(8, node.creation), atom(node.name), locker);
    node.send(this, "global_name_server", tuple(atom("$gen_cast"), init));
  }

  // --- bytes in

  #data(id, bytes, fin) {
    if (fin) this.saw("fin", { stream: id });
    if (this.phase === "script") return this.script.data(id, bytes, fin);
    if (this.phase === "tls" || this.phase === "failed" || this.phase === "closed") return undefined;
    if (this.phase !== "auth") return this.#afterAuth(id, bytes, fin);
    this.authIn ??= id;
    if (id !== this.authIn) {
      // Taken without a limit, as the original does (section 14.9 b).
      if (!this.#early.has(id)) this.#early.set(id, []);
      this.#early.get(id).push(bytes);
      this.#earlyBytes += bytes.length;
      return this.saw("early", { stream: id, bytes: this.#earlyBytes });
    }
    this.#sawFrames(bytes);
    return this.auth.bytes(bytes);
  }

  #sawFrames(bytes) {
    this.reader.push(bytes);
    for (let m = this.reader.next(); m !== undefined; m = this.reader.next()) {
      const { type, name, reason, error, publicKey } = decodeMessage(m);
      this.saw(type, { name, error, reason: reason?.toString("latin1"), key: publicKey?.toString("hex") });
    }
  }

  #afterAuth(id, bytes, fin = false) {
    if (!isDistStream(id)) {
      if (this.streams !== undefined) return this.streams.data(id, bytes, fin);
      return (id & 2) === 0 ? this.quic.resetStream(id, 0x100) : undefined;
    }
    if (bytes.length === 0) return undefined;
    if (id === 0) return this.#stream0(bytes);
    let cutter = this.#cutters.get(id);
    if (cutter === undefined) {
      cutter = new FrameCutter();
      this.#cutters.set(id, cutter);
    }
    for (const body of cutter.push(bytes)) if (body.length > 0) this.#frame(body);
    return undefined;
  }

  #stream0(bytes) {
    if (this.phase === "handshake") {
      this.saw("stream0", { hex: bytes.toString("hex") });
      return this.#held === undefined ? this.handshake.chunk(bytes) : this.#held.push(bytes);
    }
    if (bytes.some((byte) => byte !== 0)) return this.emit({ event: "dropped", stream: 0, length: bytes.length });
    this.emit({ event: "tick" });
    const now = performance.now();
    if (this.phase === "up" && now - this.quic.lastSentAt > 1_000 && now - this.#lastTickAnswer > 5_000) {
      this.#lastTickAnswer = now;
      this.sendTick();
    }
    return undefined;
  }

  #frame(body) {
    if (this.phase !== "up") return this.#early0.push(body);
    try {
      const read = this.messages.read(body);
      if (read !== undefined) this.owner.node.receive(this, read.control, read.message);
    } catch (error) {
      this.emit({ event: "bad_frame", error: error.message });
      this.close();
    }
    return undefined;
  }

  #reset(id, code) {
    this.saw("reset", { stream: id, code });
    if (this.phase === "script") return this.script.reset(id, code);
    if (this.phase === "auth") {
      this.authIn ??= id;
      return id === this.authIn ? this.auth.reset(code) : undefined;
    }
    if (!isDistStream(id)) this.streams?.reset(id, code);
    return undefined;
  }

  #closed(info) {
    const was = this.phase;
    this.phase = "closed";
    this.script?.end();
    if (was === "auth") {
      this.phase = "auth";
      this.auth.closed(info.by === "timeout" ? "idle_timeout" : "closed");
      this.phase = "closed";
    }
    this.#clear();
    const afterMs = Math.round(performance.now() - this.startedAt);
    this.emit({ event: "closed", phase: was, ...info, afterMs });
    if (was === "up") {
      this.owner.node.lost(this);
      this.emit({ event: "down", name: this.peer.name, reason: info.by });
    }
    this.owner.gone(this);
  }

  // --- bytes out

  /** One write, in packets of its own. */
  #write(id, bytes, fin = false) {
    this.quic.write(id, bytes, fin);
    this.quic.flush();
  }

  /** One distribution message. Frames leave whole or wait for the next message or tick (section 1.1). */
  message(control, payload) {
    const [op, a, b, c] = control.items;
    const [from, to] = op === 2 ? [undefined, b] : [a, op === 6 ? c : b];
    const id = streamFor(this.role, encoded(from), encoded(to));
    const fragments = (this.peer.effective & FRAGMENTS) !== 0n;
    for (const frame of encodeMessage(fragments, this.#sequence++, control, payload)) this.#parked.push({ id, frame });
    this.#unpark();
  }

  #unpark() {
    while (this.#parked.length > 0) {
      const { id, frame } = this.#parked[0];
      if (this.owner.options.wholeFrames && this.#lacksCredit(id, frame.length)) return;
      this.#parked.shift();
      this.quic.write(id, frame);
    }
    this.quic.flush();
  }

  #lacksCredit(id, length) {
    const used = this.quic.written.get(id) ?? 0;
    return used + length > this.quic.announcedCredit(id) && this.quic.capacity(id) < length;
  }

  get parkedFrames() {
    return this.#parked.length;
  }

  sendTick() {
    this.#write(0, TICK);
  }

  #tick() {
    if (this.owner.options.trace) this.emit({ event: "period" });
    const { recv } = this.quic.stats();
    this.#silent =
      recv === this.#silent.packets
        ? { packets: recv, periods: this.#silent.periods + 1 }
        : { packets: recv, periods: 0 };
    if (this.#silent.periods >= 4) return this.close();
    this.#unpark();
    return this.quic.ping();
  }

  #after(ms, work) {
    this.#timers.push(setTimeout(work, ms));
  }

  #every(ms, work) {
    this.#timers.push(setInterval(work, ms));
  }

  #clear() {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}

const fail = (error) => ({ outcome: "fail", error });
const encoded = (term) => (term === undefined || isAtom(term, "") ? undefined : encodeTerm(term));
