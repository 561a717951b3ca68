import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type Answer, decode, encode, type Packet } from "dns-packet";

/** Records by type and lower-case name; `silent` for no answer at all, `refused` for an error of the server. */
export type Zone = Record<string, readonly Answer[] | "silent" | "refused">;

/** A name server on a real UDP socket. The zone may be changed while it runs. */
export class NameServer {
  readonly zone: Zone;
  /** `TYPE name` of each question, in order. */
  readonly asked: string[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket, zone: Zone) {
    this.#socket = socket;
    this.zone = zone;
    socket.on("message", (bytes, from) => {
      const answer = this.#answer(decode(bytes));
      if (answer !== undefined) socket.send(encode(answer), from.port, from.address);
    });
  }

  static async start(zone: Zone): Promise<NameServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new NameServer(socket, zone);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer({ id, questions = [] }: Packet): Packet | undefined {
    const question = questions[0];
    const key = `${question?.type} ${question?.name.toLowerCase()}`;
    this.asked.push(key);
    const known = this.zone[key] ?? [];
    if (known === "silent") return undefined;
    const isName = Object.keys(this.zone).some((other) => other.endsWith(` ${question?.name.toLowerCase()}`));
    const code = known === "refused" ? REFUSED : isName ? 0 : NAME_ERROR;
    return {
      type: "response",
      flags: code,
      questions,
      answers: known === "refused" ? [] : [...known],
      ...(id === undefined ? {} : { id }),
    };
  }
}

const NAME_ERROR = 3;
const REFUSED = 5;

export const srvRecord = (name: string, target: string, port: number, priority = 0): Answer => ({
  type: "SRV",
  name,
  data: { target, port, priority, weight: 1 },
});

export const addressRecord = (name: string, data: string): Answer => ({ type: "A", name, data });
