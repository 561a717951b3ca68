import { isSallyportError, SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { type ControlClient, connectControl } from "../control/control-client.ts";
import type { ControlOp, Fields } from "../control/control-protocol.ts";
import type { CommandWorld } from "./command-world.ts";
import { type ControlFlags, controlPathOf } from "./control-path.ts";

/** Longest wait for answers that need no other node, milliseconds. */
const LOCAL_MS = 10_000;

/**
 * Asks the running node something about itself, or to change something of itself.
 * @throws {SallyportError} ERR_UNREACHABLE NODE_NOT_RUNNING, ERR_CONFIG CONTROL_NEEDED, and as `byRunningNode`
 */
export async function askRunningNode(
  world: CommandWorld,
  flags: ControlFlags,
  op: ControlOp,
  args: Fields = {},
): Promise<Fields> {
  const client = await clientFor(world, flags);
  if (client === undefined) throw notRunning(controlPathOf(flags, world));
  try {
    return await client.request(op, args, LOCAL_MS);
  } finally {
    client.close();
  }
}

/**
 * The same where no running node is a proper answer, unless the command line names its socket.
 * @throws {SallyportError} ERR_UNREACHABLE NODE_NOT_RUNNING for a named socket, and as `byRunningNode`
 */
export async function askIfRunning(
  world: CommandWorld,
  flags: ControlFlags,
  op: ControlOp,
  args: Fields = {},
): Promise<Fields | undefined> {
  const client = await clientFor(world, flags);
  if (client === undefined && typeof flags.control === "string") throw notRunning(controlPathOf(flags, world));
  try {
    return await client?.request(op, args, LOCAL_MS);
  } finally {
    client?.close();
  }
}

/** Where the node that runs listens; empty when none runs, or it does not say. */
export async function endpointsOfRunning(world: CommandWorld, flags: ControlFlags): Promise<readonly string[]> {
  let client: ControlClient | undefined;
  try {
    client = await clientFor(world, flags);
    const endpoints = (await client?.request("status", {}, LOCAL_MS))?.["endpoints"];
    return Array.isArray(endpoints) ? endpoints.map(String) : [];
  } catch (error) {
    if (isSallyportError(error)) return [];
    throw error;
  } finally {
    client?.close();
  }
}

/** Whether the running node knows what was changed on disk: `none` runs, or it has no identity by key. */
export type Told = "told" | "none" | "without-identity";

/**
 * Tells the running node that its key directory was changed: it takes a new pair for its next handshakes, and ends sessions
 * whose key has lost its standing.
 * @throws {SallyportError} ERR_REMOTE NODE_NOT_TOLD
 */
export async function tellRunningNode(world: CommandWorld, flags: ControlFlags): Promise<Told> {
  let client: ControlClient | undefined;
  try {
    client = await clientFor(world, flags);
    if (client === undefined) return "none";
    await client.request("reloadIdentity", {}, LOCAL_MS);
    return "told";
  } catch (cause) {
    if (isSallyportError(cause) && cause.reason === "NO_IDENTITY") return "without-identity";
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SallyportError(
      "ERR_REMOTE",
      "NODE_NOT_TOLD",
      `the files are changed, but the node was not told: ${why}`,
      {
        stage: "identity",
        advice: "restart the node when it must count at once",
        cause,
      },
    );
  } finally {
    client?.close();
  }
}

/**
 * Connects to the running node that the flags name; undefined when none runs.
 * @throws as `controlPathOf` and `connectControl`
 */
export async function clientFor(world: CommandWorld, flags: ControlFlags): Promise<ControlClient | undefined> {
  const path = controlPathOf(flags, world);
  return path === undefined ? undefined : connectControl(world, path);
}

function notRunning(path: string | undefined): SallyportError {
  if (path === undefined) {
    return new SallyportError("ERR_CONFIG", "CONTROL_NEEDED", "no control socket is named", {
      advice:
        "name the node's configuration with --config, its key directory with --key-dir or its socket with --control",
    });
  }
  return new SallyportError("ERR_UNREACHABLE", "NODE_NOT_RUNNING", `no node runs at ${quotePeerText(path)}`, {
    advice: "start it with --config, --key-dir or --control, and use the same here",
  });
}
