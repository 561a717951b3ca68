import type { Random } from "../base/random.ts";
import type { SrvRecord } from "./dns-client.ts";

/** The order in which the records of a service are to be tried: by priority, within one by lot, by weight (RFC 2782). */
export function bySrvOrder(records: readonly SrvRecord[], random: Random): readonly SrvRecord[] {
  const groups = new Map<number, SrvRecord[]>();
  for (const record of records) {
    const group = groups.get(record.priority);
    if (group === undefined) groups.set(record.priority, [record]);
    else group.push(record);
  }
  return [...groups.keys()].sort((a, b) => a - b).flatMap((priority) => drawn(groups.get(priority) ?? [], random));
}

/** Those of weight 0 stand first, so that they have a small chance beside the others. */
function drawn(group: readonly SrvRecord[], random: Random): readonly SrvRecord[] {
  const left = [...group.filter(({ weight }) => weight === 0), ...group.filter(({ weight }) => weight > 0)];
  const out: SrvRecord[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const lot = random.uint32() % (total + 1);
    let sum = 0;
    const at = left.findIndex(({ weight }) => {
      sum += weight;
      return sum >= lot;
    });
    out.push(...left.splice(at, 1));
  }
  return out;
}
