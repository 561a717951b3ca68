import { createSockets } from "./carrier/plain-socket.ts";
import type { Gateway } from "./gateway/api.ts";
import type { FilterFactory } from "./gateway/message-filter.ts";
import type { GatewayOptions } from "./gateway/options.ts";
import type { GatewaySystem } from "./gateway-run/gateway-world.ts";
import { RunningGateway } from "./gateway-run/running-gateway.ts";
import { networkAddresses } from "./system/network-addresses.ts";
import { RealClock } from "./system/real-clock.ts";
import { RealCrypto } from "./system/real-crypto.ts";
import { RealFiles } from "./system/real-files.ts";
import { RealIdentityCrypto } from "./system/real-identity-crypto.ts";
import { RealRandom } from "./system/real-random.ts";

/**
 * Makes a gateway in front of unmodified nodes and binds its listeners. `filterFor` makes the filter of each pair in place of
 * the rules in `options`, for tests and measurements.
 * @throws {SallyportError} ERR_CONFIG
 */
export function createGateway(options: GatewayOptions, filterFor?: FilterFactory): Promise<Gateway> {
  return RunningGateway.start(options, realSystem(), filterFor);
}

/** Reads all files that `createGateway` would read, runs the tests of policies, and binds nothing. @throws {SallyportError} ERR_CONFIG */
export function checkGateway(options: GatewayOptions): void {
  RunningGateway.check(options, realSystem());
}

function realSystem(): GatewaySystem {
  return {
    clock: new RealClock(),
    random: new RealRandom(),
    crypto: new RealCrypto(),
    identityCrypto: new RealIdentityCrypto(),
    files: new RealFiles(),
    sockets: createSockets(),
    addresses: networkAddresses,
  };
}
