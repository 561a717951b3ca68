import { Argument, type Command, Option } from "commander";
import { addCommand, addGroup } from "./add-command.ts";
import type { KeysInitFlags, KeysRotateFlags } from "./commands/keys.ts";
import type { KeysExportFlags, KeysImportFlags, KeysInviteFlags, KeysInvitesFlags } from "./commands/keys-exchange.ts";
import type { TrustAddFlags } from "./commands/trust.ts";
import { configOptions, controlOptions, jsonOption, keyDirOption } from "./common-options.ts";
import { durationArgument } from "./duration.ts";
import type { KeyFlags } from "./key-directory.ts";

/** What the commands about keys and trust do, once their arguments are read. */
export interface IdentityActions {
  keysInit(flags: KeysInitFlags): Promise<void>;
  keysShow(flags: KeyFlags): Promise<void>;
  keysRotate(flags: KeysRotateFlags): Promise<void>;
  keysRollback(flags: KeysRotateFlags, stamp: string | undefined): Promise<void>;
  keysExport(flags: KeysExportFlags): Promise<void>;
  keysImport(flags: KeysImportFlags, file: string): Promise<void>;
  keysInvite(flags: KeysInviteFlags, name: string): Promise<void>;
  keysInvites(flags: KeysInvitesFlags): Promise<void>;
  keysJoin(flags: KeyFlags, file: string): Promise<void>;
  trustList(flags: KeyFlags): Promise<void>;
  trustAdd(flags: TrustAddFlags, name: string, key: string): Promise<void>;
  trustRemove(flags: KeyFlags, name: string): Promise<void>;
  trustPromote(flags: KeyFlags, name: string, fingerprint: string | undefined): Promise<void>;
  trustRevoke(flags: KeyFlags, whom: string): Promise<void>;
}

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...} on one line';
const PEER: Argument = new Argument("<NAME>", "name of the other node, local@host");
const CERTIFICATE: Option = new Option(
  "--certificate",
  "the TLS certificate that the node makes for itself, and not its identity",
);
const REPLACE: Option = new Option("--replace", "also where another key is pinned now");

/** Which key directory, and which running node hears of the change. */
function keyOptions(...more: readonly Option[]): readonly Option[] {
  const name = new Option("--name <node>", "name of this node (default: the one in the configuration)");
  return [...more, keyDirOption(), ...configOptions(), name, ...controlOptions(), jsonOption(JSON_RESULT)];
}

/** Adds `keys` and `trust`. */
export function addIdentityCommands(program: Command, actions: IdentityActions): void {
  addKeys(program, actions);
  addTrust(program, actions);
}

