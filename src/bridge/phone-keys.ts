import type { PhoneSecurity } from '../sdp/phone-terms.ts';
import { type CryptoSuite, type SdesKey, sameSdesKey } from '../sdp/sdes.ts';
import type { SrtpKeys, SrtpMaster, SrtpProfile } from '../webrtc/srtp/profile.ts';
import { SrtpReceiver } from '../webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../webrtc/srtp/srtp-sender.ts';

/** RFC 4568 §6.2 and RFC 5764 §4.1.2 have other names for the same. */
const PROFILES: Readonly<Record<CryptoSuite, SrtpProfile>> = {
  AES_CM_128_HMAC_SHA1_80: 'AES128_CM_HMAC_SHA1_80',
  AES_CM_128_HMAC_SHA1_32: 'AES128_CM_HMAC_SHA1_32',
  AEAD_AES_128_GCM: 'AEAD_AES_128_GCM',
};

type Sdes = Extract<PhoneSecurity, { type: 'sdes' }>;

/** How long packets under the keys before are still taken: they were on their way when the new ones were agreed on. */
const OLD_KEYS_MS = 5000;

/**
 * The SRTP of a phone, both ways: keys may change in the course of a call, each direction for itself. A key that stays keeps its packet
 * index and its replay window: a window that began anew would take old packets again.
 */
export class PhoneKeys {
  #profile: SrtpProfile;
  #sender: SrtpSender;
  #receiver: SrtpReceiver;
  #before: { readonly receiver: SrtpReceiver; readonly until: number } | undefined;
  #sdes: Sdes | undefined;
  /** Dropped by receivers that are gone. */
  #droppedBefore = 0;

  constructor(local: SrtpMaster, remote: SrtpMaster) {
    this.#profile = local.profile;
    this.#sender = new SrtpSender(local);
    this.#receiver = new SrtpReceiver(remote);
  }

  static ofSdes(sdes: Sdes): PhoneKeys {
    const keys = new PhoneKeys(masterOf(sdes.suite, sdes.local), masterOf(sdes.suite, sdes.remote));
    keys.#sdes = sdes;
    return keys;
  }

  static ofHandshake({ profile, localKey, localSalt, remoteKey, remoteSalt }: SrtpKeys): PhoneKeys {
    return new PhoneKeys({ profile, key: localKey, salt: localSalt }, { profile, key: remoteKey, salt: remoteSalt });
  }

  get profile(): SrtpProfile {
    return this.#profile;
  }

  /** The keys of another pair of descriptions. */
  rekey(sdes: Sdes, now: number): void {
    const before = this.#sdes;
    const sameSuite = before?.suite === sdes.suite;
    this.#sdes = sdes;
    this.#profile = PROFILES[sdes.suite];
    if (!sameSuite || !sameSdesKey(before.local, sdes.local)) this.#sender = new SrtpSender(masterOf(sdes.suite, sdes.local));
    if (sameSuite && sameSdesKey(before.remote, sdes.remote)) return;
    this.#droppedBefore += dropsOf(this.#before?.receiver);
    this.#before = { receiver: this.#receiver, until: now + OLD_KEYS_MS };
    this.#receiver = new SrtpReceiver(masterOf(sdes.suite, sdes.remote));
  }

  protectRtp(packet: Uint8Array): Buffer {
    return this.#sender.protectRtp(packet);
  }

  protectRtcp(packet: Uint8Array): Buffer {
    return this.#sender.protectRtcp(packet);
  }

  /** In place; undefined for what is not authentic or was there before. */
  unprotect(datagram: Buffer, kind: 'rtp' | 'rtcp', now: number): Buffer | undefined {
    const open = (receiver: SrtpReceiver): Buffer | undefined =>
      kind === 'rtp' ? receiver.unprotectRtp(datagram) : receiver.unprotectRtcp(datagram);
    const before = this.#before;
    if (before === undefined) return open(this.#receiver);
    if (now >= before.until) {
      this.#droppedBefore += dropsOf(before.receiver);
      this.#before = undefined;
    }
    // The old ones first: they change a packet only when it is theirs, and an MKI that is taken out cannot be put back.
    return (this.#before && copyOpened(this.#before.receiver, datagram, kind)) ?? open(this.#receiver);
  }

  /** Not authentic, replayed or malformed. */
  get dropped(): number {
    return this.#droppedBefore + dropsOf(this.#before?.receiver) + dropsOf(this.#receiver);
  }
}

function copyOpened(receiver: SrtpReceiver, datagram: Buffer, kind: 'rtp' | 'rtcp'): Buffer | undefined {
  const copy = Buffer.from(datagram);
  return kind === 'rtp' ? receiver.unprotectRtp(copy) : receiver.unprotectRtcp(copy);
}

function masterOf(suite: CryptoSuite, key: SdesKey): SrtpMaster {
  return { profile: PROFILES[suite], ...key };
}

function dropsOf(receiver: SrtpReceiver | undefined): number {
  if (!receiver) return 0;
  const { malformed, replay, auth, retired } = receiver.snapshot().dropped;
  return malformed + replay + auth + retired;
}
