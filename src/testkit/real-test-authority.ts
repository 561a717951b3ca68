import { RealClock } from "../system/real-clock.ts";
import { RealFiles } from "../system/real-files.ts";
import { RealRandom } from "../system/real-random.ts";
import { createTestAuthority, type TestAuthority } from "./certificates.ts";

/** `createTestAuthority` with the machine's own clock, randomness and disk: for examples and tests of real processes. */
export function testAuthority(directory: string): Promise<TestAuthority> {
  return createTestAuthority({ clock: new RealClock(), random: new RealRandom(), files: new RealFiles() }, directory);
}
