// Shapes of the peer's modules that tests import.

declare module "*/auth-codec.mjs" {
  export interface Message {
    readonly type: string;
    readonly error?: string;
    readonly name?: string;
    readonly publicKey?: Buffer;
    readonly nonce?: Buffer;
    readonly timestampMs?: bigint;
    readonly signature?: Buffer;
    readonly reason?: Buffer;
  }
  export function encodeHello(name: string, publicKey: Buffer, version?: number): Buffer;
  export function encodeChallenge(nonce: Buffer, timestampMs: bigint | number): Buffer;
  export function encodeResponse(signature: Buffer): Buffer;
  export function encodeOk(): Buffer;
  export function encodeFail(reason: string): Buffer;
  export function framed(message: Buffer): Buffer;
  export class FrameReader {
    push(bytes: Uint8Array): void;
    next(): Buffer | undefined;
    rest(): Buffer;
  }
  export function decodeMessage(message: Buffer): Message;
  export function isNodeName(bytes: Uint8Array): boolean;
  export function bindingOf(certificateDer: Buffer): Buffer;
  export function signedBytes(nonce: Buffer, timestampMs: bigint, signerKey: Buffer, binding: Buffer): Buffer;
  export function signWith(seed: Buffer, bytes: Buffer): Buffer;
  export function verifies(publicKey: Buffer, bytes: Buffer, signature: Buffer): boolean;
  export function publicKeyOf(seed: Buffer): Buffer;
}

declare module "*/auth.mjs" {
  export interface AuthResult {
    readonly outcome: "ok" | "fail";
    readonly error?: string;
    readonly peer?: string;
    readonly peerKey?: Buffer;
  }
  export interface AuthSetup {
    readonly name: string;
    readonly keys: { readonly seed: Buffer; readonly publicKey: Buffer };
    readonly binding: Buffer;
    readonly trust: {
      refusal(name: string, key: Buffer): string | undefined;
      record(name: string, key: Buffer): string | undefined;
    };
    readonly cookieOnly?: readonly string[];
    readonly target?: string;
    readonly windowMs?: number;
    readonly random: (length: number) => Buffer;
    readonly wallMs: () => number;
    readonly monotonicMs: () => number;
    readonly wire: { open(): void; send(frame: Buffer): void; fin(): void };
    readonly done: (result: AuthResult) => void;
  }
  class Machine {
    constructor(setup: AuthSetup);
    start(): void;
    bytes(chunk: Buffer): void;
    rest(): Buffer;
    reset(code: number): void;
    deadline(): void;
    closed(reason: string): void;
  }
  export class DialerAuth extends Machine {}
  export class ListenerAuth extends Machine {}
}

declare module "*/handshake.mjs" {
  export interface HandshakeSetup {
    readonly name: string;
    readonly cookie: Buffer;
    readonly flags: bigint;
    readonly creation: number;
    readonly target?: string;
    readonly challenge: () => number;
    readonly send: (bytes: Buffer) => void;
    readonly done: (result: { outcome: string; error?: string; close?: boolean; peer?: object }) => void;
  }
  class DistHandshake {
    constructor(setup: HandshakeSetup);
    start(): void;
    chunk(bytes: Buffer): void;
  }
  export class DialerHandshake extends DistHandshake {}
  export class ListenerHandshake extends DistHandshake {}
  export const FRAGMENTS: bigint;
}

declare module "*/frames.mjs" {
  export const POOL: { readonly dialer: readonly number[]; readonly listener: readonly number[] };
  export function isDistStream(id: number): boolean;
  export function streamFor(role: "dialer" | "listener", from?: Buffer, to?: Buffer): number;
  export function encodeMessage(fragments: boolean, sequence: number, control: unknown, message?: unknown): Buffer[];
  export class FrameCutter {
    push(bytes: Buffer): Buffer[];
  }
  export class MessageReader {
    constructor(fragments: boolean);
    read(body: Buffer): { control: unknown; message: unknown } | undefined;
  }
}

declare module "*/term.mjs" {
  export class Pid {
    constructor(node: string, id: number, serial: number, creation: number);
  }
  export function atom(name: string): unknown;
  export function tuple(...items: unknown[]): unknown;
  export function encodeTerm(term: unknown): Buffer;
  export function decodeTerm(bytes: Buffer, at?: number): { term: unknown; end: number };
  export function toJson(term: unknown): unknown;
  export function fromJson(json: unknown): unknown;
}

declare module "*/attacks.mjs" {
  export const ATTACKS: Readonly<Record<string, readonly ("dialer" | "listener")[]>>;
}

declare module "*/identity.mjs" {
  export interface Keys {
    readonly seed: Buffer;
    readonly publicKey: Buffer;
  }
  export function loadKeys(dir: string): Keys;
  export function newKeys(): Keys;
}

declare module "*/forged-client.mjs" {
  export class ForgedClient {
    static connect(address: {
      readonly host: string;
      readonly port: number;
      readonly from?: string;
      readonly firstIdBytes?: number;
    }): Promise<ForgedClient>;
    readonly isEstablished: boolean;
    end(): void;
  }
}
