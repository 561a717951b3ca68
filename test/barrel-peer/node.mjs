// The node behind the connections: a few processes, names, monitors, calls. Speaks to links only.

import { ALIAS, EXIT_PAYLOAD, SEND_SENDER } from "./handshake.mjs";
import { atom, encodeTerm, Improper, isAtom, Pid, Ref, Tuple, tuple } from "./term.mjs";

const NO_COOKIE = atom("");

/** `link` below: `{peer: {name, flags, effective}, alias, message(control, payload)}`; `alias` is another name than ours, of a hostile one. */
export class ErlangNode {
  /** Connections that are up, by name. @type {Map<string, object>} */
  links = new Map();
  #pids = 100;
  #words = 1;
  /** Own processes by name. @type {Map<string, {pid: Pid, handle(message: unknown, link: object): void}>} */
  #registered = new Map();
  /** Monitors that others set on our processes, by text of the reference. */
  #monitors = new Map();
  /** Calls and monitors of our own shell, by text of the reference. */
  #waiting = new Map();

  /** @param {{name: string, creation: number, emit: (event: object) => void}} options */
  constructor({ name, creation, emit }) {
    this.name = name;
    this.creation = creation;
    this.emit = emit;
    this.shell = this.newPid();
    this.register("net_kernel", (message, link) => this.#netKernel(message, link));
    this.register("echo", (message, link) => this.#echo(message, link));
    this.register("calc", (message, link) => this.#calc(message, link));
  }

  newPid(name = this.name) {
    return new Pid(name, this.#pids++, 0, this.creation);
  }

  newRef(name = this.name) {
    return new Ref(name, this.creation, [this.#words++, 2, 3]);
  }

  register(name, handle) {
    this.#registered.set(name, { pid: this.newPid(), handle });
  }

  /** Ends a named process: its monitors fire with `reason`. */
  kill(name, reason) {
    this.#registered.delete(name);
    for (const [key, { target, to, ref, link }] of this.#monitors) {
      if (!isAtom(target, name)) continue;
      this.#monitors.delete(key);
      this.#down(link, target, to, ref, atom(reason));
    }
  }

  /** Sends to a name or a pid on the node behind `link`. */
  send(link, to, message, from = this.shell) {
    if (to instanceof Pid) {
      const sender = (link.peer.effective & SEND_SENDER) !== 0n;
      return link.message(sender ? tuple(22, from, to) : tuple(2, NO_COOKIE, to), message);
    }
    return link.message(tuple(6, from, NO_COOKIE, atom(to)), message);
  }

  /** A gen call: monitor, message, answer or DOWN, demonitor. `done({ok, value})` or `done({error})`. */
  call(link, name, request, timeoutMs, done) {
    const ref = this.newRef(link.alias);
    const shell = link.alias === undefined ? this.shell : this.newPid(link.alias);
    const alias = (link.peer.effective & ALIAS) !== 0n;
    const tag = alias ? new Improper([atom("alias")], ref) : ref;
    const end = (result) => {
      clearTimeout(timer);
      this.#waiting.delete(keyOf(ref));
      link.message(tuple(20, shell, atom(name), ref));
      done(result);
    };
    const timer = setTimeout(() => end({ error: "timeout" }), timeoutMs);
    this.#waiting.set(keyOf(ref), {
      reply: (value) => end({ ok: true, value }),
      down: (reason) => end({ down: reason }),
    });
    link.message(tuple(19, shell, atom(name), ref));
    this.send(link, name, tuple(atom("$gen_call"), tuple(shell, tag), request), shell);
  }

  /** Monitors a name; `down(reason)` once. */
  monitor(link, name, down) {
    const ref = this.newRef();
    this.#waiting.set(keyOf(ref), { down });
    link.message(tuple(19, this.shell, atom(name), ref));
  }

  /** A connection has ended. */
  lost(link) {
    if (this.links.get(link.peer.name) === link) this.links.delete(link.peer.name);
    for (const [key, monitor] of this.#monitors) if (monitor.link === link) this.#monitors.delete(key);
  }

  /** One decoded distribution message. @throws {Error} closes the connection */
  receive(link, control, message) {
    if (!(control instanceof Tuple)) throw new Error("control message is no tuple");
    const [op, a, b, c] = control.items;
    switch (op) {
      case 2:
      case 22:
        return this.#deliver(link, op === 22 ? a : undefined, b, message);
      case 6:
        return this.#deliver(link, a, c, message);
      case 33:
        return this.#alias(b, message);
      case 19:
        return this.#monitored(link, a, b, c);
      case 20:
        return this.#monitors.delete(keyOf(c));
      case 21:
        return this.#waiting.get(keyOf(c))?.down?.(control.items[4]);
      case 28:
        return this.#waiting.get(keyOf(c))?.down?.(message);
      case 1:
        if (this.#find(b) === undefined) this.#exit(link, b, a, atom("noproc"));
        return undefined;
      case 35:
        return link.message(tuple(36, a, c, b));
      case 29:
        return link.message(tuple(31, a, b, 0, atom("notsup")));
      case 3:
      case 4:
      case 7:
      case 8:
      case 24:
      case 26:
      case 31:
      case 36:
        return undefined;
      default:
        throw new Error(`unknown control message ${String(op)}`);
    }
  }

  #find(target) {
    if (isAtom(target)) return this.#registered.get(target.name);
    const found = [...this.#registered.values()].find(({ pid }) => encodeTerm(pid).equals(encodeTerm(target)));
    const shell = encodeTerm(this.shell).equals(encodeTerm(target));
    return found ?? (shell ? { pid: this.shell, handle: (message) => this.#shellMessage(message) } : undefined);
  }

  #deliver(link, from, to, message) {
    this.emit({ event: "received", from, to, message, node: link.peer.name });
    this.#find(to)?.handle(message, link);
  }

  /** A plain answer to a call of ours: `{Tag, Value}` to the shell. */
  #shellMessage(message) {
    const tag = message instanceof Tuple && message.items.length === 2 ? message.items[0] : undefined;
    const ref = tag instanceof Improper ? tag.tail : tag;
    if (ref instanceof Ref) this.#waiting.get(keyOf(ref))?.reply?.(message.items[1]);
  }

  #alias(ref, message) {
    if (message instanceof Tuple) this.#waiting.get(keyOf(ref))?.reply?.(message.items[1]);
  }

  #monitored(link, from, target, ref) {
    if (this.#find(target) === undefined) return this.#down(link, target, from, ref, atom("noproc"));
    return this.#monitors.set(keyOf(ref), { target, to: from, ref, link });
  }

  #down(link, target, to, ref, reason) {
    if ((link.peer.effective & EXIT_PAYLOAD) !== 0n) return link.message(tuple(28, target, to, ref), reason);
    return link.message(tuple(21, target, to, ref, reason));
  }

  #exit(link, from, to, reason) {
    if ((link.peer.effective & EXIT_PAYLOAD) !== 0n) return link.message(tuple(24, from, to), reason);
    return link.message(tuple(3, from, to, reason));
  }

  #netKernel(message, link) {
    this.#answer(message, link, "net_kernel", (request) => {
      if (request instanceof Tuple && isAtom(request.items[0], "is_auth")) return atom("yes");
      return tuple(atom("error"), atom("badarg"));
    });
  }

