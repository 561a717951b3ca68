import { Argument, type Command, type Option } from "commander";
import { SallyportError } from "../base/errors.ts";
import { addCommand } from "./add-command.ts";
import { type CommonFlags, jsonOption, timeoutOption } from "./common-options.ts";

/** What `doctor` does, once its arguments are read. */
export interface DoctorActions {
  doctor(flags: CommonFlags): Promise<void>;
  doctorConnect(flags: CommonFlags, node: string): Promise<void>;
}

/** Adds `doctor` and `doctor connect NODE`; `options`: those of a node. */
export function addDoctorCommand(program: Command, actions: DoctorActions, options: readonly Option[]): void {
  addCommand(program, "doctor", "check this machine; with `connect NODE`, find out why a peer cannot be reached", {
    long:
      "Without arguments looks at this machine as a node would: configuration, name, clock, keys, certificates, cookie, policy, audit " +
      "log, ports, EPMD and control socket. With `connect NODE` examines one peer stage by stage (name, resolve, port, TLS, " +
      "certificate, identity, cookie, flags, policy, session), stops at the first that fails, and says which side is at fault, " +
      "with the evidence and one fix. A quic:// peer comes past the same stages: its UDP port, the protocol and certificate of " +
      "QUIC, the exchange of keys, then Erlang's handshake. Where a node of this configuration runs, it does the dialling.",
    arguments: [
      new Argument("[connect]", "the word connect, to examine a peer").choices(["connect"]),
      new Argument("[NODE]", "name@host, or name@host:port"),
    ],
    options: [
      timeoutOption("longest time for the examination up to its failure or session"),
      jsonOption('print {"ok":true,"result":...} or {"ok":false,"error":...,"result":...} on one line'),
      ...options,
    ],
    examples: [
      "sallyport doctor",
      "sallyport doctor connect shop@db1.example",
      "sallyport doctor connect shop@db1:9100 --json",
      "sallyport doctor connect mesh@10.0.0.7:4433 --protocol barrel --name me@10.0.0.2 --key-dir data/keys",
    ],
  }).action((word: string | undefined, node: string | undefined, flags: CommonFlags) => {
    if (word === undefined) return actions.doctor(flags);
    if (node === undefined) throw nodeMissing();
    return actions.doctorConnect(flags, node);
  });
}

function nodeMissing(): SallyportError {
  return new SallyportError("ERR_CONFIG", "USAGE", "doctor connect: the node to connect to is missing", {
    advice: "name it: sallyport doctor connect name@host",
  });
}
