/** Parts for testing nodes: time and randomness under control, certificates on the spot, connections in memory. */

export { createMemoryPair, type MemoryCarrier, type MemoryOptions, type MemoryPair } from "../carrier/memory.ts";
export { createMemoryNetwork, type MemoryNetwork } from "../carrier/memory-network.ts";
export {
  type CertificatePaths,
  createTestAuthority,
  type TestAuthority,
  type TestAuthorityParts,
} from "./certificates.ts";
export {
  type ChannelledMemoryCarrier,
  type ChannelledMemoryOptions,
  type ChannelledMemoryPair,
  createChannelledMemoryPair,
} from "./channelled-memory.ts";
export { testAuthority } from "./real-test-authority.ts";
export { SeededRandom } from "./seeded-random.ts";
export { VirtualClock } from "./virtual-clock.ts";
