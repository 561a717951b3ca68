import { stretchCookie } from "../auth/native-cookie.ts";
import { encodeTranscript, type Transcript } from "../auth/native-transcript.ts";
import type { DiallerInvite, NativeTools } from "../auth/native-types.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { parseNodeName } from "../base/node-name.ts";
import { parsePublicKey } from "../identity/public-key.ts";
import { makeStatement } from "../identity/succession.ts";
import { NativeEnd, nativeChannel, nativeTestNode, runNative } from "./native-end.ts";
import { testInvite } from "./native-invite.ts";

/** One recorded handshake. All values are hex but names and numbers; messages begin with their type byte. */
export interface NativeVector {
  readonly name: string;
  /** Everything that goes in; what does not apply is absent. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly messages: readonly { readonly from: "dialler" | "acceptor"; readonly hex: string }[];
  readonly transcript: string;
  readonly hash: string;
}

const COOKIE = "a cookie of thirty-two bytes....";

/** Runs the three kinds of handshake with fixed seeds and nonces. The vectors of `test/fixtures/native`. */
export function makeNativeVectors(crypto: IdentityCrypto): NativeVector[] {
  const key = stretchCookie(Buffer.from(COOKIE), crypto);
  const id = Buffer.alloc(16, 0x1d);
  const secret = Buffer.alloc(32, 0x5e);
  const invite = testInvite(id, secret, crypto);
  const cookie = { cookie: Buffer.from(COOKIE).toString("hex") };
  const cookieTools: Partial<NativeTools> = { cookieFor: () => key, judgeInvite: invite.judge };
  const only: Partial<NativeTools> = { ...cookieTools, cookieOnly: () => true, hasCookieOnly: true };
  return [
    record("keys", {}, crypto),
    record(
      "keys-cookie-invite-succession",
      cookieTools,
      crypto,
      { ...cookie, ...inviteInputs(id, secret) },
      invite.dialler,
    ),
    record("cookie-only", only, crypto, cookie),
  ];
}

function inviteInputs(id: Buffer, secret: Buffer): Readonly<Record<string, string>> {
  return { inviteId: id.toString("hex"), inviteSecret: secret.toString("hex"), acceptorOldSeed: "63".repeat(32) };
}

function record(
  name: string,
  tools: Partial<NativeTools>,
  crypto: IdentityCrypto,
  more: Readonly<Record<string, string>> = {},
  invite?: DiallerInvite,
): NativeVector {
  const fixed = (byte: number): NativeTools["random"] => ({ bytes: (n) => Buffer.alloc(n, byte), uint32: () => byte });
  const dialling = nativeTestNode("dialler@host.example", 0x11, crypto, { ...tools, random: fixed(0xd1) });
  const plain = nativeTestNode("acceptor@Host.example", 0x22, crypto, { ...tools, random: fixed(0xac) });
  const oldSeed = Buffer.alloc(32, 0x63);
  const statement = makeStatement(
    {
      serial: 1,
      notBefore: 1_700_000_000_000,
      notAfter: 1_734_560_000_000,
      oldKey: parsePublicKey(crypto.ed25519PublicKey(oldSeed), "the old key"),
      newKey: plain.identity.publicKey,
      name: plain.identity.name,
    },
    oldSeed,
    crypto,
  );
  const accepting =
    invite === undefined ? plain : { ...plain, identity: { ...plain.identity, successions: [statement] } };
  const channel = nativeChannel(0xee);
  const acceptor = new NativeEnd().accept(accepting, channel.acceptor);
  const dialler = new NativeEnd().dial(dialling, parseNodeName("acceptor@host.example"), channel.dialler, invite);
  const messages: { from: "dialler" | "acceptor"; hex: string }[] = [];
  runNative(dialler, acceptor, (message, from) => {
    messages.push({ from, hex: message.toString("hex") });
    return [message];
  });
  const transcript: Transcript | undefined = acceptor.session?.transcript;
  if (transcript === undefined || dialler.session === undefined) throw new Error(`${name} does not come up`);
  return {
    name,
    inputs: {
      ...sideInputs("dialler", transcript, "11".repeat(32)),
      ...sideInputs("acceptor", transcript, "22".repeat(32)),
      exporter: transcript.exporter.toString("hex"),
      diallerCertificate: (channel.dialler.ownCertificate ?? Buffer.alloc(0)).toString("hex"),
      acceptorCertificate: (channel.acceptor.ownCertificate ?? Buffer.alloc(0)).toString("hex"),
      ...more,
    },
    messages,
    transcript: encodeTranscript(transcript).toString("hex"),
    hash: (acceptor.session?.transcriptHash ?? Buffer.alloc(0)).toString("hex"),
  };
}

function sideInputs(role: "dialler" | "acceptor", transcript: Transcript, seed: string): Record<string, string> {
  const side = transcript[role];
  return {
    [`${role}Name`]: side.name,
    [`${role}Seed`]: seed,
    [`${role}Creation`]: String(side.creation),
    [`${role}Incarnation`]: String(side.incarnation),
    [`${role}Flags`]: String(side.flags),
    [`${role}Nonce`]: side.nonce.toString("hex"),
    [`${role}Method`]: side.method,
  };
}
