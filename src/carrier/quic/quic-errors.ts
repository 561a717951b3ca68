import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { channelsCutByPeer } from "../channel-errors.ts";
import type { ChannelSide } from "../channel-ids.ts";
import type { ClosedFacts } from "./engine-frames.ts";

/** QUIC CRYPTO_ERROR: 0x100 plus the TLS alert. RFC 9001 section 4.8. */
const CRYPTO_ERROR = 0x100;
const CRYPTO_ERROR_LAST = 0x1ff;
const ALERT_DECRYPT_ERROR = 51;
const ALERT_NO_APPLICATION_PROTOCOL = 120;

/** Why the engine ended. */
export type EngineLoss = "killed" | "silent" | "protocol" | "ended";

const LOSS_WORDS: Readonly<Record<EngineLoss, string>> = {
  killed: "was ended by the system or by hand",
  silent: "answered no more and was killed",
  protocol: "said what it never says and was killed",
  ended: "ended by itself",
};

/** The engine process is gone, and with it every QUIC connection. */
export function engineLost(loss: EngineLoss): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "QUIC_ENGINE_LOST",
    `the QUIC engine ${LOSS_WORDS[loss]}; all QUIC connections are lost`,
    {
      detail: { loss },
      stage: "session",
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
  if (!opened) return closedWhileOpening(address, facts.code);
  if (facts.by === "local") {
    // Both sides agreed on an end in good order, which this one asked for.
    if (facts.app && facts.code === 0) return undefined;
    return misbehaved(address, facts.code);
  }
  if (facts.app && facts.code === 0) return undefined;
  return channelsCutByPeer(address, facts.code);
}

function tlsFailure(facts: ClosedFacts, alert: number, address: string, side: ChannelSide): SallyportError {
  const detail = { address, alert };
  if (alert === ALERT_NO_APPLICATION_PROTOCOL) {
    return new SallyportError(
      "ERR_PEER_INCOMPATIBLE",
      "QUIC_NO_ALPN",
      `${address} speaks none of the application protocols offered over QUIC`,
      { detail, stage: "tls", advice: "dial the port of a node that speaks this protocol over QUIC" },
    );
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
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "QUIC_TLS_FAILED",
    `${who} the QUIC handshake with TLS alert ${alert}`,
    {
      detail,
      stage: "tls",
      advice: "check that both sides allow a common TLS 1.3 suite, group and signature scheme",
    },
  );
}

function timedOut(address: string, opened: boolean): SallyportError {
  if (opened) {
    return new SallyportError("ERR_CLOSED", "CONNECTION_LOST", `nothing came from ${address} within the idle timeout`, {
      detail: { address },
      stage: "session",
      advice: "look for a network or a machine that went down",
    });
  }
  return new SallyportError("ERR_UNREACHABLE", "PORT_FILTERED", `no answer at all came from UDP ${address}`, {
    detail: { address },
    stage: "port",
    advice: "check that a QUIC listener runs there and that no firewall drops UDP to its port",
  });
}

function closedWhileOpening(address: string, code: number): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_WHILE_OPENING",
    `${address} closed before the QUIC connection was up (code ${code})`,
    {
      detail: { address, code },
      stage: "port",
      advice: "check that this is the port of a node that expects this kind of connection, and read its log",
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
  if (system === "ENOTFOUND") {
    return new SallyportError("ERR_UNREACHABLE", "HOST_NOT_FOUND", `the host of ${address} has no address`, {
      detail: { address },
      stage: "resolve",
      advice: "correct the host name, or give the address with a resolve entry",
    });
  }
  return new SallyportError(
    "ERR_UNREACHABLE",
    "QUIC_SYSTEM_ERROR",
    `the QUIC connection with ${address} failed in this system (${quotePeerText(system)})`,
    {
      detail: { address },
      stage: opened ? "session" : "port",
      advice: "check address, routes and name service of this machine, then connect again",
    },
  );
}
