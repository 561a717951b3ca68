import { type Detail, SallyportError, type Stage } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { channelsCutByPeer } from "../channel-errors.ts";
import type { ChannelSide } from "../channel-ids.ts";
import { explainSocketError } from "../tls-errors.ts";
import { type ClosedFacts, PUBLIC_ADDRESS } from "./engine-frames.ts";

/** QUIC CRYPTO_ERROR: 0x100 plus the TLS alert. RFC 9001 section 4.8. */
const CRYPTO_ERROR = 0x100;
const CRYPTO_ERROR_LAST = 0x1ff;
const ALERT_DECRYPT_ERROR = 51;
const ALERT_NO_APPLICATION_PROTOCOL = 120;

/** Names of alerts that QUIC's handshake ends with. RFC 8446 section 6. */
const ALERT_NAMES: Readonly<Record<number, string>> = {
  10: "unexpected_message",
  40: "handshake_failure",
  42: "bad_certificate",
  43: "unsupported_certificate",
  46: "certificate_unknown",
  47: "illegal_parameter",
  48: "unknown_ca",
  50: "decode_error",
  51: "decrypt_error",
  70: "protocol_version",
  71: "insufficient_security",
  80: "internal_error",
  109: "missing_extension",
  112: "unrecognized_name",
  116: "certificate_required",
  120: "no_application_protocol",
};

/** Why the engine ended. */
export type EngineLoss = "killed" | "silent" | "memory" | "protocol" | "stalled" | "ended";

const LOSS_WORDS: Readonly<Record<EngineLoss, string>> = {
  killed: "was ended by the system or by hand",
  silent: "answered no more and was killed",
  memory: "held more memory for its peers than it may, and ended",
  protocol: "said what it never says and was killed",
  stalled: "ended because this process did nothing for longer than its peers wait",
  ended: "ended by itself",
};

/** The engine process is gone, and with it every QUIC connection. `stage`: how far the connection had come. */
export function engineLost(loss: EngineLoss, stage: Stage): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "QUIC_ENGINE_LOST",
    `the QUIC engine ${LOSS_WORDS[loss]}; all QUIC connections are lost`,
    {
      detail: { loss },
      stage,
      advice: "connect again; when it happens again, look at who sends to the QUIC port, or use TLS",
    },
  );
}

/** The optional package with the binding is not there, or does not load. */
export function bindingMissing(): SallyportError {
  const packageName = `@infisical/quic-${process.platform}-${process.arch}`;
  return new SallyportError(
    "ERR_CONFIG",
    "QUIC_BINDING_MISSING",
    `QUIC needs the package ${packageName} 1.0.8, which is not installed or does not load on this system`,
    {
      detail: { package: packageName },
      stage: "port",
      advice: "install that package, or use tls:// instead of quic://",
    },
  );
}

/** The engine was closed by its owner. */
export function engineClosed(): SallyportError {
  return new SallyportError("ERR_CLOSED", "QUIC_ENGINE_CLOSED", "the QUIC engine of this node is closed", {
    stage: "port",
    advice: "dial before the node closes",
  });
}

/** The system refused the address. */
export function quicListenFailed(where: string, system: string): SallyportError {
  const inUse = system === "EADDRINUSE";
  return new SallyportError(
    "ERR_CONFIG",
    inUse ? "PORT_IN_USE" : "BIND_FAILED",
    inUse ? `the UDP port of ${where} is in use by another program` : `cannot listen on UDP ${where} (${system})`,
    {
      detail: { system },
      stage: "port",
      advice: inUse
        ? "stop the other program, or choose another port"
        : "listen on an address of this machine and on a port that this user may bind",
    },
  );
}

/** A public address without the option that says so. */
export function publicRefused(host: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "QUIC_PUBLIC_ADDRESS",
    `${host} is not a loopback or private address, and the QUIC engine has known faults that anybody in reach can use`,
    {
      detail: { host, option: "allowPublic" },
      stage: "port",
      advice:
        "listen on a private address or use TLS; allowPublic accepts that strangers can stop all QUIC connections",
    },
  );
}

/** A host that would be dialled is, or means, a public address, and nobody allowed that. */
export function publicDialRefused(what: string, detail: Detail): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "QUIC_PUBLIC_ADDRESS",
    `${what}, which is no loopback or private address, and the QUIC engine has known faults that a peer can use`,
    {
      detail,
      stage: "resolve",
      advice: "give it a tls:// address; or set quic.allowPublic, knowing the faults that docs/quic.md lists",
    },
  );
}

/** What the end of a connection means; undefined when the peer ended an open one in good order. */
export function closedCause(
  facts: ClosedFacts,
  address: string,
  opened: boolean,
  side: ChannelSide,
): SallyportError | undefined {
  if (facts.by === "system") return systemFailure(facts.system, address, opened);
  if (facts.by === "timeout") return timedOut(address, opened);
  const tls = !facts.app && facts.code >= CRYPTO_ERROR && facts.code <= CRYPTO_ERROR_LAST;
  if (tls) return tlsFailure(facts, facts.code - CRYPTO_ERROR, address, side);
  if (!opened) return closedWhileOpening(address, facts);
  if (facts.by === "reset") return forgotten(address);
  if (facts.by === "local") {
    // Both sides agreed on an end in good order, which this one asked for.
    if (facts.app && facts.code === 0) return undefined;
    return misbehaved(address, facts.code);
  }
  if (facts.app && facts.code === 0) return undefined;
  return channelsCutByPeer(address, facts.code);
}

