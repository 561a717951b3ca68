/** Flags of SPAWN_REPLY. */
export const SPAWN_LINK = 1;
export const SPAWN_MONITOR = 2;

export function hasLink(flags: number): boolean {
  return (flags & SPAWN_LINK) !== 0;
}

export function hasMonitor(flags: number): boolean {
  return (flags & SPAWN_MONITOR) !== 0;
}

/** Most are tags, whose characters are bytes: what stands in front of the others is none. */
