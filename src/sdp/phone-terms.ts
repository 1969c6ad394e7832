import type { CryptoSuite, SdesKey } from './sdes.ts';
import type { Fingerprint } from './transport.ts';

/*
 * What was agreed below RTP: who encrypts how, whether RTCP has a port of its own, and whether ICE finds the way. Holds keys: never to be
 * logged or shown as a whole.
 */

/** How the media of a phone is protected. */
export type PhoneSecurity =
  | {
      /** Keys of the descriptions (RFC 4568). */
      readonly type: 'sdes';
      readonly tag: number;
      readonly suite: CryptoSuite;
      readonly local: SdesKey;
      readonly remote: SdesKey;
    }
  | {
      /** Keys of a handshake between the ports of the media (RFC 5763). */
      readonly type: 'dtls';
      /** Ours. */
      readonly role: 'client' | 'server';
      readonly remoteFingerprints: readonly Fingerprint[];
      /** RFC 8842: another one asks for another handshake. */
      readonly remoteTlsId?: string;
      readonly localTlsId?: string;
    };

/** The phone checks the way to us, and we answer (RFC 8445 §2.5). */
export interface PhoneIce {
  readonly local: { readonly ufrag: string; readonly pwd: string };
  readonly remote: { readonly ufrag: string; readonly pwd: string };
}

export interface PhoneTerms {
  /** Plain RTP when absent. */
  readonly security?: PhoneSecurity;
  /** RTCP comes and goes by the port of RTP (RFC 5761). */
  readonly rtcpMux?: boolean;
  readonly ice?: PhoneIce;
}

/** What we may and must do on a line. */
export interface PhoneTermsPolicy {
  /** `off`: plain RTP alone. `optional`: what the phone offers. `required`: a line that is not encrypted is refused. */
  readonly srtp: 'off' | 'optional' | 'required';
  /** May keys stand in descriptions? They are read by whoever reads the signalling. */
  readonly sdes: boolean;
  /** Of the certificate of whoever carries the media. Without it there is no DTLS. */
  readonly fingerprint?: Fingerprint;
  /**
   * Where the phone's SIP messages come from. When its media is said to be elsewhere, a NAT may lie between us: the phone opens the way then, by
   * being the DTLS client.
   */
  readonly farAddress?: string;
}
