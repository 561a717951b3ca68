import type { AllowRule } from "../guard/allow.ts";
import type { LocalProcess } from "../process/local-process.ts";
import type { ProcessTable } from "../process/process-table.ts";
import type { MessageContext } from "./message-context.ts";

/** A process of this node, with the rule that code gives for it. */
export type NodeProcess = LocalProcess<MessageContext, AllowRule | undefined>;
export type NodeProcesses = ProcessTable<MessageContext, AllowRule | undefined>;
