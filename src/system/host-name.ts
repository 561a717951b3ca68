import { hostname } from "node:os";

/** Name of this machine as its system tells it: for names of nodes without a host. */
export function hostName(): string {
  return hostname();
}
