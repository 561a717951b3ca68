import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createGateway } from "../../src/create-gateway.ts";
import { createNode } from "../../src/create-node.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { PairEvent } from "../../src/gateway/link.ts";
import type { PairFacts } from "../../src/gateway/message-filter.ts";
import type { GatewayOptions, OutsideOption } from "../../src/gateway/options.ts";
import { pass } from "../../src/gateway/verdict.ts";
import { loadNodeKey } from "../../src/identity/key-files.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { type BeamNode, freePort, startErlang } from "./erlang-node.ts";
import type { Rig } from "./rig.ts";

export const INSIDE = "inside@127.0.0.1";
export const INSIDE_COOKIE = "cookie-of-the-inside-alone";

/** Key directories of a test, by any name. */
export class Keys {
  readonly #root: string;

  constructor(rig: Rig, run: string) {
    this.#root = join(rig.home, `keys-${run}`);
  }

  dir(who: string): string {
    return join(this.#root, who);
  }

  /** Makes key pairs, each in the directory of that name. */
  make(...whos: readonly string[]): void {
    const world = { files: new RealFiles(), crypto: new RealIdentityCrypto(), random: new RealRandom() };
    for (const who of whos) {
      const options = { ...world, directory: this.dir(who), profile: "standard", nowMs: Date.now() } as const;
      loadNodeKey(options).key.destroy();
    }
  }

  /** Pins the key of `whose` at `owner` under the name `as`. */
  pin(owner: string, whose: string, as: string = whose): void {
    mkdirSync(join(this.dir(owner), "trusted"), { recursive: true, mode: 0o700 });
    copyFileSync(join(this.dir(whose), "node.pub"), join(this.dir(owner), "trusted", `${as}.pub`));
  }

  /** Revokes at `owner` the key with this fingerprint. */
  revoke(owner: string, fingerprint: string): void {
    const hex = Buffer.from(fingerprint.replace(/^.*:/, ""), "base64").toString("hex");
    mkdirSync(join(this.dir(owner), "revoked"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.dir(owner), "revoked", hex), "");
  }
}

export interface OneGateway {
  readonly gateway: Gateway;
  readonly events: PairEvent[];
  readonly facts: PairFacts[];
  /** Where outside nodes dial. */
  readonly endpoint: string;
  readonly epmdPort: number;
}

/** A gateway that lets everything pass, in front of `inside`. */
export async function startGateway(
  rig: Rig,
  inside: string,
  outside: Omit<OutsideOption, "listen">,
  options: Partial<GatewayOptions> & { readonly address?: string; readonly listen?: string } = {},
): Promise<OneGateway> {
  const events: PairEvent[] = [];
  const facts: PairFacts[] = [];
  const epmdPort = await freePort();
  const { address, listen = "tls://127.0.0.1:0", ...rest } = options;
  const gateway = await createGateway(
    {
      pairs: [
        {
          inside: { node: inside, cookie: INSIDE_COOKIE, ...(address === undefined ? {} : { address }) },
          outside: { ...outside, listen },
        },
      ],
      epmd: { inside: `127.0.0.1:${epmdPort}` },
      onEvent: (event) => void (event.kind === "duty" || events.push(event)),
      ...rest,
    },
    (given) => {
      facts.push(given);
      return { judge: (_from, control, buffer, start, end) => pass(control, buffer, start, end) };
    },
  );
  rig.closes(() => gateway.close());
  const endpoint = gateway.endpoints.find(({ from }) => from === "outside")?.endpoint ?? "";
  return { gateway, events, facts, endpoint, epmdPort };
}

/** The node behind a gateway: it registers with the gateway's port mapper, and finds outside nodes there. */
export async function startInside(rig: Rig, epmdPort: number, name: string = INSIDE): Promise<BeamNode> {
  const beam = await startErlang({ name, cookie: INSIDE_COOKIE, epmdPort, home: rig.home });
  rig.closes(() => beam.kill());
  return beam;
}

/** A Sallyport node outside, with a key. */
export async function startOutside(
  rig: Rig,
  name: string,
  dir: string,
  more: Partial<NodeOptions> = {},
): Promise<Node> {
  const node = await createNode({ name, epmd: "off", listen: ["tls://127.0.0.1:0"], identity: { dir }, ...more });
  rig.closes(() => node.close({ timeoutMs: 0 }));
  return node;
}
