import { CommanderError } from "commander";
import { SallyportError } from "../base/errors.ts";
import type { CommandWorld } from "./command-world.ts";
import type { ExitCode } from "./exit-codes.ts";
import { type ArgumentGrammar, normalizeArguments } from "./normalize-arguments.ts";
import { type Actions, buildProgram, grammarOf } from "./program.ts";
import { reportFailure } from "./report.ts";

/** Runs one command line and answers its exit code. Never throws. */
export async function run(world: CommandWorld, args: readonly string[], version: string): Promise<ExitCode> {
  const printed: string[] = [];
  let exit: ExitCode = 0;
  const actions = actionsOf(world, (code) => {
    exit = code;
  });
  const program = buildProgram(actions, version, (text) => printed.push(text));
  const normal = normalizeArguments(args, grammarOf(program));
  try {
    await program.parseAsync(normal, { from: "user" });
    return exit;
  } catch (failure) {
    if (!(failure instanceof CommanderError)) return reportFailure(world.terminal, failure);
    const text = printed.join("").trimEnd();
    if (failure.exitCode === 0) {
      if (world.terminal.json) world.terminal.document({ ok: true, result: { text } });
      else world.terminal.line(text);
      return 0;
    }
    return reportFailure(world.terminal, usageError(failure, normal, grammarOf(program)));
  }
}

/**
 * Each command's code is loaded when it is asked for: certificates and the demo would double the start of a ping. `ends` hears
 * the exit code of a command that answers one.
 */