function tlsFailure(facts: ClosedFacts, alert: number, address: string, side: ChannelSide): SallyportError {
  const alertName = ALERT_NAMES[alert] ?? "unknown";
  const detail = { address, alert, alertName, by: facts.by === "local" ? "this node" : "the other node" };
  if (alert === ALERT_NO_APPLICATION_PROTOCOL) {
    const [says, advice] =
      side === "dial"
        ? [
            `${address} speaks none of the application protocols offered over QUIC`,
            "dial the port of a node that speaks this protocol over QUIC",
          ]
        : [
            `${address} offers none of the application protocols that this node speaks over QUIC`,
            "let it offer erlang-dist, as barrel_p2p and Sallyport nodes do, or dial another port",
          ];
    return new SallyportError("ERR_PEER_INCOMPATIBLE", "QUIC_NO_ALPN", says, { detail, stage: "tls", advice });
  }
  if (facts.by === "local" && side === "dial" && alert === ALERT_DECRYPT_ERROR) {
    return new SallyportError(
      "ERR_PEER_MISBEHAVED",
      "QUIC_CERTIFICATE_UNPROVEN",
      `${address} showed a certificate without holding its key`,
      { detail, stage: "tls", advice: "find out who answers on that address: somebody else is in between" },
    );
  }
  const who = facts.by === "local" ? "this node refused" : `${address} refused`;
  const says = `${who} the QUIC handshake with TLS alert ${alert} (${alertName})`;
  if (facts.by === "peer" && side === "accept" && alert === ALERT_DECRYPT_ERROR) {
    return new SallyportError("ERR_PEER_INCOMPATIBLE", "QUIC_TLS_FAILED", says, {
      detail: { ...detail, diagnosis: "QUIC_CERTIFICATE_UNPROVEN", fault: "local" },
      stage: "tls",
      advice:
        "the dialler could not verify this node's proof of its certificate: renew it (sallyport keys rotate --certificate); when it stays so, somebody in between changes packets",
    });
  }
  return new SallyportError("ERR_PEER_INCOMPATIBLE", "QUIC_TLS_FAILED", says, {
    detail,
    stage: "tls",
    advice: "check that both sides allow a common TLS 1.3 suite, group and signature scheme",
  });
}

function timedOut(address: string, opened: boolean): SallyportError {
  if (opened) {
    return new SallyportError("ERR_CLOSED", "CONNECTION_LOST", `nothing came from ${address} within the idle timeout`, {
      detail: { address },
      stage: "session",
      advice: "look for a network or a machine that went down",
    });
  }
  return udpFiltered(address);
}

/** Nothing at all came back. */
export function udpFiltered(address: string): SallyportError {
  return new SallyportError("ERR_UNREACHABLE", "UDP_FILTERED", `no answer at all came from UDP ${address}`, {
    detail: { address },
    stage: "port",
    advice: "check that a QUIC listener runs there and that no firewall drops UDP to its port",
  });
}

/** The other host itself says that nothing listens (ICMP port unreachable). */
export function udpClosed(address: string): SallyportError {
  return new SallyportError("ERR_UNREACHABLE", "UDP_CLOSED", `nothing listens on UDP ${address}`, {
    detail: { address, system: "ECONNREFUSED" },
    stage: "port",
    advice:
      "start the node there with a quic:// listener, or correct the port; an open TCP port of that number does not count",
  });
}

function closedWhileOpening(address: string, { by, code }: ClosedFacts): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_WHILE_OPENING",
    by === "peer"
      ? `${address} closed before the QUIC connection was up (code ${code})`
      : `this node takes no part in what ${address} answered over QUIC (code ${code})`,
    {
      detail: { address, code },
      stage: "port",
      advice: "check that this is the port of a node that expects this kind of connection, and read its log",
    },
  );
}

function forgotten(address: string): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CONNECTION_LOST",
    `${address} knows nothing of the QUIC connection any more`,
    {
      detail: { address },
      stage: "session",
      advice: "connect again: the other node, or its QUIC engine, was started anew",
    },
  );
}

function misbehaved(address: string, code: number): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "QUIC_PROTOCOL",
    `the QUIC connection with ${address} broke the protocol or its bounds (code ${code}) and was cut`,
    { detail: { address, code }, stage: "session", advice: "update the other node; when it is current, report it" },
  );
}

function systemFailure(system: string, address: string, opened: boolean): SallyportError {
  if (!opened && system.startsWith(PUBLIC_ADDRESS)) {
    const found = quotePeerText(system.slice(PUBLIC_ADDRESS.length));
    return publicDialRefused(`${address} is ${found} over QUIC`, { address, found, option: "allowPublic" });
  }
  return opened ? systemError(system, address, "session") : udpFailure(system, address);
}

/** What the system says of a UDP port that was not heard of yet. */
export function udpFailure(system: string, address: string): SallyportError {
  switch (system) {
    case "ECONNREFUSED":
      return udpClosed(address);
    case "ETIMEDOUT":
      return udpFiltered(address);
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
    case "EADDRNOTAVAIL":
      // They mean over UDP what they mean over TCP.
      return explainSocketError(Object.assign(new Error(system), { code: system }), {
        address,
        role: "dial",
        opening: true,
      });
    default:
      return systemError(system, address, "port");
  }
}

function systemError(system: string, address: string, stage: Stage): SallyportError {
  const shown = quotePeerText(system);
  return new SallyportError(
    "ERR_UNREACHABLE",
    "QUIC_SYSTEM_ERROR",
    `the QUIC connection with ${address} failed in this system (${shown})`,
    {
      detail: { address, system: shown },
      stage,
      advice: "check address, routes, firewall and name service of this machine, then connect again",
    },
  );
}
