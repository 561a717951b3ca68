// A relay that ends QUIC on both sides and passes streams through unchanged (barrel-auth section 14.1): with a stolen
// TLS key of the listener both ends compute the same channel binding and authenticate each other through it.
import { encodeOk, framed } from "./auth-codec.mjs";
import { Endpoint } from "./quic.mjs";

/** Where a listener says HELLO, CHALLENGE, RESPONSE and OK. */
const LISTENERS_KEYS = 3;

/**
 * @param {{host: string, port: number}} listen
 * @param {{host: string, port: number}} target
 * @param {{certPem: string, keyPem: string}} certificate what the dialler is shown
 * @param {(event: object) => void} emit
 * @param {{onlyOk?: boolean}} [options] hostile: of the listener's side of the exchange the dialler hears OK and nothing else
 */
export async function openRelay(listen, target, certificate, emit, { onlyOk = false } = {}) {
  const outgoing = [];
  const endpoint = await Endpoint.open({ ...listen, certificate, accept: (front) => pair(front) });
  emit({ event: "relaying", port: endpoint.port });

  function pair(front) {
    const waiting = [];
    let back;
    let ready = false;
    let saidOk = false;
    const toBack = (work) => (ready ? work() : waiting.push(work));
    const side = (name, other, run) => ({
      data: (stream, bytes, fin) => {
        const shown = bytes.length <= 1024 ? { hex: bytes.toString("hex") } : {};
        emit({ event: "relayed", from: name, stream, length: bytes.length, fin, ...shown });
        run(() => {
          if (!onlyOk || stream !== LISTENERS_KEYS) other().write(stream, bytes, fin);
          else if (!saidOk) other().write(stream, framed(encodeOk()), true);
          saidOk ||= stream === LISTENERS_KEYS;
          other().flush();
        });
      },
      reset: (stream, code) => run(() => other().resetStream(stream, code)),
      closed: (info) => {
        emit({ event: "relay_closed", from: name, ...info });
        run(() => other().close(info.code));
      },
    });
    const opened = Endpoint.open({ host: listen.host });
    opened.then(dialOn, (error) => emit({ event: "relay_failed", error: error.message }));

    function dialOn(dialling) {
      outgoing.push(dialling);
      back = dialling.dial(target, () => ({
        ...side(
          "listener",
          () => front,
          (work) => work(),
        ),
        established: () => {
          ready = true;
          for (const work of waiting.splice(0)) work();
        },
      }));
    }
    return side("dialer", () => back, toBack);
  }

  return {
    port: endpoint.port,
    close() {
      endpoint.close();
      for (const dialling of outgoing) dialling.close();
    },
  };
}