function actionsOf(world: CommandWorld, ends: (code: ExitCode) => void): Actions {
  return {
    init: async (flags, directory) => (await import("./commands/init.ts")).init(world, flags, directory),
    start: async (flags) => (await import("./commands/start.ts")).start(world, flags),
    ping: async (flags, node) => (await import("./commands/ping.ts")).ping(world, flags, node),
    call: async (flags, args) => (await import("./commands/message.ts")).call(world, flags, args),
    cast: async (flags, args) => (await import("./commands/message.ts")).cast(world, flags, args),
    send: async (flags, args) => (await import("./commands/message.ts")).send(world, flags, args),
    rpc: async (flags, args) => (await import("./commands/run.ts")).rpc(world, flags, args),
    spawn: async (flags, args) => (await import("./commands/run.ts")).spawn(world, flags, args),
    attach: async (flags, node) => (await import("./commands/attach.ts")).attach(world, flags, node),
    keysInit: async (flags) => (await import("./commands/keys.ts")).keysInit(world, flags),
    keysShow: async (flags) => (await import("./commands/keys.ts")).keysShow(world, flags),
    keysRotate: async (flags) => (await import("./commands/keys.ts")).keysRotate(world, flags),
    keysRollback: async (flags, stamp) => (await import("./commands/keys.ts")).keysRollback(world, flags, stamp),
    keysExport: async (flags) => (await import("./commands/keys-exchange.ts")).keysExport(world, flags),
    keysImport: async (flags, file) => (await import("./commands/keys-exchange.ts")).keysImport(world, flags, file),
    keysInvite: async (flags, name) => (await import("./commands/keys-exchange.ts")).keysInvite(world, flags, name),
    keysInvites: async (flags) => (await import("./commands/keys-exchange.ts")).keysInvites(world, flags),
    keysJoin: async (flags, file) => (await import("./commands/keys-exchange.ts")).keysJoin(world, flags, file),
    trustList: async (flags) => (await import("./commands/trust-list.ts")).trustList(world, flags),
    trustAdd: async (flags, name, key) => (await import("./commands/trust.ts")).trustAdd(world, flags, name, key),
    trustRemove: async (flags, name) => (await import("./commands/trust.ts")).trustRemove(world, flags, name),
    trustPromote: async (flags, name, fingerprint) =>
      (await import("./commands/trust.ts")).trustPromote(world, flags, name, fingerprint),
    trustRevoke: async (flags, whom) => (await import("./commands/trust.ts")).trustRevoke(world, flags, whom),
    doctor: async (flags) => ends(await (await import("./commands/doctor.ts")).doctor(world, flags)),
    doctorConnect: async (flags, node) =>
      ends(await (await import("./commands/doctor-connect.ts")).doctorConnectCommand(world, flags, node)),
    status: async (flags) => (await import("./commands/status.ts")).status(world, flags),
    health: async (flags) => ends(await (await import("./commands/health.ts")).health(world, flags)),
    peers: async (flags) => (await import("./commands/peers.ts")).peers(world, flags),
    grantsList: async (flags) => (await import("./commands/grants.ts")).grantsList(world, flags),
    grantsRevoke: async (flags, id) => (await import("./commands/grants.ts")).grantsRevoke(world, flags, id),
    policyCheck: async (flags, files) =>
      ends(await (await import("./commands/policy-check.ts")).policyCheck(world, flags, files)),
    policyTest: async (flags, files) =>
      ends(await (await import("./commands/policy-test.ts")).policyTest(world, flags, files)),
    policyCan: async (flags, question) =>
      ends(await (await import("./commands/policy-can.ts")).policyCan(world, flags, question)),
    policyWhy: async (flags, id) => ends(await (await import("./commands/policy-why.ts")).policyWhy(world, flags, id)),
    policyMatrix: async (flags, files) =>
      ends(await (await import("./commands/policy-matrix.ts")).policyMatrix(world, flags, files)),
    policyLearn: async (flags) => ends(await (await import("./commands/policy-learn.ts")).policyLearn(world, flags)),
    policyReload: async (flags) => (await import("./commands/policy-reload.ts")).policyReload(world, flags),
    gateway: async (flags) => (await import("./commands/gateway.ts")).gateway(world, flags),
    gatewayStatus: async (flags) => (await import("./commands/gateway-status.ts")).gatewayStatus(world, flags),
    gatewayReload: async (flags) => (await import("./commands/gateway-control.ts")).gatewayReload(world, flags),
    gatewayDrain: async (flags) => (await import("./commands/gateway-control.ts")).gatewayDrain(world, flags),
    gatewayWhy: async (flags, id) => (await import("./commands/gateway-control.ts")).gatewayWhy(world, flags, id),
    firewallNftables: async (flags) => (await import("./commands/firewall.ts")).firewallNftables(world, flags),
    firewallNetworkPolicy: async (flags) =>
      (await import("./commands/firewall.ts")).firewallNetworkPolicy(world, flags),
    auditTail: async (flags, path) => (await import("./commands/audit-tail.ts")).auditTail(world, flags, path),
    auditVerify: async (flags, path) =>
      ends(await (await import("./commands/audit-verify.ts")).auditVerify(world, flags, path)),
    configExplain: async (flags) => (await import("./commands/config-explain.ts")).configExplain(world, flags),
    certsCa: async (flags) => (await import("./commands/certs.ts")).certsCa(world, flags),
    certsIssue: async (flags, name) => (await import("./commands/certs.ts")).certsIssue(world, flags, name),
    certsRenew: async (flags, names) =>
      ends(await (await import("./commands/certs-renew.ts")).certsRenew(world, flags, names)),
    certsShow: async (flags, files) => (await import("./commands/certs-show.ts")).certsShow(world, flags, files),
    certsCheck: async (flags, paths) =>
      ends(await (await import("./commands/certs-check.ts")).certsCheck(world, flags, paths)),
    certsRotateCa: async (flags, step) =>
      ends(await (await import("./commands/certs-renew.ts")).certsRotateCa(world, flags, step)),
    certsRollback: async (flags, stamp) => (await import("./commands/certs.ts")).certsRollback(world, flags, stamp),
    demo: async (flags) => ends(await (await import("./demo/demo.ts")).demo(world, flags)),
  };
}

/** What the parser complains about, in our form. */
function usageError(
  failure: CommanderError,
  [first = "", second = ""]: readonly string[],
  { commands, groups }: ArgumentGrammar,
): SallyportError {
  const missing = failure.code === "commander.help";
  const said = failure.message
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
  const inner = groups.get(first)?.includes(second) === true ? ` ${second}` : "";
  const command = commands.includes(first) ? ` ${first}${inner}` : "";
  return new SallyportError("ERR_CONFIG", "USAGE", missing ? "a command is missing" : said, {
    advice: `see: sallyport${command} --help`,
  });
}