function addKeys(program: Command, actions: IdentityActions): void {
  const keys = addGroup(
    program,
    "keys",
    "make, show, rotate and exchange the key of this node",
    "Works on the key directory: --key-dir, else the one of the configuration, else data/keys. A running node hears of " +
      "changes over its control socket.",
  );
  addCommand(keys, "init", "make a key pair where there is none", {
    options: keyOptions(
      new Option(
        "--new-identity",
        "also where signs of a lost key lie: peers that know the old one will refuse this one",
      ),
    ),
    examples: ["sallyport keys init", "sallyport keys init --key-dir /etc/sallyport/keys"],
  }).action((flags: KeysInitFlags) => actions.keysInit(flags));
  addCommand(keys, "show", "show name, fingerprint, public key and own certificate; nothing secret", {
    options: keyOptions(),
    examples: ["sallyport keys show", "sallyport keys show --json"],
  }).action((flags: KeyFlags) => actions.keysShow(flags));
  addCommand(keys, "rotate", "make a new pair; the old one signs for it, so that peers follow", {
    long:
      "Makes a new pair, copies the old one into backups/ and writes a statement signed by the old key that names the new " +
      "one: peers that pinned the old key accept exactly this successor.",
    options: keyOptions(CERTIFICATE),
    examples: [
      "sallyport keys rotate",
      "sallyport keys rotate --name shop@db1.example --key-dir keys",
      "sallyport keys rotate --certificate",
    ],
  }).action((flags: KeysRotateFlags) => actions.keysRotate(flags));
  addCommand(keys, "rollback", "go back to the pair of a backup", {
    arguments: [new Argument("[STAMP]", "directory in backups/, YYYYMMDDTHHMMSSZ (default: the newest other pair)")],
    options: keyOptions(CERTIFICATE),
    examples: ["sallyport keys rollback", "sallyport keys rollback 20260102T030405Z"],
  }).action((stamp: string | undefined, flags: KeysRotateFlags) => actions.keysRollback(flags, stamp));
  addCommand(keys, "export", "print the public key as one line, or a signed bundle of several", {
    options: keyOptions(
      new Option(
        "--bundle <source...>",
        "sign a bundle of this key and those of each NAME=ed25519:KEY or file of lines",
      ),
      new Option("--ttl <time>", "how long the bundle may be imported (default: 30d)").argParser(durationArgument),
    ),
    examples: ["sallyport keys export > shop.key", "sallyport keys export --bundle desk.key pi.key > cluster.bundle"],
  }).action((flags: KeysExportFlags) => actions.keysExport(flags));
  addCommand(keys, "import", "pin the keys of a file, all or none", {
    long:
      "Reads lines of `keys export`, or a signed bundle, checks all of it, and then pins every key. This node itself is " +
      "left out. Who signed a bundle must be pinned already, or be named by --signer.",
    arguments: [new Argument("<FILE>", "output of `keys export`")],
    options: keyOptions(
      REPLACE,
      new Option("--signer <fingerprint>", "who signed the bundle, SHA256:..., as its operator reads it to you"),
      new Option("--dry-run", "show what it would pin, and write nothing"),
    ),
    examples: ["sallyport keys import shop.key", "sallyport keys import cluster.bundle --dry-run"],
  }).action((file: string, flags: KeysImportFlags) => actions.keysImport(flags, file));
  addCommand(keys, "invite", "print a one-time token with which another node joins", {
    long:
      "Prints a secret that NAME shows once: the two nodes then pin each other, also in strict mode. It holds the " +
      "fingerprint of this node, so nobody else can take its place.",
    arguments: [PEER],
    options: keyOptions(
      new Option("--ttl <time>", "how long it holds, at most 7d (default: 1h)").argParser(durationArgument),
      new Option("--out <file>", "write it into a new file with mode 0600 instead of printing it"),
    ),
    examples: [
      "sallyport keys invite desk@home.example --out invite.txt",
      "sallyport keys invite pi@home.example --ttl 30m",
    ],
  }).action((name: string, flags: KeysInviteFlags) => actions.keysInvite(flags, name));
  addCommand(keys, "invites", "list the invites that are open, or take one back", {
    options: keyOptions(new Option("--withdraw <id>", "take this one back: its token opens nothing any more")),
    examples: ["sallyport keys invites", "sallyport keys invites --withdraw 3f0c5d0f6f0b4b5e9a7c1d2e3f405162"],
  }).action((flags: KeysInvitesFlags) => actions.keysInvites(flags));
  addCommand(keys, "join", "keep an invite of another node, for the next connection to it", {
    long:
      "Keeps what `keys invite` printed on the other node. The next connection to that node shows it, and then the two " +
      "have pinned each other. Nobody but the node whose fingerprint the invite holds is ever shown it.",
    arguments: [new Argument("<FILE>", "output of `keys invite`")],
    options: keyOptions(),
    examples: ["sallyport keys join invite.txt", "sallyport ping shop@db1.example"],
  }).action((file: string, flags: KeyFlags) => actions.keysJoin(flags, file));
}

function addTrust(program: Command, actions: IdentityActions): void {
  const trust = addGroup(
    program,
    "trust",
    "list and change which keys of other nodes are trusted",
    "Works on the files of the key directory. A running node hears of changes over its control socket and ends sessions " +
      "that have lost their standing.",
  );
  addCommand(trust, "list", "list keys: pinned, accepted on first use, waiting, revoked", {
    options: keyOptions(),
    examples: ["sallyport trust list", "sallyport trust list --json"],
  }).action((flags: KeyFlags) => actions.trustList(flags));
  addCommand(trust, "add", "trust a key under a name", {
    arguments: [PEER, new Argument("<KEY>", "the whole key, ed25519:BASE64, as `keys export` prints it")],
    options: keyOptions(REPLACE),
    examples: ["sallyport trust add desk@home.example ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
  }).action((name: string, key: string, flags: TrustAddFlags) => actions.trustAdd(flags, name, key));
  addCommand(trust, "remove", "forget the key of a name; to shut it out, revoke it", {
    arguments: [PEER],
    options: keyOptions(),
    examples: ["sallyport trust remove desk@home.example"],
  }).action((name: string, flags: KeyFlags) => actions.trustRemove(flags, name));
  addCommand(trust, "promote", "trust a key that was accepted on first use or waits", {
    arguments: [PEER, new Argument("[FINGERPRINT]", "SHA256:...; needed for a key that waits")],
    options: keyOptions(),
    examples: ["sallyport trust promote desk@home.example"],
  }).action((name: string, fingerprint: string | undefined, flags: KeyFlags) =>
    actions.trustPromote(flags, name, fingerprint),
  );
  addCommand(trust, "revoke", "shut a key out for good, whatever else speaks for it", {
    arguments: [new Argument("<WHOM>", "fingerprint SHA256:..., or the name it is pinned for, or waits under alone")],
    options: keyOptions(),
    examples: ["sallyport trust revoke desk@home.example"],
  }).action((whom: string, flags: KeyFlags) => actions.trustRevoke(flags, whom));
}
