import type { KeyObject } from 'node:crypto';
import type { Fingerprint } from './fingerprint.ts';
import type { DtlsFailure } from './handshake.ts';
import { parseCertificateVerify } from './messages.ts';
import { isTls13Scheme, verifyWith } from './signature.ts';
import { transcriptHash } from './tls13-key-schedule.ts';
import { signedContent } from './tls13-messages.ts';

/** What an attempt at a handshake knows of the peer's certificate. */
export interface Tls13Proof {
  readonly transcript: readonly Buffer[];
  /** As it was sent; without fingerprint when the description named another. */
  readonly certificate?: { readonly key: KeyObject; readonly fingerprint: Fingerprint | undefined };
  /** Of the certificate whose key the peer has proven to hold. */
  fingerprint?: Fingerprint;
}

/**
 * Takes the peer's CertificateVerify (RFC 8446 §4.4.3), and notes the fingerprint that it proves.
 * @param body of the message, which is not part of the transcript yet
 * @returns what is wrong with it
 */
export function takeProof(proof: Tls13Proof, signer: 'client' | 'server', body: Buffer): DtlsFailure | undefined {
  const { certificate, transcript } = proof;
  const verify = parseCertificateVerify(body);
  if (!verify || !certificate || !isTls13Scheme(verify.scheme, certificate.key)) return 'parameters';
  const signed = signedContent(signer, transcriptHash(transcript));
  if (!verifyWith(verify.scheme, certificate.key, signed, verify.signature)) return 'signature';
  if (!certificate.fingerprint) return 'fingerprint';
  proof.fingerprint = certificate.fingerprint;
  return undefined;
}
