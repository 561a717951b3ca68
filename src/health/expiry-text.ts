import type { CertificateExpiry } from "./expiry-watch.ts";
import type { CertificateRole } from "./watched-certificates.ts";

const WHAT: Readonly<Record<CertificateRole, string>> = {
  own: "the certificate of",
  chain: "an intermediate certificate of",
  ca: "a CA certificate trusted by",
  peer: "the certificate shown by",
};

/** Stable word for an event of expiry. */
export function expiryReason({ withinDays, role }: Pick<CertificateExpiry, "withinDays" | "role">): string {
  if (role === "peer") return withinDays === 0 ? "PEER_CERT_EXPIRED" : "PEER_CERT_EXPIRING";
  return withinDays === 0 ? "CERT_EXPIRED" : "CERT_EXPIRING";
}

/** One sentence for people: whose certificate, when it ends, what to do. */
export function expiryText({ role, of, subject, withinDays, daysLeft, notAfter }: CertificateExpiry): string {
  const when =
    withinDays === 0
      ? `ended at ${notAfter}`
      : `ends at ${notAfter}, in ${daysLeft === 0 ? "less than a day" : `${daysLeft} day${daysLeft === 1 ? "" : "s"}`}`;
  const todo = role === "peer" ? "its owner has to renew it" : "renew it: sallyport certs renew";
  return `${WHAT[role]} ${of} (${subject}) ${when}; ${todo}`;
}
