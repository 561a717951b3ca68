import type { AuditFiles } from "../audit/audit-log.ts";
import type { OpenChallenges } from "../auth/otp-types.ts";
import type { Clock } from "../base/clock.ts";
import type { Crypto } from "../base/crypto.ts";
import type { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import type { Sockets } from "../base/sockets.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { LegWorld } from "../gateway/leg.ts";
import type { LinkSession, PairEvent } from "../gateway/link.ts";
import type { FilterFactory } from "../gateway/message-filter.ts";
import type { GatewayNotice } from "../gateway/notices.ts";
import type { MessageEvent } from "../gateway/pair-rules.ts";
import type { Budgets } from "../guard/budgets.ts";
import type { ExpiryWatch } from "../health/expiry-watch.ts";
import type { Decisions } from "../node/decisions.ts";
import type { GatewayAdmission } from "./gateway-admission.ts";
import type { PortMappers } from "./port-mappers.ts";

/** What a gateway takes of the machine. */
export interface GatewaySystem {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly identityCrypto: IdentityCrypto;
  readonly files: StoreFiles & AuditFiles;
  readonly sockets: Sockets;
  /** Addresses of this machine that others can reach. */
  readonly addresses: () => readonly string[];
}

/** What the pairs of one gateway share. */
export interface PairWorld {
  readonly system: GatewaySystem;
  readonly legs: LegWorld;
  /** From where connections are taken. */
  readonly admission: GatewayAdmission;
  /** Why there may be no new session now. */
  readonly refusal: () => SallyportError | undefined;
  readonly openChallenges: OpenChallenges;
  readonly budgets: Budgets;
  readonly decisions: Decisions;
  readonly mappers: PortMappers;
  /** Certificates of pairs, and of the legs of their sessions. */
  readonly expiry: ExpiryWatch;
  /** In place of the rules of the options. */
  readonly filterFor: FilterFactory | undefined;
  /** Operations that are let through are told whatever the options of a pair say. */
  readonly tellsCommands: boolean;
  readonly happened: (pair: string, event: PairEvent, session: LinkSession | undefined) => void;
  readonly said: (pair: string, event: MessageEvent) => void;
  readonly notice: (notice: GatewayNotice) => void;
}
