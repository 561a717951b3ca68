import { PEERS_WORD, readSources, type SourceList } from "../carrier/source-list.ts";
import type { AcceptOption, NodeAdmission } from "./admission-api.ts";
import { Doors } from "./doors.ts";

/** What the lists of a node are kept in. */
export interface AdmissionParts {
  readonly doors: Doors;
  readonly sources: Pick<SourceList, "replace">;
  /** The hosts of the configured peers, with those that `nodes` names. */
  readonly hostsWith: (nodes: readonly string[]) => readonly string[];
  /** Where their addresses are looked up. */
  readonly peers: { replace(hosts: readonly string[]): Promise<void> };
}

/** The lists of who may connect to a node. */
export class OwnAdmission implements NodeAdmission {
  readonly #parts: AdmissionParts;
  #option: AcceptOption = {};

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  get option(): AcceptOption {
    return this.#option;
  }

  async replace(option: AcceptOption): Promise<void> {
    const { doors, sources, peers, hostsWith } = this.#parts;
    // Read before anything changes; the names then throw before they do.
    readSources(option);
    doors.replaceNodes(option.nodes);
    sources.replace(option);
    this.#option = option;
    await peers.replace(option.sources?.includes(PEERS_WORD) === true ? hostsWith(option.nodes ?? []) : []);
  }
}

/** Of a node whose listeners, if any, are not this program's own. */
export function noAdmission(): NodeAdmission {
  return new OwnAdmission({
    doors: new Doors(),
    sources: { replace: () => undefined },
    hostsWith: () => [],
    peers: { replace: async () => undefined },
  });
}