  #echo(message, link) {
    if (!(message instanceof Tuple) || message.items.length !== 2 || !(message.items[0] instanceof Pid)) return;
    const [to, text] = message.items;
    this.send(link, to, tuple(atom("echo"), text, atom(this.name)), this.#registered.get("echo").pid);
  }

  #calc(message, link) {
    this.#answer(message, link, "calc", (request) => {
      const [op, a, b] = request instanceof Tuple ? request.items : [];
      const numbers = typeof a === "number" && typeof b === "number";
      if (numbers && isAtom(op, "add")) return a + b;
      if (numbers && isAtom(op, "mul")) return a * b;
      return tuple(atom("error"), atom("bad_request"));
    });
  }

  /** Answers `{'$gen_call', {Pid, Tag}, Request}`: an alias tag through the alias, else a plain send. */
  #answer(message, link, name, work) {
    if (!(message instanceof Tuple) || !isAtom(message.items[0], "$gen_call")) return;
    const [, from, request] = message.items;
    const [pid, tag] = from.items;
    const own = this.#registered.get(name).pid;
    const reply = tuple(tag, work(request));
    const alias = tag instanceof Improper && tag.tail instanceof Ref && (link.peer.effective & ALIAS) !== 0n;
    if (alias) link.message(tuple(33, own, tag.tail), reply);
    else this.send(link, pid, reply, own);
  }
}

function keyOf(ref) {
  return encodeTerm(ref).toString("hex");
}
